"""Helm: the real binary as a process, and a small one in memory."""

"""Secrets in Git: SOPS files and objects become plaintext in memory, and nowhere else."""

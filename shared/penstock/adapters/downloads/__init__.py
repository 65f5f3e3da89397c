"""Adapters of the downloads port."""

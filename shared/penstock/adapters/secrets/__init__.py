"""Adapters of the secrets port."""

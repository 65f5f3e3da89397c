"""Helm's values: charts, where they come from, and what one is rendered as."""

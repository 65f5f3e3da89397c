"""Git remotes: over smart HTTP with dulwich, and in memory; and a small server for demos and tests."""

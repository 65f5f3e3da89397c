"""A plane whose ports are all in memory: real stages, real cores, no process and no network."""

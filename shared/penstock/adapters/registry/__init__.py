"""Container registries: the distribution API over HTTP, and one in memory."""

"""Trees of files that are read where they stand."""

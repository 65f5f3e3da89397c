"""Sources as values: ignore rules, artifacts, revisions, and whom a changed source wakes."""

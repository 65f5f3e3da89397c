"""Buckets of others: S3's API and Google Cloud Storage's over checked connections, and one in memory."""

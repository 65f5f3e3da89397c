"""One module per stage of pipeline.json; none knows another."""

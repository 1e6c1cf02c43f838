"""Stops a run whose data does not look like its schema."""

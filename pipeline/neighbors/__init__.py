"""Nearest neighbors among embeddings: an index of a Parquet file, and who asks it."""

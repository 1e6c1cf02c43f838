"""What `benchmarks.serving` measures: encoders to serve, and ways to ask for embeddings."""

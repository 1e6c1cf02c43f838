"""Runs an exported encoder over examples, on Beam, and writes Parquet."""

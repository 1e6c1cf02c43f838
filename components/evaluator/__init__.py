"""Measures what a representation is good for, and blesses the model that made it."""

"""Sweeps: recipes x parameters x latents x seeds on one data set, and the frontier they make."""

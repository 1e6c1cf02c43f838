"""Watches whether what an encoder is asked today is like what it was evaluated on."""

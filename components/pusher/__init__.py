"""Makes a blessed encoder the next version of a serving folder, atomically."""

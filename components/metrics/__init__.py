"""Pure functions from codes, targets and a source of randomness to numbers; NumPy in, NumPy out."""

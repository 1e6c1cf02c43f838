"""Proves that an exported encoder answers over the wire, and answers what the trainer would."""

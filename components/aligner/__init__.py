"""Leads a trained encoder's codes back into the last blessed encoder's space."""

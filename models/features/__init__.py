"""From raw records to model inputs, the same way in training and in serving."""

from models.features.spec import Column, FeatureSpec, Target

__all__ = ["Column", "FeatureSpec", "Target"]

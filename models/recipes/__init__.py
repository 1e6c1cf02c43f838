"""The catalogue of models: one recipe each, readable without importing TensorFlow."""

from models.recipes import (
    hierarchical,
    other,
    regularized,
    regularized_dependence,
    regularized_moments,
    semisupervised,
    sequential,
    structured,
    supervised,
)
from models.recipes.builder import build
from models.recipes.records import Family, Parameter, Record, catalogue, find, validate

__all__ = [
    "Family",
    "Parameter",
    "Record",
    "build",
    "catalogue",
    "find",
    "hierarchical",
    "other",
    "regularized",
    "regularized_dependence",
    "regularized_moments",
    "semisupervised",
    "sequential",
    "structured",
    "supervised",
    "validate",
]

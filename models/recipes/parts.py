"""What recipes are composed of, imported at first use: `parts.KL` is `models.terms.KL`.

So the catalogue, which is made of recipes, can be read without importing TensorFlow.
"""

import importlib
from typing import Any

MODULES = (
    "models.autoencoder",
    "models.factors",
    "models.priors",
    "models.terms",
    "models.schedules",
    "models.kernels",
    "keras.optimizers",
)


def __getattr__(name: str) -> Any:
    for module in MODULES:
        part = getattr(importlib.import_module(module), name, None)
        if part is not None:
            return part
    raise AttributeError(f"no part is called {name!r}")

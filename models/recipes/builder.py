"""From the name of a recipe and a description of the data to a model with its variables."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from models.features.spec import FeatureSpec
from models.recipes.needs import check_needs
from models.recipes.records import find, function, validate

if TYPE_CHECKING:
    from models.autoencoder import Autoencoder


def build(
    name: str,
    spec: FeatureSpec,
    *,
    latent: int = 10,
    network: str = "auto",
    likelihood: str = "auto",
    seed: int = 0,
    **parameters: Any,
) -> "Autoencoder":
    """Returns the model that a recipe describes, its variables created.

    Args:
        name: recipe or alias, see `catalogue`.
        spec: description of the data, cardinalities filled in.
        latent: number of latent dimensions.
        network: `auto`, `mlp` or `conv`; `models.recipes.choices` has the rules of `auto`.
        likelihood: `auto`, `bernoulli`, `gaussian` or `gaussian_learned`.
        seed: seed of the initial weights and of the model's noise.
        **parameters: the recipe's own; its defaults are the paper's.

    Raises:
        InputError: for an unknown recipe or parameter, a choice that does not suit the data, or data
            that lack what the recipe needs.
    """
    values = validate(name, parameters)
    from models.recipes.plan import Plan  # imports TensorFlow, which reading the catalogue must not

    plan = Plan(spec=spec, latent=latent, network=network, likelihood=likelihood, seed=seed)
    with _initial_weights(seed):
        model = function(name)(plan, **values)
        check_needs(find(name).name, model.needs, spec)
        model.build({"x": (None, *spec.event_shape)})
    return model


@contextmanager
def _initial_weights(seed: int) -> Iterator[None]:
    """Makes initial weights a function of `seed`: Keras draws its initializers' seeds from `random`."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)

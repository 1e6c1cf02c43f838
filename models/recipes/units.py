"""What single units of a code stand for: groups of units, units for factors. Free of TensorFlow."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from models.errors import InputError


def check(factors: Sequence[str], latent: int, parameters: Mapping[str, Any]) -> None:
    """Checks those of a recipe's parameters that speak of single units.

    Args:
        factors: names of the data's ground-truth factors.
        latent: number of latent dimensions.
        parameters: the recipe's complete parameters.

    Raises:
        InputError: if they do not fit the code or the data.
    """
    if "groups" in parameters:
        blocks(latent, parameters["groups"])
    if "extrinsic" in parameters:
        factor_indices(factors, latent, parameters["extrinsic"])


def blocks(latent: int, groups: int) -> list[list[int]]:
    """Returns the units of a code in groups of neighbors, as even as can be.

    Raises:
        InputError: if there are more groups than units.
    """
    if groups > latent:
        raise InputError(f"model.parameters.groups: must be at most model.latent, {latent}. Received: {groups}.")
    bounds = [latent * index // groups for index in range(groups + 1)]
    return [list(range(start, end)) for start, end in zip(bounds, bounds[1:], strict=False)]


def factor_indices(factors: Sequence[str], latent: int, names: Sequence[str]) -> list[int]:
    """Returns the positions of ground-truth factors by name; all of them for no names.

    Raises:
        InputError: for a name that is no factor, and if the code has no unit left for everything else.
    """
    for name in names:
        if name not in factors:
            near = difflib.get_close_matches(name, factors, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"The data's factors: {', '.join(factors)}."
            raise InputError(f"model.parameters.extrinsic: there is no factor {name!r}. {hint}")
    chosen = [list(factors).index(name) for name in names] or list(range(len(factors)))
    if len(chosen) >= latent:
        raise InputError(
            f"model.latent: must be above the number of extrinsic factors, {len(chosen)}, each of which has a unit "
            f"of its own. Received: {latent}."
        )
    return chosen

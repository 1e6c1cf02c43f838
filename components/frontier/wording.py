"""Configurations and amounts in words."""

from collections.abc import Mapping
from typing import Any

from components.evaluator.wording import in_words
from models.recipes.wording import parameter_in_words


def configuration_in_words(recipe: str, parameters: Mapping[str, Any], latent: int) -> str:
    """Returns a configuration's name: `beta_vae, beta 4, latent 10`."""
    own = [f"{name} {parameter_in_words(value)}" for name, value in parameters.items()]
    return ", ".join([recipe, *own, f"latent {latent}"])


def quoted(name: str) -> str:
    """Returns a configuration's name with its recipe marked as code."""
    recipe, comma, rest = name.partition(",")
    return f"`{recipe}`{comma}{rest}"


def amount(value: float, unit: str) -> str:
    """Returns a value for people: accuracies in percent, nats with two decimals, all else with three digits."""
    match unit:
        case "accuracy":
            return f"{100 * value:.1f} %"
        case "nats":
            return f"{value:.2f} nats"
        case "count":
            return f"{value:.1f}"
    return f"{value:.3g}"


def step(difference: float, reach: float | None, unit: str) -> str:
    """Returns a signed difference, with what it may be off by: `+3.1 ± 0.4 points`."""
    scale, decimals, words = {"accuracy": (100, 1, " points"), "nats": (1, 2, " nats"), "count": (1, 1, "")}.get(
        unit, (1, 3, "")
    )
    within = "" if reach is None else f" ± {scale * reach:.{decimals}f}"
    return f"{scale * difference:+.{decimals}f}{within}{words}"


def metric_parts(name: str) -> tuple[str, str]:
    """Returns a metric's name and what it is measured at: ("linear probe", " at 100 labels")."""
    head, _, rest = in_words(name).partition(", ")
    return head, f" at {rest}" if rest else ""

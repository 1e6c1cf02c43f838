"""Which network and which likelihood suit the data: the rules behind `auto`, free of TensorFlow.

    data                              network   likelihood
    images, both sides >= 16 pixels   conv      bernoulli
    smaller images                    mlp       bernoulli
    vectors                           mlp       gaussian
    tables                            mlp       gaussian_learned for numeric columns, categorical for the others

`gaussian` has unit variance: on standardized values a direction is coded only if it carries more variance
than one feature. `gaussian_learned` has one learned variance per channel, feature or column; in a table it
weighs numeric against categorical cells by how predictable they are.
"""

from typing import Literal

from models.errors import InputError
from models.features.spec import FeatureSpec

SMALLEST = 16  # pixels: the shorter side below which strided convolutions have nothing to halve

Network = Literal["mlp", "conv"]
Likelihood = Literal["bernoulli", "gaussian", "gaussian_learned"]
AUTO: dict[str, Likelihood] = {"image": "bernoulli", "vector": "gaussian", "table": "gaussian_learned"}


def network_for(spec: FeatureSpec, choice: str) -> Network:
    """Returns the network to use for the data.

    Args:
        spec: description of the data.
        choice: `auto`, `mlp` or `conv`.

    Raises:
        InputError: if `conv` is asked for data that are not images, or too small ones.
    """
    large = spec.kind == "image" and min(spec.shape[:2]) >= SMALLEST
    match choice:
        case "auto":
            return "conv" if large else "mlp"
        case "mlp":
            return "mlp"
        case "conv" if spec.kind != "image":
            raise InputError(f"model.network: conv needs images, and the data is a {spec.kind}. Use mlp or auto.")
        case "conv" if not large:
            raise InputError(
                f"model.network: conv needs images of at least {SMALLEST} x {SMALLEST} pixels. Received: "
                f"{spec.shape[0]} x {spec.shape[1]}. Use mlp or auto, or enlarge the images with data.images.size."
            )
        case "conv":
            return "conv"
    raise InputError(f"model.network: must be auto, mlp or conv. Received: {choice!r}.")


def likelihood_for(spec: FeatureSpec, choice: str) -> Likelihood:
    """Returns the likelihood to use for the data; for tables, that of the numeric columns.

    Args:
        spec: description of the data.
        choice: `auto`, `bernoulli`, `gaussian` (fixed variance) or `gaussian_learned`.

    Raises:
        InputError: if `bernoulli` is asked for data that are not images.
    """
    image = spec.kind == "image"
    match choice:
        case "auto":
            return AUTO[spec.kind]
        case "gaussian" | "gaussian_learned":
            return choice
        case "bernoulli" if image:
            return choice
        case "bernoulli":
            raise InputError(
                f"model.likelihood: bernoulli needs values from 0 to 1, and the data is a {spec.kind}, which is "
                "standardized. Use gaussian, gaussian_learned or auto."
            )
    raise InputError(f"model.likelihood: must be auto, bernoulli, gaussian or gaussian_learned. Received: {choice!r}.")

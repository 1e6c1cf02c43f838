"""What a recipe is told about one model to build, and the networks and likelihood that follow from it."""

from dataclasses import dataclass

import keras

from models.factors import Bernoulli, Factor, FixedScale, Gaussian, LearnedScale, Scale, Tabular
from models.features.spec import FeatureSpec
from models.networks import convolutional, dense
from models.recipes.choices import likelihood_for, network_for

NETWORKS = {"mlp": dense, "conv": convolutional}
SCALES: dict[str, type[Scale]] = {"gaussian": FixedScale, "gaussian_learned": LearnedScale}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The data, the width of the code, and the choices of network and likelihood.

    Args:
        spec: description of the data.
        latent: number of latent dimensions.
        network: `auto`, `mlp` or `conv`.
        likelihood: `auto`, `bernoulli`, `gaussian` or `gaussian_learned`.
        seed: seed of the model's noise.
    """

    spec: FeatureSpec
    latent: int
    network: str = "auto"
    likelihood: str = "auto"
    seed: int = 0

    def trunk(self) -> keras.Layer:
        """Returns a network from x [batch, *event] to features [batch, width], for an encoder to read.

        Raises:
            InputError: if the chosen network does not suit the data.
        """
        return NETWORKS[network_for(self.spec, self.network)].encoder(self.spec.event_shape)

    def decoder(self) -> Factor:
        """Returns p(x|z): the mirrored network under the likelihood that suits the data.

        Raises:
            InputError: if the chosen network or likelihood does not suit the data.
        """
        likelihood = likelihood_for(self.spec, self.likelihood)
        network = NETWORKS[network_for(self.spec, self.network)].decoder(self._parameters_shape)
        if likelihood == "bernoulli":
            return Bernoulli(network)
        scale = SCALES[likelihood]()
        if self.spec.kind != "table":
            return Gaussian(network, scale)
        return Tabular(network, [column.cardinality for column in self.spec.categorical], scale)

    @property
    def _parameters_shape(self) -> tuple[int, ...]:
        """Shape of the likelihood's parameters: that of x, less a table's mask."""
        if self.spec.kind != "table":
            return self.spec.event_shape
        return (self.spec.width - len(self.spec.columns),)

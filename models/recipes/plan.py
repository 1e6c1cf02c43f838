"""What a recipe is told about one model to build, and the networks and likelihood that follow from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from models.critics import Critic
from models.factors import (
    Bernoulli,
    Conditional,
    Decoder,
    Factor,
    FixedScale,
    Gaussian,
    LabelLikelihood,
    LearnedScale,
    Scale,
    Tabular,
)
from models.features.spec import FeatureSpec
from models.kernels import RBF
from models.networks import convolutional, dense
from models.priors import GaussianMixture, Prior, StandardNormal
from models.recipes.choices import likelihood_for, network_for
from models.recipes.units import blocks, factor_indices
from models.terms import HSICBetweenGroups, HSICOfSensitive, LabelNegativeLogLikelihood, Term

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

    def decoder(self, likelihood: str = "auto") -> Factor:
        """Returns p(x|z): the mirrored network under the likelihood that suits the data.

        Args:
            likelihood: the model's own choice, where the user leaves it open.

        Raises:
            InputError: if the chosen network or likelihood does not suit the data.
        """
        chosen = likelihood if self.likelihood == "auto" else self.likelihood
        likelihood = likelihood_for(self.spec, chosen)
        network = NETWORKS[network_for(self.spec, self.network)].decoder(self._parameters_shape)
        if likelihood == "bernoulli":
            return Bernoulli(network)
        scale = SCALES[likelihood]()
        if self.spec.kind != "table":
            return Gaussian(network, scale)
        return Tabular(network, [column.cardinality for column in self.spec.categorical], scale)

    def informed_decoder(self, likelihood: str = "auto") -> Decoder:
        """Returns p(x|z, s): the decoder with the sensitive attribute beside the code, where the data have one.

        Args:
            likelihood: the model's own choice, where the user leaves it open.
        """
        decoder = self.decoder(likelihood)
        return Conditional(decoder, "sensitive", self.groups) if self.spec.sensitive else decoder

    def classifier(self, hidden: Sequence[int] = ()) -> LabelLikelihood:
        """Returns p(y|z), a dense network from the code to the label's classes.

        Args:
            hidden: units of its hidden layers; none makes it linear.
        """
        return LabelLikelihood(dense.decoder((len(self.spec.classes) or 1,), hidden))

    def critic(
        self, outputs: int, hidden: Sequence[int], optimizer: keras.optimizers.Optimizer, dropout: float = 0.0
    ) -> Critic:
        """Returns an opponent that reads the code: a dense network of leaky ReLU units.

        Args:
            outputs: number of logits.
            hidden: units of each hidden layer.
            optimizer: the critic's own.
            dropout: share of the code's units that it does not get to see in training.
        """
        return Critic(dense.critic(outputs, hidden, dropout=dropout), optimizer)

    def label_terms(self, weight: Any) -> list[Term]:
        """Returns the term that has a linear classifier predict the label, where the data have one."""
        return [LabelNegativeLogLikelihood(self.classifier(), weight)] if self.spec.label else []

    def marginal(self, components: int) -> Prior:
        """Returns m(z): N(0, I) for no components, or a learned mixture of so many Gaussians."""
        return GaussianMixture(self.latent, components) if components else StandardNormal(self.latent)

    def independence(self, groups: int, weight: Any) -> Term:
        """Returns the HSIC of the code and the sensitive attribute or, where there is none, between groups of units."""
        if self.spec.sensitive:
            return HSICOfSensitive(self.kernel(self.latent), weight)
        return HSICBetweenGroups(self.kernel(self.latent // groups), self.blocks(groups), weight)

    def kernel(self, width: int) -> RBF:
        """Returns exp(-|u - v|^2 / (2 width)): neighbors at the scale of a standard normal code of that width."""
        return RBF((max(width, 1) ** 0.5,))

    def blocks(self, groups: int) -> list[list[int]]:
        """Returns the units of the code in groups of neighbors; see `models.recipes.units`."""
        return blocks(self.latent, groups)

    def factor_indices(self, names: Sequence[str]) -> list[int]:
        """Returns the positions of ground-truth factors by name; see `models.recipes.units`."""
        return factor_indices(self.spec.factors, self.latent, names)

    @property
    def examples(self) -> int:
        """Number of training examples.

        Raises:
            ValueError: if the description of the data does not say.
        """
        if not self.spec.examples:
            raise ValueError("`spec.examples` must be known to estimate the aggregate posterior. Received: 0.")
        return self.spec.examples

    @property
    def groups(self) -> int:
        """Number of values of the sensitive attribute; 1 before they are known."""
        return len(self.spec.groups) or 1

    @property
    def _parameters_shape(self) -> tuple[int, ...]:
        """Shape of the likelihood's parameters: that of x, less a table's mask."""
        if self.spec.kind != "table":
            return self.spec.event_shape
        return (self.spec.width - len(self.spec.columns),)

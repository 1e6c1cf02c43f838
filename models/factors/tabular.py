"""The likelihood of a table's row: Gaussian and categorical by column, missing cells left out."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.distributions.distribution import Distribution
from typing_extensions import override

from models.factors.base import Factor
from models.factors.scales import FixedScale, Scale
from models.part import ensure_built


class TabularLikelihood(tfd.Distribution):
    """p(x|z) of rows x = [numeric values, one-hot blocks, mask], as `FeatureSpec.event_shape` lays them out.

        log p(x|z) = sum_{numeric c} mask_c * log N(x_c; mu_c, scale_c^2)
                   + sum_{categorical c} mask_c * log softmax(logits_c)[x_c]

    The mask (1 = observed) inside x says which cells count; it is an input and not itself modelled.

    Args:
        mean: means of the numeric columns, [..., numeric].
        scale: their standard deviations, broadcast against `mean`.
        logits: logits of the categorical columns side by side, [..., sum(cardinalities)].
        cardinalities: number of categories of each categorical column.
    """

    def __init__(
        self,
        mean: tf.Tensor,
        scale: tf.Tensor | float,
        logits: tf.Tensor,
        cardinalities: Sequence[int],
        *,
        name: str = "TabularLikelihood",
    ):
        parameters = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        self._numeric = tfd.Normal(mean, scale)
        self._logits = logits
        self._cardinalities = tuple(cardinalities)
        super().__init__(
            dtype=mean.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        properties = tfp.util.ParameterProperties
        return {
            "mean": properties(event_ndims=1),
            "scale": properties(event_ndims=None),
            "logits": properties(event_ndims=1),
            "cardinalities": properties(event_ndims=None),
        }

    @property
    def _sizes(self) -> list[int]:
        """Widths of the three parts of x."""
        numeric = self._numeric.loc.shape[-1]
        return [numeric, sum(self._cardinalities), numeric + len(self._cardinalities)]

    def _event_shape(self):
        return tf.TensorShape([sum(self._sizes)])

    def _event_shape_tensor(self):
        return tf.constant([sum(self._sizes)])

    def _batch_shape(self):
        return self._numeric.loc.shape[:-1]

    def _batch_shape_tensor(self):
        return tf.shape(self._numeric.loc)[:-1]

    def _blocks(self) -> list[tf.Tensor]:
        """Logits column by column, [..., cardinality] each."""
        return tf.split(self._logits, self._cardinalities, axis=-1) if self._cardinalities else []

    def _log_prob(self, x):
        numeric, one_hot, mask = tf.split(x, self._sizes, axis=-1)
        mask_numeric, mask_categorical = tf.split(mask, [self._sizes[0], len(self._cardinalities)], axis=-1)
        gaussian = tf.reduce_sum(mask_numeric * self._numeric.log_prob(numeric), axis=-1)
        chosen = tf.reduce_sum(one_hot * self._logits, axis=-1)  # a missing cell's block is all zero
        return gaussian + chosen - tf.reduce_sum(mask_categorical * self._normalizers(), axis=-1)

    def _normalizers(self) -> tf.Tensor:
        """Log of the softmax's denominator per categorical column, [..., categorical]."""
        if not self._cardinalities:
            return self._logits
        return tf.stack([tf.reduce_logsumexp(block, axis=-1) for block in self._blocks()], axis=-1)

    def _row(self, numeric: tf.Tensor, blocks: list[tf.Tensor]) -> tf.Tensor:
        """A complete row: every cell observed."""
        shape = tf.concat([tf.shape(numeric)[:-1], self._sizes[2:]], axis=0)
        return tf.concat([numeric, *blocks, tf.ones(shape, numeric.dtype)], axis=-1)

    def _mean(self):
        return self._row(self._numeric.loc, [tf.nn.softmax(block) for block in self._blocks()])

    def _sample_n(self, n, seed=None):
        seeds = tfp.random.split_seed(seed, n=1 + len(self._cardinalities), salt="TabularLikelihood")
        numeric = self._numeric.sample(n, seed=seeds[0])
        columns = [tfd.OneHotCategorical(logits=b, dtype=numeric.dtype) for b in self._blocks()]
        return self._row(numeric, [c.sample(n, seed=s) for c, s in zip(columns, seeds[1:], strict=True)])


class Tabular(Factor):
    """p(x|z) of a table's rows: Gaussian for numeric columns, categorical for the others.

    Args:
        network: layer from [batch, latent] to [batch, numeric + sum(cardinalities)]: means, then logits.
        cardinalities: number of categories of each categorical column.
        scale: standard deviation of the numeric columns, `FixedScale()` or `LearnedScale()`.
    """

    def __init__(self, network: keras.Layer, cardinalities: Sequence[int], scale: Scale | None = None, **kwargs: Any):
        super().__init__(network, **kwargs)
        self.cardinalities = list(cardinalities)
        self.scale = scale or FixedScale()

    @override
    def build(self, input_shape):
        super().build(input_shape)
        ensure_built(self.scale, (self.output_event[0] - sum(self.cardinalities),))

    def distribution(self, features: tf.Tensor) -> Distribution:
        """Returns p(x|z) for features [..., numeric + sum(cardinalities)]."""
        logits = sum(self.cardinalities)
        mean, logits = tf.split(features, [self.output_event[0] - logits, logits], axis=-1)
        return TabularLikelihood(mean, self.scale.value(), logits, self.cardinalities)

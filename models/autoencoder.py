"""The one model class: an encoder, a prior, a decoder and the terms that say what to punish."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability.python.distributions.distribution import Distribution
from typing_extensions import override

from models.critics import Critic
from models.errors import InputError
from models.estimators import kl
from models.factors import Decoder, Factor
from models.part import PACKAGE, Configured, ensure_built
from models.priors import Prior
from models.schedules import settled
from models.terms import Term
from models.trace import Context, Trace

AVERAGES = ("rate", "distortion", "elbo", "objective")
EVALUATION = -1  # the stream of noise used outside training, beside one stream per training step


@keras.saving.register_keras_serializable(PACKAGE)
class Autoencoder(Configured, keras.Model):
    """Encoder q(z|x), prior p(z), decoder p(x|z), and the terms of the objective.

        loss = sum over terms of weight(step) * penalty(mean over the batch of the term)

    Every term is a metric of its own name; beside them `rate` = KL(q(z|x) || p(z)), `distortion` =
    -log p(x|z) and `elbo` = -(rate + distortion), nats per example, whatever is being punished; and
    `objective`, the loss with every schedule at its final value, which compares models across steps.
    Compile with an optimizer only: `model.compile(keras.optimizers.Adam(1e-3))`.

    Noise is stateless: a function of `seed`, the training step and the batch's content. So a resumed run
    draws what an uninterrupted one would have, replicas draw independently, evaluation is a pure
    function of weights and data, and an exported encoder holds no random state. (XLA maps the same seeds
    to other numbers than TensorFlow's own kernels: runs repeat exactly within one of the two.)

    Args:
        encoder: factor q(z|x).
        prior: prior p(z).
        decoder: factor p(x|z).
        terms: what to punish; names must differ.
        seed: seed of all sampling noise.

    Call arguments:
        inputs: a batch: `x` [batch, *event] and, where the data has them, `label` [batch], `sensitive`
            [batch], `factors` [batch, factors], `group` and `varying` [batch]; see `Context`.

    Returns (of a call):
        The posterior mean, [batch, latent].

    Example:
        >>> from models.features import FeatureSpec
        >>> from models.recipes import build
        >>> model = build("beta_vae", FeatureSpec(kind="vector", shape=(8,)), latent=2, beta=4.0)
        >>> str(model)
        'nll + 4 * kl'
    """

    def __init__(
        self,
        encoder: Factor,
        prior: Prior,
        decoder: Decoder,
        terms: Sequence[Term],
        *,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)
        names = [term.name for term in terms]
        if len(set(names)) < len(names):
            raise ValueError(f"`terms` must have different names. Received: {', '.join(names)}.")
        self.encoder = encoder
        self.prior = prior
        self.decoder = decoder
        self.terms = list(terms)
        self.seed = seed
        self.averages = {name: keras.metrics.Mean(name=name) for name in AVERAGES}

    @override
    def build(self, input_shape):
        event = tuple(input_shape["x"][1:])
        code = (None, self.encoder.latent)
        # Counted per replica: an update across replicas in the middle of `call` would mix their losses.
        self.step = keras.Variable(
            0,
            dtype="int64",
            trainable=False,
            aggregation="only_first_replica",
            synchronization="on_read",
            name="step",
        )
        ensure_built(self.encoder, (None, *event))
        for part in (self.prior, self.decoder, *self.terms):
            ensure_built(part, code)

    @override
    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        trace = self.trace(inputs, training=training)
        charges = [term.charge(tf.reduce_mean(term(trace=trace)), settled) for term in self.terms]
        self.averages["objective"].update_state(tf.add_n(charges), sample_weight=tf.shape(trace.x)[0])
        self.averages["rate"].update_state(trace.rate)
        self.averages["distortion"].update_state(trace.distortion)
        self.averages["elbo"].update_state(-(trace.rate + trace.distortion))
        if training:
            self.step.assign_add(1)
        return trace.posterior.mean()

    def trace(self, inputs: Mapping[str, tf.Tensor], training: bool = False, seed: int | None = None) -> Trace:
        """Returns the record of one forward pass; nothing is updated.

        Args:
            inputs: a batch, see the class.
            training: whether layers such as batch normalization are in training mode.
            seed: seed of the noise in place of the model's own.
        """
        batch = {key: tf.convert_to_tensor(value) for key, value in inputs.items()}
        x = batch["x"]
        stream = self.step.value if training and seed is None else EVALUATION
        noise = noise_of(self.seed if seed is None else seed, stream, x)
        fold = tf.random.experimental.stateless_fold_in
        context = self.context(batch, seed=fold(noise, 1), training=training)
        posterior = self.encoder(x, context=context, training=training)
        z = posterior.sample(seed=noise)
        return Trace(
            x=x,
            posterior=posterior,
            z=z,
            prior=self.prior(context=context, training=training),
            likelihood=self.decoder(z, context=context, training=training),
            context=context,
        )

    def context(
        self, inputs: Mapping[str, tf.Tensor], seed: tf.Tensor | None = None, training: bool = False
    ) -> Context:
        """Returns what a batch holds beside `x`, for factors, priors and terms to read.

        Args:
            inputs: a batch, see the class.
            seed: int32 [2], for terms that draw samples of their own.
            training: whether this is a training step.

        Raises:
            InputError: if the batch lacks what a part of the model needs.
        """
        missing = [role for role in self.needs if inputs.get(role) is None]
        if missing:
            raise InputError(f"The model needs {missing[0]!r} in every batch: set data.{missing[0]}.")
        return Context(
            target=inputs[self.decoder.target],
            step=tf.convert_to_tensor(self.step.value),
            seed=tf.zeros([2], tf.int32) if seed is None else seed,
            training=training,
            **{role: inputs.get(role) for role in ("label", "sensitive", "factors", "group", "varying")},
        )

    def encode(self, x: tf.Tensor, context: Context | None = None) -> Distribution:
        """Returns the posterior q(z|x) of inputs [batch, *event]."""
        return self.encoder(x, context=context)

    def decode(self, z: tf.Tensor, context: Context | None = None) -> Distribution:
        """Returns the likelihood p(x|z) of codes [..., latent]; leading axes become its batch shape."""
        return self.decoder(z, context=context)

    def rate(self, x: tf.Tensor, context: Context | None = None) -> tf.Tensor:
        """Returns KL(q(z|x) || p(z)) of each example: nats, [batch]."""
        posterior = self.encode(x, context)
        z = posterior.sample(seed=noise_of(self.seed, EVALUATION, x))
        return kl(posterior, self.prior(context=context), z)

    def distortion(self, x: tf.Tensor, context: Context | None = None) -> tf.Tensor:
        """Returns -log p(x|z) of each example at z = E[z|x]: nats, [batch].

        The posterior mean in place of a sample makes the number a function of the example alone, the
        same in any batch. The metric of the same name averages over samples instead.
        """
        target = x if context is None else context.target
        return -self.decode(self.encode(x, context).mean(), context).log_prob(target)

    def sample(self, count: int, seed: int, context: Context | None = None) -> tf.Tensor:
        """Returns the means of p(x|z) for `count` codes drawn from the prior, [count, *event]."""
        z = self.prior(context=context).sample(count, seed=(seed, 0))
        return self.decode(z, context).mean()

    @property
    def latent_width(self) -> int:
        """Number of latent dimensions."""
        return self.encoder.latent

    @property
    def needs(self) -> tuple[str, ...]:
        """Roles the data must have: any of `label`, `sensitive`, `factors`."""
        parts = (self.encoder, self.prior, self.decoder, *self.terms)
        return tuple(dict.fromkeys(itertools.chain.from_iterable(part.needs for part in parts)))

    @property
    def extrinsic(self) -> tuple[int, ...] | None:
        """Positions of the factors whose groups the decoder is trained on; None if batches need no groups."""
        return getattr(self.decoder, "extrinsic", None)

    @property
    def critics(self) -> list[Critic]:
        """The opponents in the terms, each a player with variables and an optimizer of its own."""
        return [critic for term in self.terms for critic in term.critics]

    def schedules_now(self) -> dict[str, float]:
        """Returns what changes with the training step, at the current one: `weight/kl`, `target/kl`, ..."""
        step = int(tf.convert_to_tensor(self.step.value))
        named = [pair for term in self.terms for pair in term.schedules.items()]
        return {name: schedule.at(step) for name, schedule in named}

    @property
    def _default_save_signature(self) -> None:
        """No signature of its own: Keras would trace a whole training-time pass on `x` alone into every SavedModel."""
        return

    def __str__(self):
        return " + ".join(str(term) for term in self.terms)


def noise_of(seed: int, stream: tf.Tensor | int, x: tf.Tensor) -> tf.Tensor:
    """Returns a stateless seed, int32 [2], for one batch: differs by seed, by stream and by content."""
    base = tf.stack([seed, tf.cast(stream, tf.int32)])
    return tf.random.experimental.stateless_fold_in(base, tf.reduce_sum(tf.bitcast(x, tf.int32)))

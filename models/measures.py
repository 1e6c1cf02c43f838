"""What an evaluation asks of a trained model beside its codes: bounds on the likelihood, and codes of noisy inputs."""

import keras
import tensorflow as tf

from models.autoencoder import noise_of
from models.features.spec import FeatureSpec
from models.signatures import Outputs, Signatures


class Measures:
    """Entry points for the evaluation, as functions of serialized examples.

    Args:
        model: an autoencoder.
        signatures: its serving entry points, which turn examples into batches.
        spec: description of the data, resolved.
    """

    def __init__(self, model: keras.Model, signatures: Signatures, spec: FeatureSpec):
        self._model = model
        self._signatures = signatures
        self._spec = spec

    def likelihood(self, examples: tf.Tensor, samples: tf.Tensor) -> Outputs:
        """Returns two lower bounds on log p(x) from the same codes.

            elbo = E log w,  iwae = log (1/K) sum_k w_k,  w = p(x|z) p(z) / q(z|x),  z ~ q(z|x)

        With many samples the second is the importance-sampled log-likelihood. Noise depends on the batch, so an
        example's numbers differ a little from batch to batch.

        Args:
            examples: serialized examples, [batch].
            samples: how many codes K of each example to draw, one after another, [].

        Returns:
            `elbo` and `iwae`, nats, [batch].

        Reference:
            Burda, Grosse, Salakhutdinov 2016, Importance Weighted Autoencoders, arXiv:1509.00519, Eq. 8.
        """
        batch = self._signatures.batch(examples, roles=True)
        x, context = batch["x"], self._model.context(batch)
        posterior, prior = self._model.encode(x, context), self._model.prior(context=context)
        seed = noise_of(self._model.seed, 0, x)

        def draw(k: tf.Tensor, total: tf.Tensor, log_sum: tf.Tensor):
            z = posterior.sample(seed=tf.random.experimental.stateless_fold_in(seed, k))
            evidence = self._model.decode(z, context).log_prob(context.target) + prior.log_prob(z)
            log_weight = evidence - posterior.log_prob(z)
            return k + 1, total + log_weight, tf.reduce_logsumexp(tf.stack([log_sum, log_weight]), axis=0)

        nothing = tf.zeros(tf.shape(x)[:1])
        empty = tf.fill(tf.shape(x)[:1], -float("inf"))
        start = (tf.constant(0), nothing, empty)
        _, total, log_sum = tf.while_loop(lambda k, *_: k < samples, draw, start)
        count = tf.cast(samples, tf.float32)
        return {"elbo": total / count, "iwae": log_sum - tf.math.log(count)}

    def noisy(self, examples: tf.Tensor, level: tf.Tensor) -> Outputs:
        """Returns the codes of inputs with Gaussian noise.

        Args:
            examples: serialized examples, [batch].
            level: standard deviation of the noise, in units of the model's input: of the range of pixels, of the
                standard deviation of a vector's entries and a table's numeric columns; others stay as they are, [].

        Returns:
            `embedding`, [batch, latent].
        """
        x = self._signatures.inputs(examples)
        noise = tf.random.stateless_normal(tf.shape(x), noise_of(self._model.seed, 1, x))
        if self._spec.kind == "table":
            numeric = tf.range(tf.shape(x)[1]) < len(self._spec.numeric)
            noise = tf.where(numeric, noise, tf.zeros_like(noise))
        return {"embedding": self._model.encode(x + level * noise).mean()}

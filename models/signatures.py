"""The entry points of an exported encoder, as functions of tensors."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from models.estimators import kl
from models.features.encoding import assemble, graph_inputs, parse, scale_image
from models.features.images import decode_images
from models.features.spec import IMAGE, VECTOR, FeatureSpec

Outputs = dict[str, tf.Tensor]


class Signatures:
    """What an exported encoder answers to. Every function works row by row and starts by fixing shapes.

    A tensor of a wrong rank that reaches a convolution would end the whole process.

    Args:
        model: an autoencoder.
        transform: what Transform learned.
        spec: description of the data, resolved.
        letterbox: whether image files keep their aspect ratio when they are fitted to the spec's shape.
    """

    def __init__(
        self,
        model: keras.Model,
        transform: tft.TFTransformOutput,
        spec: FeatureSpec,
        letterbox: bool = True,
    ):
        self.layer = transform.transform_features_layer()
        self._declared = transform.raw_feature_spec()
        self._model = model
        self._spec = spec
        self._letterbox = letterbox

    def serving_default(self, examples: tf.Tensor) -> Outputs:
        """Returns the codes of serialized examples [batch]."""
        return self._codes(self.inputs(examples))

    def embed(self, raw: Mapping[str, tf.Tensor]) -> Outputs:
        """Returns the codes of raw tensors by feature key; a missing number is NaN, a missing text empty."""
        return self._codes(self.of_tensors(raw))

    def embed_bytes(self, image_bytes: tf.Tensor) -> Outputs:
        """Returns the codes of encoded image files [batch]."""
        return self._codes(self.of_files(image_bytes))

    def score(self, examples: tf.Tensor) -> Outputs:
        """Returns rate, distortion and ELBO of serialized examples [batch], nats each.

        The distortion is taken at the posterior mean, -log p(x | E[z|x]), so that an example always gets
        the same score; the training's metric of this name averages over samples of z. Label and sensitive
        attribute are read where the model needs them; without a label, a label's distortion is 0.
        """
        batch = self.batch(examples, roles=True)
        context = self._model.context(batch)
        posterior = self._model.encode(batch["x"])
        rate = self._rate(posterior)
        distortion = -self._model.decode(posterior.mean(), context).log_prob(context.target)
        return {"rate": rate, "distortion": distortion, "elbo": -(rate + distortion)}

    def baseline(self, examples: tf.Tensor) -> Outputs:
        """Returns the flattened model inputs and the model's codes of serialized examples [batch]."""
        x = self.inputs(examples)
        features = tf.reshape(x, [-1, self._spec.width])
        return {"features": features, "random": self._model.encode(x).mean()}

    def inputs(self, examples: tf.Tensor) -> tf.Tensor:
        """Returns the model's input [batch, *event] of serialized examples [batch]."""
        return self.batch(examples)["x"]

    def of_tensors(self, raw: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the model's input [batch, *event] of raw tensors by feature key, as `embed` takes them."""
        raw = {key: tf.ensure_shape(value, self.tensors[key].shape) for key, value in raw.items()}
        return scale_image(raw[IMAGE]) if self._spec.kind == "image" else self._transformed(raw)["x"]

    def of_files(self, image_bytes: tf.Tensor) -> tf.Tensor:
        """Returns the model's input [batch, *event] of encoded image files [batch]."""
        files = tf.ensure_shape(image_bytes, [None])
        return scale_image(decode_images(files, self._spec, self._letterbox))

    def surprise(self, x: tf.Tensor) -> Outputs:
        """Returns the codes of the model's inputs [batch, *event] and, where it can be had, the distortion of `score`.

        It can be had where the decoder explains x and is told the code alone: a request need not hold a label or an
        attribute. (Ground-truth factors only say how training batches are grouped.)
        """
        posterior, decoder = self._model.encode(x), self._model.decoder
        codes = self._outputs(posterior)
        if decoder.target != "x" or {"label", "sensitive"}.intersection(decoder.needs):
            return codes
        return codes | {"distortion": -self._model.decode(posterior.mean()).log_prob(x)}

    @property
    def tensors(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `embed` by feature key."""
        spec = self._spec
        if spec.kind == "image":
            return {IMAGE: tf.TensorSpec([None, *spec.shape], spec.dtype)}
        if spec.kind == "vector":
            return {VECTOR: tf.TensorSpec([None, *spec.shape], tf.float32)}
        kinds = {"numeric": tf.float32, "categorical": tf.string}
        return {c.name: tf.TensorSpec([None], kinds[c.kind]) for c in spec.columns}

    def batch(self, examples: tf.Tensor, *, roles: bool = False) -> dict[str, tf.Tensor]:
        """Returns the model's batch of serialized examples [batch], with label and attribute where `roles` says so."""
        return self._transformed(parse(tf.ensure_shape(examples, [None]), self._spec, roles=roles))

    def _transformed(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return assemble(self.layer(graph_inputs(raw, self._declared)), self._spec)

    def _codes(self, x: tf.Tensor) -> Outputs:
        return self._outputs(self._model.encode(x))

    def _outputs(self, posterior: Any) -> Outputs:
        return {"embedding": posterior.mean(), "stddev": posterior.stddev(), "rate": self._rate(posterior)}

    def _rate(self, posterior: Any) -> tf.Tensor:
        # Where there is no closed form the estimate is taken at the mean: a row's rate must not depend on its batch.
        return kl(posterior, self._model.prior(), posterior.mean())

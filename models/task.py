"""What a training is asked to do: the Trainer's `custom_config` as one object."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from models import recipes
from models.features.spec import FeatureSpec

LONG = 20_000


@dataclass(frozen=True)
class Task:
    """One training.

    Args:
        spec: description of the data; `resolved` fills in what Transform learned.
        model: the configuration's `model` section: recipe, latent, network, likelihood, parameters.
        training: its `training` section.
        seed: decides every random draw.
        images: its `data.images` section, where the data are images.
        missing: its `data.missing` texts, which the encoder's record keeps for reading other inputs alike.
        checkpoints: folder for the checkpoints of this very training, until it has succeeded.
    """

    spec: FeatureSpec
    model: Mapping[str, Any]
    training: Mapping[str, Any]
    seed: int
    images: Mapping[str, Any] | None
    missing: Sequence[str]
    checkpoints: str

    @classmethod
    def of(cls, custom_config: Mapping[str, Any]) -> "Task":
        """Returns the task of a Trainer's `custom_config`; keys that only name the code's version are left."""
        spec = FeatureSpec.from_json(custom_config["spec"])
        images = custom_config["images"] if spec.kind == "image" else None
        rest = {name: custom_config[name] for name in ("model", "training", "seed", "missing", "checkpoints")}
        return cls(spec=spec, images=images, **rest)

    def resolved(self, spec: FeatureSpec) -> "Task":
        """Returns the task with what Transform learned about the data."""
        return dataclasses.replace(self, spec=spec)

    def build(self) -> keras.Model:
        """Returns the autoencoder with the initial weights that the seed decides."""
        section = dict(self.model)
        recipe, parameters = section.pop("recipe"), section.pop("parameters")
        return recipes.build(recipe, self.spec, seed=self.seed, **section, **parameters)

    def compiles(self, model: keras.Model, *, steps: int) -> bool:
        """Returns whether XLA compiles the training step.

        On a CPU, XLA makes the steps of dense networks 10 to 20 % faster and those of convolutions twice
        as slow; compiling takes about ten seconds, which short trainings do not earn back.

        Args:
            model: the model to train.
            steps: the most steps it is trained for.
        """
        if self.training["xla"] != "auto":
            return self.training["xla"] == "on"
        if tf.config.list_physical_devices("GPU"):
            return True
        convolves = any(len(weight.shape) > 2 for weight in model.trainable_weights)
        return steps >= LONG and not convolves

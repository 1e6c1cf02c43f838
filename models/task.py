"""What a training is asked to do: the Trainer's `custom_config` as one object."""

import dataclasses
from collections.abc import Mapping
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
        data: its `data` section, with absolute paths.
        checkpoints: folder for the checkpoints of this very training, until it has succeeded.
    """

    spec: FeatureSpec
    model: Mapping[str, Any]
    training: Mapping[str, Any]
    seed: int
    data: Mapping[str, Any]
    checkpoints: str

    @classmethod
    def of(cls, custom_config: Mapping[str, Any]) -> "Task":
        """Returns the task of a Trainer's `custom_config`; keys that only name the code's version are left."""
        spec = FeatureSpec.from_json(custom_config["spec"])
        rest = {name: custom_config[name] for name in ("model", "training", "seed", "data", "checkpoints")}
        return cls(spec=spec, **rest)

    @property
    def images(self) -> Mapping[str, Any] | None:
        """How image files become arrays (the section `data.images`), where the data are images."""
        return self.data["images"] if self.spec.kind == "image" else None

    @property
    def configuration(self) -> dict[str, Any]:
        """What decides the training, as the run's configuration says it: the data, the model, the training, the seed.

        What does not decide it (names, folders, what is measured and served) is left out, so that the Trainer's
        cache outlives changes there.
        """
        return {name: getattr(self, name) for name in ("data", "model", "training", "seed")}

    def resolved(self, spec: FeatureSpec) -> "Task":
        """Returns the task with what is known about the data by now: vocabularies, the number of examples."""
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

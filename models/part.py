"""What every layer of a model has in common: it is saved by its arguments and knows what data it needs."""

import dataclasses
import inspect
from typing import Any, ClassVar, Self

import keras

PACKAGE = "metaprior"


class Configured:
    """Saves an object by the arguments of its constructor, each kept as an attribute of the same name.

    `get_config` returns exactly those arguments beside the ones of the Keras base class, so a subclass
    only has to keep them. Objects among them (networks, schedules, other parts) are saved in turn.
    """

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON."""
        arguments = inspect.signature(type(self).__init__).parameters.values()
        own = {p.name: getattr(self, p.name) for p in arguments if p.kind != p.VAR_KEYWORD and p.name != "self"}
        return super().get_config() | keras.saving.serialize_keras_object(own)  # pyright: ignore

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Returns the object that `get_config` described."""
        return cls(**keras.saving.deserialize_keras_object(config))


class Fields:
    """Base of frozen dataclasses that are arguments of parts: saved by their fields."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable(PACKAGE)(cls)

    def get_config(self) -> dict[str, Any]:
        """Returns the fields."""
        return dataclasses.asdict(self)  # pyright: ignore[reportArgumentType]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Returns the object that `get_config` described."""
        return cls(**config)


def ensure_built(layer: keras.Layer, input_shape: tuple[int | None, ...]) -> None:
    """Creates a layer's variables, unless loading from a file has done so already."""
    if not layer.built:
        layer.build(input_shape)


class Part(Configured, keras.Layer):
    """A layer that a model is composed of: a factor, a prior, a term or a scale.

    Subclasses are registered with Keras as `metaprior>ClassName`, so that a saved model does not depend
    on where a class lives.

    Attributes:
        needs: roles the data must have for this part: `label`, `sensitive`, `factors`.
    """

    needs: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable(PACKAGE)(cls)

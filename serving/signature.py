"""What can be asked of a model: names, types and shapes of what goes in and comes out."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from serving.status import invalid
from serving.tensors import Kind

Shape = tuple[int, ...] | None  # -1 for a free dimension, None for an unknown rank


@dataclass(frozen=True)
class Tensor:
    """An input or output of a signature."""

    name: str
    kind: Kind
    shape: Shape


@dataclass(frozen=True)
class Signature:
    """An entry point of a model.

    `batch_major` says that there are inputs and the first axis of each, and of every output, is free, so that
    requests can be run together.
    """

    name: str
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    defaults: Mapping[str, np.ndarray]

    @functools.cached_property
    def batch_major(self) -> bool:
        """Whether requests may be concatenated."""
        free_inputs = all(t.shape is not None and t.shape[:1] == (-1,) for t in self.inputs.values())
        free_outputs = all(t.shape is None or t.shape[:1] == (-1,) for t in self.outputs.values())
        return bool(self.inputs) and free_inputs and free_outputs

    def check_shapes(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Refuses arrays that cannot be meant: a wrong rank that reaches a kernel can end the process.

        Raises:
            ServingError: INVALID_ARGUMENT, in the words of `tf.ensure_shape`.
        """
        for alias, array in inputs.items():
            expected = self.inputs[alias].shape
            if expected is not None and not _compatible(array.shape, expected):
                raise invalid(
                    f"Shape of tensor {alias} {_written(array.shape)} is not compatible with expected shape "
                    f"{_written(expected)}."
                )


def _compatible(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return len(shape) == len(expected) and all(e in (-1, s) for s, e in zip(shape, expected, strict=True))


def _written(shape: tuple[int, ...]) -> str:
    return f"[{','.join('?' if size < 0 else str(size) for size in shape)}]"

"""What a server answered: arrays by output name, and the embedding space they are of."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.errors import unfit

if TYPE_CHECKING:
    import pandas
    import pyarrow

EMBEDDING = "embedding"


class Answer(dict[str, np.ndarray]):
    """Arrays by output name, one row for each row that was sent; strings are bytes objects.

    Args:
        arrays: the outputs.
        version: version of the model that answered, None where the server does not tell.
        space: id of the embedding space, None where the server does not tell. Embeddings of different spaces
            must never be compared.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], *, version: int | None = None, space: str | None = None):
        super().__init__(arrays)
        self.version = version
        self.space = space

    def rows(self) -> int:
        """Returns the number of rows.

        Raises:
            InvalidRequest: an output has no rows, or not as many as the others.
        """
        counts = {len(array) if array.ndim else -1 for array in self.values()}
        if len(counts) != 1 or -1 in counts:
            raise unfit(f"outputs {', '.join(self)} do not have the same number of rows.")
        return counts.pop()

    def to_arrow(self) -> "pyarrow.Table":
        """Returns a table with one column per output; vectors are lists.

        Its metadata name space and version as `metaprior embed` does, under the key `metaprior`.

        Raises:
            InvalidRequest: the outputs are not row by row.
        """
        import pyarrow as pa

        self.rows()
        return pa.table({name: _column(array) for name, array in self.items()}, metadata=self._record())

    def to_pandas(self) -> "pandas.DataFrame":
        """Returns a data frame with one column per output; a vector is an array in a cell.

        `attrs` has `space` and `version`.

        Raises:
            InvalidRequest: the outputs are not row by row.
        """
        import pandas as pd

        frame = pd.DataFrame({name: _cells(array) for name, array in self.items()}, index=range(self.rows()))
        frame.attrs.update(space=self.space, version=self.version)
        return frame

    def _record(self) -> dict[str, str] | None:
        if self.space is None:
            return None
        record: dict[str, Any] = {"space": self.space, "version": self.version}
        if EMBEDDING in self and self[EMBEDDING].ndim == 2:
            record["latent"] = self[EMBEDDING].shape[1]
        return {"metaprior": json.dumps(record, sort_keys=True)}


def _column(array: np.ndarray) -> "pyarrow.Array":
    import pyarrow as pa

    if array.dtype.kind == "O":
        column = pa.array(array.ravel().tolist(), pa.binary())
    else:
        column = pa.array(np.ascontiguousarray(array).ravel())
    # From the innermost axis outwards.
    for axis in range(array.ndim - 1, 0, -1):
        width, count = array.shape[axis], int(np.prod(array.shape[:axis]))
        offsets = pa.array(np.arange(count + 1, dtype=np.int32) * np.int32(width))
        column = pa.ListArray.from_arrays(offsets, column)
    return column


def _cells(array: np.ndarray) -> Any:
    return array if array.ndim == 1 else list(array)


def join(answers: Sequence[Answer], sent: Sequence[int]) -> Answer:
    """Returns the answer to a request that travelled in pieces.

    Args:
        answers: the answers, in the order of the pieces.
        sent: number of rows of each piece.

    Raises:
        InvalidRequest: an output does not have a row for each row that was sent.
    """
    for answer, count in zip(answers, sent, strict=True):
        for name, array in answer.items():
            if not array.ndim or len(array) != count:
                raise unfit(
                    f"output {name} does not have one row for each row sent, so that the {sum(sent)} rows cannot "
                    "travel in pieces. Send fewer, or give the client a larger `batching`."
                )
    first = answers[0]
    if len(answers) == 1:
        return first
    arrays = {name: np.concatenate([answer[name] for answer in answers]) for name in first}
    return Answer(arrays, version=first.version, space=first.space)

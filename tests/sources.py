"""How tests open a source, read it, and hear why it is refused."""

import numpy as np
import pytest

from models.errors import InputError
from pipeline.config import Data
from pipeline.ingestion import open_source


def opened(path, *, expected=None, **data):
    return open_source(Data(source=str(path), **data), expected=expected)


def records(source):
    return [record for shard in source.shards() for record in source.read(shard)]


def refusal(path, **data):
    """The message with which a source is refused, while it is opened, described or read."""
    with pytest.raises(InputError) as caught:
        records(opened(path, **data))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def save(tmp_path):
    def save(name="data.npz", **arrays):
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return save


@pytest.fixture
def table(tmp_path):
    def write(text, name="t.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write

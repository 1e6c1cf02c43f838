"""Which kind of source a configuration means."""

import difflib
from pathlib import Path

from models.errors import InputError
from models.features.spec import FeatureSpec
from pipeline.config import Data, SourceKind
from pipeline.ingestion.digits import Digits
from pipeline.ingestion.images import ImageFolder, is_image
from pipeline.ingestion.keras_datasets import DATASETS, KerasDataset
from pipeline.ingestion.npz import Npz
from pipeline.ingestion.source import Source, suggestion
from pipeline.ingestion.sprites import Sprites
from pipeline.ingestion.table import Table
from pipeline.ingestion.table_files import SUFFIXES as TABLE_SUFFIXES
from pipeline.ingestion.table_files import is_table

KINDS: dict[SourceKind, type[Source]] = {
    source.kind: source for source in (Digits, Npz, ImageFolder, KerasDataset, Table, Sprites)
}
BUILT_IN: dict[str, SourceKind] = {"digits": "digits", "sprites": "sprites", **dict.fromkeys(DATASETS, "keras")}
"""Name of a built-in source -> its kind."""


def open_source(data: Data, *, seed: int = 0, expected: FeatureSpec | None = None) -> Source:
    """Returns the source that a configuration names; nothing is read yet.

    In this order: the configured kind, a built-in name, a folder (of images, or of tables), the ending
    of a file's name. A path that is called like a built-in is written with a slash: `./digits`.

    Args:
        data: the configuration's `data` section.
        seed: the run's seed, for the sources that draw at random.
        expected: the spec of a trained model that the examples are meant for.

    Raises:
        InputError: if there is no such path, or it is of no known kind.

    Example:
        >>> open_source(Data(source="digits")).describe().spec.shape
        (8, 8, 1)
    """
    kind = data.kind or BUILT_IN.get(data.source) or _kind_of_path(data.source)
    own = [name for name, built_in in BUILT_IN.items() if built_in == kind]
    if own and data.source not in own:
        raise InputError(f"data.source: {data.source} is not of kind {kind}. {suggestion(data.source, own)}")
    if not own:
        _existing(data.source)
    return KINDS[kind](data, seed=seed, expected=expected)


def _existing(source: str) -> Path:
    path = Path(source).expanduser()
    if not path.exists():
        near = difflib.get_close_matches(source, BUILT_IN, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Check the path, or use one of {', '.join(BUILT_IN)}."
        raise InputError(f"data.source: no such file or folder: {source}. {hint}")
    return path


def _kind_of_path(source: str) -> SourceKind:
    path = _existing(source)
    if path.is_dir():
        return _kind_of_folder(path)
    if path.name.lower().endswith(".npz"):
        return "npz"
    if is_table(path.name):
        return "table"
    if is_image(path.name):
        raise InputError(f"data.source: {source} is one image. Give the folder it lies in.")
    endings = ", ".join((".npz", *TABLE_SUFFIXES))
    raise InputError(f"data.source: cannot tell what {source} is. Use one of {endings}, or set data.kind.")


def _kind_of_folder(path: Path) -> SourceKind:
    names = [entry.name for entry in path.iterdir() if entry.is_file()]
    tables = any(is_table(name) for name in names) and not any(is_image(name) for name in names)
    return "table" if tables else "images"

"""Folders of image files; the subfolder an image lies in is its class."""

import itertools
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from models.errors import InputError
from models.features.spec import IMAGE, FeatureSpec
from pipeline.ingestion.source import Description, Record, Shard, Source, file_fingerprint, log

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp")
LABEL = "class"
FILES = 8192
BATCH = 64
LARGE = 512 * 512
GREY_MODES = ("1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L")


class ImageFolder(Source):
    """PNG, JPEG, GIF and BMP files in a folder and the folders below it.

    The class of an image is the first folder of its path below the source, under the key `class`;
    an image outside any subfolder has none. The id is the path. Files with other endings and hidden
    ones are left alone. Without `data.images.size` and `data.images.channels` the first image (by path)
    decides. Files are decoded by `models.features.images.decode_image`, the function that the exported
    model serves, so that a served file gives exactly the pixels it would have given in training.
    """

    kind = "images"

    @cached_property
    def folder(self) -> Path:
        """The folder."""
        return Path(self.data.source).expanduser().resolve()

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Paths of the images relative to the folder, with slashes, sorted."""
        if not self.folder.is_dir():
            raise InputError(f"data.source: {self.data.source} is not a folder. Give the folder the images lie in.")
        found, others = [], 0
        for parent, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            images = [name for name in names if is_image(name)]
            others += len(names) - len(images)
            found += [Path(parent, name).relative_to(self.folder).as_posix() for name in images]
        if not found:
            has = f"no images, only {others} other files" if others else "no files"
            raise InputError(f"data.source: {self.data.source} holds {has}. PNG, JPEG, GIF and BMP files are read.")
        return tuple(sorted(found))

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the list of files behind: a worker gets its own in each shard."""
        return {name: value for name, value in self.__dict__.items() if name != "files"}

    def _inspect(self) -> Description:
        self.only_label(LABEL)
        spec = self.settle(self._expected_size() or self._first_size())
        fingerprint = file_fingerprint(self.folder / name for name in self.files)
        return Description("images", self.name, spec, len(self.files), fingerprint)

    def _expected_size(self) -> FeatureSpec | None:
        """A model's images have its size whatever size the files have."""
        return self.expected if self.expected and self.expected.kind == "image" else None

    def _first_size(self) -> FeatureSpec:
        images, first = self.data.images, self.folder / self.files[0]
        mode, (width, height) = self._header(first)
        size = images.size or (height, width)
        if size[0] * size[1] > LARGE:
            log.warning("images of %dx%d train slowly: set data.images.size to make them smaller", *size)
        channels = images.channels or (1 if mode in GREY_MODES else 3)
        return FeatureSpec("image", (*size, channels), "uint8", label=self._label())

    def _label(self) -> str | None:
        classes = {label for name in self.files if (label := _class_of(name))}
        if self.data.label and len(classes) < 2:
            has = f"one class only ({min(classes)!r})" if classes else "no subfolders to name classes"
            raise InputError(f"data.label: {self.name} has {has}. Add a subfolder a class, or remove data.label.")
        return LABEL if len(classes) > 1 else None

    def _header(self, path: Path) -> tuple[str, tuple[int, int]]:
        try:
            with Image.open(path) as image:
                return image.mode, image.size
        except OSError as error:
            raise _corrupt(path) from error

    def _shards(self) -> list[Shard]:
        """Returns shards of at most 8,192 files."""
        files = self.files
        return [Shard("", start, files[start : start + FILES]) for start in range(0, len(files), FILES)]

    def read(self, shard: Shard) -> Iterator[Record]:
        """Yields the decoded images of one shard, in order."""
        spec = self.spec
        batches = self._batches([self.folder / name for name in shard.items])
        for name, image in zip(shard.items, itertools.chain.from_iterable(batches), strict=True):
            record: Record = {IMAGE: image, spec.id: name}
            if spec.label and (label := _class_of(name)):
                record[spec.label] = label
            yield record

    def _batches(self, paths: list[Path]) -> Iterator[np.ndarray]:
        """Yields the pixels of 64 files at a time: fetching each by itself would cost more than decoding it."""
        import tensorflow as tf  # slow to import, and not needed to describe

        files = tf.data.Dataset.from_tensor_slices([os.fsencode(path) for path in paths])
        batches = files.map(self._decode, num_parallel_calls=2).batch(BATCH).prefetch(1).as_numpy_iterator()
        for start in range(0, len(paths), BATCH):
            self._refuse_palettes(paths[start : start + BATCH])
            try:
                yield next(batches)
            except tf.errors.OpError:
                self._refuse_corrupt(paths[start : start + BATCH])
                raise

    def _decode(self, path: Any) -> Any:
        import tensorflow as tf

        from models.features.images import decode_image

        return decode_image(tf.io.read_file(path), self.spec, self.data.images.letterbox)

    def _refuse_palettes(self, paths: list[Path]) -> None:
        for path in paths:
            if path.suffix.lower() == ".bmp" and self._header(path)[0] in ("1", "P"):
                raise InputError(f"{path}: BMP files with a palette are not supported. Save it as PNG.")

    def _refuse_corrupt(self, paths: list[Path]) -> None:
        import tensorflow as tf

        for path in paths:
            try:
                self._decode(os.fsencode(path))
            except tf.errors.OpError as error:
                raise _corrupt(path) from error


def is_image(name: str) -> bool:
    """Tells whether a file's name is that of an image, by its ending in any case."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _class_of(name: str) -> str | None:
    parts = PurePosixPath(name).parts
    return parts[0] if len(parts) > 1 else None


def _corrupt(path: Path) -> InputError:
    return InputError(f"{path}: cannot be decoded as an image. Replace it or take it out of the folder.")

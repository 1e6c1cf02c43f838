"""Arrays in `.npz` files, streamed row by row so that a file may be larger than memory."""

import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from models.errors import InputError
from models.features.spec import IMAGE, VECTOR, FeatureSpec, Target
from pipeline.ingestion.arrays import EXAMPLES, ArraySource, Block, row_spec, to_rows
from pipeline.ingestion.source import Classes, Description, Ids, Role, Shard, file_fingerprint, log, suggestion
from pipeline.ingestion.targets import TargetArray
from pipeline.ingestion.values import class_texts

BLOCK_BYTES = 1 << 22
WHOLE_BYTES = 1 << 28
ROLE_ROWS = 65_536
USUAL = ("x_train", "x", "images")
"""Names an array of examples usually has, the likeliest first."""
PARTED = ("x_train", "x_test")


@dataclass(frozen=True)
class Member:
    """One array of an npz file: its header, read without its content."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool

    @property
    def what(self) -> str:
        """What messages call the array."""
        return f"{self.path.name}: array {self.name!r}"

    def rows_per_block(self) -> int:
        """Returns how many rows fill about four megabytes."""
        return min(ROLE_ROWS, max(1, BLOCK_BYTES // max(1, self._row_bytes)))

    @property
    def _row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Yields the array in blocks of `rows` rows, holding one block at a time.

        An array in Fortran order has its first row spread over the whole file; a small one is loaded whole.

        Raises:
            InputError: if the file is damaged, or the array is a large one in Fortran order.
        """
        with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.name}.npy") as stream:
            _read_header(stream)
            if self.fortran:
                yield from self._slices(stream, rows)
                return
            for start in range(0, self.shape[0], rows):
                yield self._block(stream, min(rows, self.shape[0] - start))

    def _slices(self, stream, rows: int) -> Iterator[np.ndarray]:
        size = self.shape[0] * self._row_bytes
        if size > WHOLE_BYTES:
            raise InputError(
                f"{self.what} is in Fortran order, so it cannot be read row by row, and has {size / 2**20:,.0f} MiB, "
                f"more than the {WHOLE_BYTES >> 20} MiB that are read at once. Save numpy.ascontiguousarray of it."
            )
        whole = self._block(stream, self.shape[0], order="F")
        yield from (whole[start : start + rows] for start in range(0, len(whole), rows))

    def _block(self, stream, rows: int, *, order: Literal["C", "F"] = "C") -> np.ndarray:
        size = rows * self._row_bytes
        try:
            content = stream.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise InputError(f"{self.what} is damaged ({error}). Save the file again.") from error
        if len(content) < size:
            raise InputError(f"{self.what} ends early. Save the file again.")
        return np.frombuffer(content, self.dtype).reshape(rows, *self.shape[1:], order=order)


def _read_header(stream) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def members(path: Path) -> dict[str, Member]:
    """Returns the arrays of an npz file by name, reading nothing but their headers.

    Raises:
        InputError: if it is not an npz file, or holds an array of Python objects.
    """
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.namelist():
                if entry.endswith(".npy"):
                    with archive.open(entry) as stream:
                        shape, fortran, dtype = _read_header(stream)
                    name = entry.removesuffix(".npy")
                    found[name] = Member(path, name, shape, dtype, fortran and len(shape) > 1)
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise InputError(f"{path.name}: not an npz file ({error}). Write it with numpy.savez.") from error
    if not found:
        raise InputError(f"{path.name}: holds no arrays. Write it with numpy.savez.")
    return found


class Npz(ArraySource):
    """Examples from one array of an npz file, labels and other roles from arrays beside it.

    The examples are `data.array`; without it `x_train`, `x`, `images`, or the only array with two or
    more dimensions. Where `x_train` is taken by default and `x_test` is there too (the layout of
    keras.datasets), both parts are read; then a role `y_train`, or `y` for short, means `y_test` in
    the second part.
    """

    kind = "npz"

    @cached_property
    def path(self) -> Path:
        """The file."""
        return Path(self.data.source).expanduser().resolve()

    @cached_property
    def parts(self) -> dict[str, dict[str, Member]]:
        """The arrays of each part: the examples under `EXAMPLES`, roles under their feature keys."""
        arrays = members(self.path)
        examples = self._examples(arrays)
        found = {}
        for part, rows in examples.items():
            roles = ((role.key, self._role(arrays, role, part, rows)) for role in self.roles())
            found[part] = {EXAMPLES: rows} | {key: member for key, member in roles if member}
        return found

    @property
    def ids(self) -> Ids | None:
        """The array of ids, if there is one."""
        named = [part[self.spec.id] for part in self.parts.values() if self.spec.id in part]
        return Ids(named[0].what, 0, "leave data.id out" if self.data.id else "rename it") if named else None

    def _shards(self) -> list[Shard]:
        """Returns one shard a part: a compressed array can only be read from its start."""
        return [Shard(part) for part in self.parts]

    def blocks(self, shard: Shard) -> Iterator[Block]:
        """Yields one part in blocks of about four megabytes."""
        arrays = self.parts[shard.name]
        rows = arrays[EXAMPLES].rows_per_block()
        for blocks in zip(*(array.blocks(rows) for array in arrays.values()), strict=True):
            yield dict(zip(arrays, blocks, strict=True))

    def array_name(self, shard: Shard) -> str:
        """Returns what messages call the examples of a part."""
        return self.parts[shard.name][EXAMPLES].what

    def _inspect(self) -> Description:
        examples = [part[EXAMPLES] for part in self.parts.values()]
        layouts = [row_spec(array.shape, array.dtype, what=array.what) for array in examples]
        if layouts[-1] != layouts[0]:
            raise InputError(
                f"{examples[-1].what} is unlike {examples[0].name!r} in shape or type. Set data.array to one."
            )
        spec = self.settle(self._spec(layouts[0]))
        for array in examples:
            rows = to_rows(next(array.blocks(array.rows_per_block())), spec, what=array.what)
            if spec.kind == "image" and array.dtype == np.uint8 and rows.max() <= 1:
                log.warning("%s seems to hold 0 and 1 as uint8, almost black: save it as bool", array.what)
        if self.expected is None:
            self._check_classes(spec)
        count = sum(array.shape[0] for array in examples)
        return Description("npz", self.name, spec, count, file_fingerprint([self.path]))

    def _spec(self, layout: dict) -> FeatureSpec:
        keys = {role.role: role.key for role in self.roles()}
        new = self.expected is None
        sizes = [self._factor_size(name) for name in self.data.factors] if new else []
        targets = [self._target(name) for name in self.data.targets] if new else []
        return FeatureSpec(
            **layout,
            id=keys["id"],
            label=keys.get("label"),
            sensitive=keys.get("sensitive"),
            factors=self.data.factors,
            factor_sizes=tuple(sizes),
            targets=tuple(targets),
        )

    def _examples(self, arrays: dict[str, Member]) -> dict[str, Member]:
        if self.data.array is not None:
            if self.data.array not in arrays:
                raise self._unknown("array", self.data.array, arrays)
            return {"": arrays[self.data.array]}
        if set(PARTED) <= set(arrays):
            return {name.removeprefix("x_"): arrays[name] for name in PARTED}
        usual = [name for name in USUAL if name in arrays]
        wide = usual or [name for name, array in arrays.items() if len(array.shape) >= 2]
        if not usual and len(wide) != 1:
            listed = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise InputError(
                f"{self.name}: cannot tell which array holds the examples. Set data.array to one of: {listed}."
            )
        return {"": arrays[wide[0]]}

    def _role(self, arrays: dict[str, Member], role: Role, part: str, rows: Member) -> Member | None:
        name = f"{role.name.removesuffix('_train')}_{part}" if part else role.name
        if name not in arrays:
            if role.required:
                raise self._unknown(role.role, name, arrays)
            return None
        member = arrays[name]
        where = f"data.{role.role}: {member.what}"
        if role.key in (IMAGE, VECTOR):
            raise InputError(f"{where} has the key of the examples themselves. Rename it.")
        if member.dtype.hasobject:
            raise InputError(f"{where} holds Python objects. Save it as text or numbers.")
        several = role.role == "targets" and len(member.shape) == 2 and member.shape[1] > 1
        if len(member.shape) != 1 and not several and (len(member.shape) != 2 or member.shape[1] != 1):
            choice = ", or a matrix of 0 and 1 (examples, labels)" if role.role == "targets" else ""
            raise InputError(f"{where} has shape {member.shape}. Save one value an example{choice}.")
        if member.shape[0] != rows.shape[0]:
            raise InputError(
                f"{where} has {member.shape[0]} values, but {rows.name!r} has {rows.shape[0]} rows. "
                "Save one value an example."
            )
        return member if several else replace(member, shape=member.shape[:1])

    def _unknown(self, key: str, name: str, arrays: dict[str, Member]) -> InputError:
        return InputError(f"data.{key}: no array named {name!r} in {self.name}. {suggestion(name, arrays)}")

    def _columns(self, key: str) -> Iterator[np.ndarray]:
        for part in self.parts.values():
            if key in part:
                yield from part[key].blocks(ROLE_ROWS)

    def _factor_size(self, name: str) -> int:
        size = 0
        for block in self._columns(name):
            if block.dtype.kind not in "iu" or block.min(initial=0) < 0:
                raise InputError(f"data.factors: array {name!r} of {self.name} must hold integers 0, 1, 2, ...")
            size = max(size, int(block.max(initial=-1)) + 1)
        return size

    def _target(self, name: str) -> Target:
        seen = TargetArray(name, f"{self.name}: array {name!r}", missing=self.data.missing)
        for part in self.parts.values():
            start = 0
            for block in part[name].blocks(ROLE_ROWS):
                seen.add(block, start)
                start += len(block)
        return seen.close()

    def _check_classes(self, spec: FeatureSpec) -> None:
        for role in ("label", "sensitive"):
            key = getattr(spec, role)
            if key is None:
                continue
            what = f"{self.name}: array {key!r}"
            classes = Classes(role, what)
            for block in self._columns(key):
                classes.add(class_texts(block, role=role, what=what, missing=self.data.missing))
            classes.close()

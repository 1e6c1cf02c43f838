"""Tables in CSV and Parquet files, one row an example."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from models.errors import InputError
from models.features.spec import FeatureSpec
from pipeline.ingestion import cells, table_files
from pipeline.ingestion.columns import Profile, infer_columns
from pipeline.ingestion.source import (
    Description,
    Ids,
    Record,
    Role,
    Shard,
    Source,
    file_fingerprint,
    log,
    suggestion,
)
from pipeline.ingestion.targets import table_target


class Table(Source):
    """A CSV or Parquet file, or a folder of them with the same columns.

    CSV files are UTF-8 with a line of column names; cells may be quoted and are stripped. One pass over
    all rows infers the columns. A missing cell is an absent feature, never a dropped row. Without
    `data.id` (or a column `id`) the id is the number of the row from 0, after the file's name where
    there are several files.
    """

    kind = "table"

    @cached_property
    def files(self) -> list[Path]:
        """The files, sorted by name."""
        path = Path(self.data.source).expanduser().resolve()
        if not path.is_dir():
            return [path]
        files = sorted(file for file in path.iterdir() if table_files.is_table(file.name))
        if not files:
            endings = ", ".join(table_files.SUFFIXES)
            raise InputError(
                f"data.source: no tables in the folder {self.data.source}. Their names must end in {endings}."
            )
        return files

    @cached_property
    def names(self) -> list[str]:
        """The names of all columns, in the first file's order."""
        names = table_files.column_names(self.files[0])
        for path in self.files[1:]:
            other = set(table_files.column_names(path)) ^ set(names)
            if other:
                raise InputError(
                    f"{path.name}: its columns differ from those of {self.files[0].name} in {min(other)!r}. "
                    "All files of a folder need the same columns."
                )
        return names

    @cached_property
    def columns_of(self) -> dict[str, Role]:
        """The roles that columns of this table play, by feature key."""
        self._check_configured()
        columns = self.data.columns
        other = {*columns.numeric, *columns.categorical, *columns.ignore}
        roles = (role for role in self.roles() if role.required or role.name not in other)
        return {role.key: role for role in roles if role.name in self.names}

    def _check_configured(self) -> None:
        columns = self.data.columns
        wanted = [(f"data.{role.role}", role.name) for role in self.roles() if role.required]
        for kind in ("numeric", "categorical", "ignore"):
            wanted += [(f"data.columns.{kind}", name) for name in getattr(columns, kind)]
        for key, name in wanted:
            if name not in self.names:
                raise InputError(f"{key}: no column {name!r} in {self.name}. {suggestion(name, self.names)}")

    def _inspect(self) -> Description:
        spec, count = self._infer() if self.expected is None else (self._agreed(), None)
        return Description("table", self.name, spec, count, file_fingerprint(self.files))

    def _agreed(self) -> FeatureSpec:
        spec = self.settle(FeatureSpec("table", (len(self.names),)))
        for column in spec.columns:
            if column.name not in self.names:
                nearest = suggestion(column.name, self.names)
                raise InputError(f"{self.name}: no column {column.name!r}, which the model needs. {nearest}")
        return spec

    def _infer(self) -> tuple[FeatureSpec, int]:
        roles = list(self.columns_of.values())
        profiles, count = self._profile()
        taken = {role.name for role in roles}
        inputs = [profile for name, profile in profiles.items() if name not in taken]
        columns = infer_columns(inputs, self.data.columns, source=self.name)
        for role in roles:
            if role.role in ("label", "sensitive"):
                profiles[role.name].check_classes(role.role)
        keys = {role.role: role.key for role in roles}
        factors, targets = ([role.name for role in roles if role.role == group] for group in ("factors", "targets"))
        spec = FeatureSpec(
            "table",
            (len(columns),),
            columns=columns,
            id=keys.get("id") or self._free_key(),
            label=keys.get("label"),
            sensitive=keys.get("sensitive"),
            factors=tuple(factors),
            factor_sizes=tuple(profiles[name].factor_size() for name in factors),
            targets=tuple(table_target(profiles[name], self.data.columns) for name in targets),
        )
        return spec, count

    def _free_key(self) -> str:
        """A key for row numbers that is no input column's name."""
        key = "id"
        while key in self.names and key not in self.data.columns.ignore:
            key = f"row_{key}"
        return key

    def _profile(self) -> tuple[dict[str, Profile], int]:
        """Looks at all rows; returns what each column holds, ids and ignored ones left out, and the rows' number."""
        ids = {role.name for role in self.columns_of.values() if role.role == "id"}
        named = {role.name for role in self.columns_of.values()} - ids
        unnamed = {name for name in self.names if name.startswith(table_files.UNNAMED)}
        if unnamed:
            log.warning("%s: %d column(s) without a name are left out", self.name, len(unnamed))
        left_out = ids | unnamed | set(self.data.columns.ignore) - named
        numeric = self.data.columns.numeric
        profiles = {
            name: Profile(name, self._what(name), strict=name in numeric) for name in self.names if name not in left_out
        }
        count = 0
        for path in self.files:
            for batch in table_files.batches(path):
                for name, profile in profiles.items():
                    profile.add(self._column(batch, name), count)
                count += batch.num_rows
        return profiles, count

    def _what(self, name: str) -> str:
        return f"{self.name}: column {name!r}"

    def _column(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        return cells.clean(batch.column(name), missing=self.data.missing, what=self._what(name))

    @property
    def ids(self) -> Ids | None:
        """The column of ids, if there is one."""
        role = self.columns_of.get(self.spec.id)
        if role is None:
            return None
        otherwise = "leave data.id out" if self.data.id else f"add {role.name!r} to data.columns.ignore"
        return Ids(self._what(role.name), 1, otherwise)

    def _shards(self) -> list[Shard]:
        """Returns one shard a CSV file, and one a row group of a Parquet file."""
        return [
            Shard(str(path), start, (group,)) for path in self.files for start, group in table_files.row_groups(path)
        ]

    def read(self, shard: Shard) -> Iterator[Record]:
        """Yields the rows of one shard."""
        start = shard.start
        for batch in table_files.batches(Path(shard.name), *shard.items):
            columns = self._values(batch, start)
            columns[self.spec.id] = self._ids(batch, Path(shard.name), start)
            for row in zip(*columns.values(), strict=True):
                yield {key: value for key, value in zip(columns, row, strict=True) if value is not None}
            start += batch.num_rows

    def _values(self, batch: pa.RecordBatch, start: int) -> dict[str, list[Any]]:
        """Returns the values of inputs and roles by feature key; None is missing."""
        kinds = {column.name: (column.name, column.kind) for column in self.spec.columns}
        quantities = {target.name for target in self.spec.targets if target.kind == "regression"}
        for key, role in self.columns_of.items():
            if role.role != "id":
                kind = "factor" if role.role == "factors" else "numeric" if key in quantities else "categorical"
                kinds[key] = (role.name, kind)
        values = {}
        for key, (name, kind) in kinds.items():
            column = self._column(batch, name)
            if kind == "categorical":
                values[key] = cells.texts(column).to_pylist()
                continue
            numbers = cells.numbers(column, what=self._what(name), start=start)
            values[key] = numbers.cast(pa.int64() if kind == "factor" else pa.float64()).to_pylist()
        return values

    def _ids(self, batch: pa.RecordBatch, path: Path, start: int) -> list[str]:
        role = self.columns_of.get(self.spec.id)
        if role is None:
            prefix = f"{path.name}-" if len(self.files) > 1 else ""
            return [f"{prefix}{row}" for row in range(start, start + batch.num_rows)]
        ids = cells.texts(self._column(batch, role.name)).to_pylist()
        if None in ids:
            row = start + ids.index(None) + 1
            raise InputError(f"data.id: {self._what(role.name)} is empty in row {row}. Fill it in.")
        return ids

"""The check that no two examples have the same id: splits, samples and comparisons go by it."""

from pathlib import Path

import apache_beam as beam

from models.errors import InputError
from pipeline.ingestion.source import Ids

Place = tuple[str, int]
"""The file or part an example belongs to, and its row there, from 0."""


@beam.typehints.with_input_types(tuple[str, Place])
class RefuseRepeated(beam.PTransform):
    """(id, place) of every example -> nothing; the pipeline fails if an id stands in two places.

    No worker holds more than two places of an id at a time; ids meet by Beam's own shuffle. Of several
    repeated ids, the one whose second place comes first is told, in every run.

    Args:
        ids: what the ids are, for the message.
    """

    def __init__(self, ids: Ids):
        super().__init__()
        self._ids = ids

    def expand(self, input_or_inputs):
        """Adds the steps: the first two places of each id, those with two, the first of them, the refusal."""
        return (
            input_or_inputs
            | "FirstTwo" >> beam.combiners.Top.SmallestPerKey(2)
            | "Repeated" >> beam.Filter(_is_repeated)
            | "First" >> beam.combiners.Top.Smallest(1, key=_second_place)
            | "Refuse" >> beam.Map(_refuse, ids=self._ids)
        )


def _is_repeated(found: tuple[str, list[Place]]) -> bool:
    return len(found[1]) > 1


def _second_place(found: tuple[str, list[Place]]) -> Place:
    return found[1][1]


def _refuse(first: list[tuple[str, list[Place]]], ids: Ids) -> None:
    for id, places in first:
        one, other = (_in_words(place, ids) for place in places)
        raise InputError(
            f"data.id: {ids.what} holds {id!r} in {one} and in {other}. Name one whose values are unique, or "
            f"{ids.otherwise} to number the rows."
        )


def _in_words(place: Place, ids: Ids) -> str:
    name, row = place
    return f"row {row + ids.first}{f' of {Path(name).name}' if name else ''}"

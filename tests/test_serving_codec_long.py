"""Long documents and arrays are read and written in pieces, and nobody can tell from the result."""

import asyncio
import json
import math
import threading

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serving import codec, cutting, documents, nests
from serving.aside import Aside, discard
from serving.status import ServingError
from serving.tensors import BY_NAME

CALM = settings(deadline=None, derandomize=True, max_examples=150)
TEXT = st.text(st.sampled_from('ab,[]{}"\\: é'), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=30,
)


@pytest.fixture(scope="module", autouse=True)
def tiny_pieces():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "LONG", 0)
        patch.setattr(nests, "SLICE", 4)
        patch.setattr(nests, "SMALL", 2)
        patch.setattr(codec, "SLICE", 4)
        yield patch


def outcome(function, *args):
    """Returns what came of a call, in a form in which NaN is equal to itself."""
    try:
        return repr(function(*args))
    except ServingError as error:
        return error.message


def loaded(text, piece, monkeypatch):
    monkeypatch.setattr(cutting, "PIECE", piece)
    return documents.loads(text)


@CALM
@given(
    VALUES, st.sampled_from([1, 2, 3, 7, 20]), st.sampled_from([None, 2]), st.booleans(), st.sampled_from(["", " x]"])
)
@example({"a": [[1, 2], {"b": "\\", "c": ['"', ","]}], "d": math.inf}, 1, None, True, "")
def test_a_document_in_pieces_is_the_document(tiny_pieces, value, piece, indent, ascii_only, behind):
    text = (json.dumps(value, indent=indent, ensure_ascii=ascii_only) + behind).encode()
    assert repr(loaded(text, piece, tiny_pieces)) == repr(value)


@CALM
@given(VALUES, st.data())
def test_a_broken_document_is_refused_in_pieces_if_it_is_in_one(tiny_pieces, value, data):
    text = json.dumps(value).encode()
    place = data.draw(st.integers(0, len(text)))
    broken = text[:place] + data.draw(st.sampled_from([b"", b",", b"]", b"}", b"[", b'"', b"1"])) + text[place + 1 :]
    whole, cut = (outcome(loaded, broken, piece, tiny_pieces) for piece in (1 << 20, 3))
    # Where it is broken may be told otherwise: a key without value shows only at the end of a piece.
    assert whole.startswith("JSON Parse error") == cut.startswith("JSON Parse error")
    assert whole == cut or whole.startswith("JSON Parse error")


def test_the_place_of_a_fault_is_told_within_the_document(tiny_pieces):
    text = b'{"instances": [' + b"1.5, " * 100 + b"nul]}"
    assert (
        outcome(loaded, text, 32, tiny_pieces) == f"JSON Parse error: Expecting value at offset: {text.index(b'nul')}"
    )


@pytest.mark.parametrize("text", [b"[1e400]", b"[-1e400]", b"[NaN, 1e400]", b"1" * 310, b"[-" + b"9" * 5000 + b"]"])
def test_what_no_double_holds_is_refused(text):
    assert outcome(documents.loads, text) == "JSON Parse error: Number too big to be stored in double."


def test_all_tokens_of_rapidjson_are_numbers():
    found = documents.loads(b'[NaN, -NaN, Inf, -Inf, Infinity, -Infinity, "Inf, -NaN"]')
    assert repr(found) == "[nan, nan, inf, -inf, inf, -inf, 'Inf, -NaN']"


@pytest.mark.parametrize("token", [b"", b", NaN"])
def test_what_no_integer_type_holds_is_a_double(token):
    text = b"[-9223372036854775808, 18446744073709551615, -9223372036854775809, 18446744073709551616" + token + b"]"
    assert repr(documents.loads(text)[:4]) == (
        "[-9223372036854775808, 18446744073709551615, -9.223372036854776e+18, 1.8446744073709552e+19]"
    )


LEAVES = st.sampled_from([0.5, 1, 2**24, 1e39, math.nan, math.inf, True, "QQ==", None, {"b64": "QQ"}, {"b64": "Q"}])
NESTS = st.recursive(LEAVES, lambda inner: st.lists(inner, min_size=1, max_size=6), max_leaves=40)
REGULAR = st.tuples(st.integers(1, 6), st.integers(1, 6), LEAVES, st.integers(0, 35), LEAVES)


def one_odd(given_nest):
    rows, columns, leaf, place, odd = given_nest
    nest = [[leaf] * columns for _ in range(rows)]
    nest[place % rows][place % columns] = odd
    return nest


@CALM
@given(
    st.lists(NESTS, min_size=1, max_size=9) | REGULAR.map(one_odd), st.sampled_from(["float", "int8", "string", "bool"])
)
def test_a_nest_in_slices_is_the_nest_and_its_first_fault_is_the_same(tiny_pieces, value, name):
    whole = {}
    for size in (1 << 20, 4):
        tiny_pieces.setattr(nests, "SLICE", size)
        whole[size] = [
            outcome(lambda: nests.decode(value, BY_NAME[name]).tolist()),
            outcome(lambda: codec.decode_inputs({"instances": value}, {"x": BY_NAME[name]})[1]["x"].tolist()),
        ]
    assert whole[4] == whole[1 << 20]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("wrong", [0, 1, 700, 999])
def test_the_first_wrong_row_is_found_among_many(named, wrong):
    rows: list[list[object]] = [[float(number)] for number in range(1000)]
    rows[wrong] = ["x"]
    rows[-1] = [None]
    kind = {"x": BY_NAME["float"]}
    pauses = []
    found = outcome(
        codec.decode_inputs,
        {"instances": [{"x": row} for row in rows] if named else rows},
        kind,
        lambda: pauses.append(0),
    )
    assert found.startswith(f"Failed to process element: {wrong}{' key: x' if named else ''} of 'instances' list. ")
    # Each slice is looked at twice, parts of some more often; one by one it would be 1000 times more.
    assert len(pauses) < 1000


OUTPUTS = [
    {"y": np.arange(40, dtype=np.float32).reshape(10, 4) / 3},
    {"y": np.full((3, 2, 50), np.nan, np.float32), "z": np.arange(3)},
    {"y": np.array([[1.5, math.inf], [-math.inf, math.nan]]), "null": np.array([b"null", b"\xff"], object)},
    {"y_bytes": np.array([b"a" * 999, b"", b"b"] * 9, object)},
]


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("outputs", OUTPUTS, ids=["matrix", "nan", "mixed", "strings"])
def test_an_answer_in_slices_is_the_answer(outputs, rows):
    pauses = []
    pieces = codec.encode_outputs(outputs, rows, lambda: pauses.append(0))
    whole = codec.encode_outputs(outputs, rows)
    assert bytes(pieces) == whole
    assert len(pauses) > 2
    found = documents.loads(whole)["predictions" if rows else "outputs"]
    first = next(iter(outputs))
    if rows and len(outputs) > 1:
        found = {alias: [row[alias] for row in found] for alias in outputs}
    array = outputs[first]
    if array.dtype.kind == "f":
        np.testing.assert_array_equal(np.array(found[first] if len(outputs) > 1 else found, array.dtype), array)


def test_what_is_not_finite_is_written_wherever_it_stands():
    document = {"results": [[("null", np.float32("nan")), ("b", np.float32(0.1))]], "x": [float("-inf"), None]}
    text = documents.dumps(document)
    assert text == b'{"results":[[["null",NaN],["b",0.1]]],"x":[-Infinity,null]}'


def test_work_that_nobody_waits_for_ends_and_work_behind_it_is_done():
    begun = threading.Event()

    def endless(pause):
        while True:
            begun.set()
            pause()

    async def main():
        aside = Aside(threads=1)
        waiting = asyncio.create_task(aside.run(True, endless))
        await asyncio.to_thread(begun.wait)
        waiting.cancel()
        done = await aside.run(True, lambda text, pause: text, "done")
        aside.close()
        return done, waiting.cancelled()

    assert asyncio.run(main()) == ("done", True)


def test_a_discarded_document_is_empty():
    rows = [{"x": [1.0] * 9, "y": [[2.0] * 40000] * 2} for _ in range(3)]
    document = {"instances": rows, "signature_name": "a"}
    discard(document)
    assert document == {"instances": [], "signature_name": "a"}

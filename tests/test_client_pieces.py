"""How the client cuts, gathers and asks, without a server: nothing here waits for anything."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.answer import Answer
from serving.asking import Asking
from serving.errors import NotFound, RequestError, TooLarge, too_large
from serving.grpc_calls import GrpcCalls
from serving.pieces import Batching, cut, gather, split
from serving.rest_calls import RestCalls
from serving.status import Code
from serving.tensors import BY_NAME
from serving.wire import Metadata, SignatureInfo, Target, TensorInfo, pause

FLOATS = SignatureInfo({"x": TensorInfo(BY_NAME["float"], (-1, 2))}, {"y": TensorInfo(BY_NAME["float"], (-1, 2))})
TEXTS = SignatureInfo({"x": TensorInfo(BY_NAME["string"], (-1,))}, {"y": TensorInfo(BY_NAME["float"], (-1,))})
WHOLE = SignatureInfo({"x": TensorInfo(BY_NAME["float"], (-1, 2))}, {"y": TensorInfo(BY_NAME["float"], ())})
LIMITS = st.builds(Batching, rows=st.integers(1, 9), bytes=st.integers(1, 60))


@given(lengths=st.lists(st.integers(0, 40), min_size=1, max_size=40), limits=LIMITS)
def test_pieces_are_within_the_limits_as_large_as_they_can_be_and_in_order(lengths, limits):
    texts = np.array([bytes(length) for length in lengths], np.object_)
    pieces = [piece["x"].tolist() for piece in split({"x": texts}, TEXTS, limits)]
    assert list(itertools.chain.from_iterable(pieces)) == texts.tolist()
    sizes = [sum(map(len, piece)) for piece in pieces]
    for piece, size in zip(pieces, sizes, strict=True):
        assert 1 <= len(piece) <= limits.rows
        assert size <= limits.bytes or len(piece) == 1
    for (piece, size), following in zip(zip(pieces, sizes, strict=True), pieces[1:], strict=False):
        assert len(piece) == limits.rows or size + len(following[0]) > limits.bytes


@given(sizes=st.lists(st.integers(0, 40), max_size=40), limits=LIMITS)
def test_examples_are_gathered_as_they_are_cut(sizes, limits):
    blocks = list(gather((bytes(size) for size in sizes), limits))
    assert list(itertools.chain.from_iterable(blocks)) == [bytes(size) for size in sizes]
    texts = np.array([bytes(size) for size in sizes], np.object_)
    assert blocks == [piece["x"].tolist() for piece in split({"x": texts}, TEXTS, limits) if len(piece["x"])]


def test_numbers_are_cut_by_their_bytes_without_a_copy():
    rows = np.arange(20, dtype=np.float32).reshape(10, 2)
    pieces = [piece["x"] for piece in split({"x": rows}, FLOATS, Batching(bytes=24))]
    assert [len(piece) for piece in pieces] == [3, 3, 3, 1]
    assert all(np.shares_memory(piece, rows) for piece in pieces)
    assert [len(block) for block in cut(rows, Batching(bytes=24))] == [3, 3, 3, 1]


def test_what_has_no_rows_stays_in_one_piece():
    rows = np.zeros([10, 2], np.float32)
    assert len(split({"x": rows}, WHOLE, Batching(rows=3))) == 1
    assert len(split({"x": rows[:0]}, FLOATS, Batching(rows=3))) == 1


@pytest.mark.parametrize("name", ["rows", "bytes", "in_flight"])
def test_limits_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"^`{name}` must be at least 1. Received: {name}=0.$"):
        Batching(**{name: 0})


def paths(calls):
    return [call.path for call in calls]


def test_pieces_are_asked_of_the_version_that_was_seen_and_once_more_where_it_went_away():
    asking = Asking(RestCalls("http://server"), "m", Batching(rows=2), independent_rows=True)
    rows = np.zeros([4, 2], np.float32)
    answer = Answer({"y": rows[:2]}, version=2)
    steps = asking.predict(rows, asking.target(signature="f"))

    def seen(version: int) -> list[Metadata]:
        return [Metadata(version, {"f": FLOATS})]

    assert paths(next(steps)) == ["/v1/models/m/metadata"]
    assert paths(steps.send(seen(1))) == ["/v1/models/m/metadata"]
    assert paths(steps.send(seen(1))) == ["/v1/models/m/versions/1:predict"] * 2
    assert paths(steps.throw(NotFound(Code.NOT_FOUND, "gone"))) == ["/v1/models/m/metadata"]
    assert paths(steps.send(seen(2))) == ["/v1/models/m/versions/2:predict"] * 2
    with pytest.raises(StopIteration) as end:
        steps.send([answer, answer])
    assert len(end.value.value["y"]) == 4
    again = asking.predict(rows[:2], asking.target(signature="f"))
    assert paths(next(again)) == ["/v1/models/m:predict"]


def test_a_version_that_was_named_is_not_replaced():
    asking = Asking(RestCalls("http://server"), "m", Batching(rows=2), independent_rows=True)
    steps = asking.predict(np.zeros([4, 2], np.float32), asking.target(version=1, signature="f"))
    next(steps)
    steps.send([Metadata(1, {"f": FLOATS})])
    steps.send([Metadata(1, {"f": FLOATS})])
    with pytest.raises(NotFound, match="^NOT_FOUND: gone$"):
        steps.throw(NotFound(Code.NOT_FOUND, "gone"))


@pytest.mark.parametrize(
    ("told", "signature", "space", "requests"),
    [
        (None, "f", None, 1),  # x - mean(x) has the shapes of a function of rows, too
        (None, "f", "5bace", 2),
        (None, "", None, 2),
        (True, "f", None, 2),
        (False, "", "5bace", 1),
    ],
)
def test_rows_are_parted_only_where_they_are_known_to_be_independent(told, signature, space, requests):
    asking = Asking(RestCalls("http://server"), "m", Batching(rows=2), independent_rows=told)
    steps = asking.predict(np.zeros([4, 2], np.float32), asking.target(signature=signature))
    seen = [Metadata(1, {"f": FLOATS, "embed": FLOATS}, space)]
    next(steps)
    calls = steps.send(seen)
    if requests > 1:
        calls = steps.send(seen)  # it looks again, for one version to answer all
    assert [path.partition(":")[2] for path in paths(calls)] == ["predict"] * requests


def test_a_model_whose_rows_have_become_dependent_gets_no_pieces():
    asking = Asking(RestCalls("http://server"), "m", Batching(rows=2))
    steps = asking.predict(np.zeros([4, 2], np.float32), asking.target(signature="f"))
    next(steps)
    steps.send([Metadata(1, {"f": FLOATS}, "5bace")])
    with pytest.raises(RequestError, match=r"^ABORTED: m is another model than before\. Ask again\.$"):
        steps.send([Metadata(2, {"f": FLOATS})])


def test_what_is_too_large_and_may_not_be_parted_is_told_with_the_ways_out():
    asking = Asking(RestCalls("http://server"), "m", Batching(rows=2))
    steps = asking.predict(np.zeros([4, 2], np.float32), asking.target(signature="f"))
    next(steps)
    steps.send([Metadata(1, {"f": FLOATS})])
    with pytest.raises(TooLarge) as caught:
        steps.throw(too_large("More than 8 bytes."))
    assert caught.value.message == (
        "More than 8 bytes. The 4 rows travel in one request, because nothing says that m answers each of them by "
        "itself. If it does, give the client independent_rows=True; if not, send fewer, or have the server take larger "
        "requests."
    )


def test_no_message_of_grpc_is_begun_that_it_cannot_hold():
    rows = np.zeros([1 << 29, 2], np.float32)  # of memory that is never touched
    call = GrpcCalls().predict(Target("m", signature="f"), {"x": rows}, FLOATS)
    assert call.body is not None
    with pytest.raises(TooLarge, match=r"The inputs take 4,294,967,296 bytes; a gRPC message holds 2,147,483,647"):
        call.body()


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "Tue, 24 Nov 2026 20:00:00 GMT"}, None),
        ({"retry-after": "2", "grpc-retry-pushback-ms": "150"}, 0.15),
        ({"retry-after": "2", "grpc-retry-pushback-ms": "-1"}, float("inf")),
        ({"grpc-retry-pushback-ms": "soon"}, float("inf")),
    ],
)
def test_a_server_says_how_long_it_wants_to_be_left_alone(told, seconds):
    assert pause(told) == seconds


def test_a_label_is_a_path_of_its_own():
    asking = Asking(RestCalls("http://server"), "a model", Batching())
    assert paths(next(asking.metadata(asking.target(label="for/now")))) == [
        "/v1/models/a%20model/labels/for%2Fnow/metadata"
    ]

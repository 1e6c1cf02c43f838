"""The client's large inputs, tables, patience and errors, against the embedded server and hanging sockets."""

import asyncio
import itertools
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf

from serving.client import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidRequest,
    NotFound,
    Unreachable,
)
from serving.pieces import Batching
from serving.server import Options, Server

MANY = np.arange(2000, dtype=np.float32).reshape(1000, 2)
SMALL = Batching(rows=64, in_flight=3)


class Encoder(tf.Module):
    """Each signature shows one kind of input; the code of a row is a function of that row alone."""

    def __init__(self, version: int):
        super().__init__()
        self.version = tf.Variable(float(version))

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def vectors(self, x):
        x = tf.ensure_shape(x, [None, 2])
        return {"embedding": x + self.version, "rate": tf.reduce_sum(x, 1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "age"), tf.TensorSpec([None], tf.string, "job")])
    def table(self, age, job):
        age = tf.where(tf.math.is_nan(age), -1.0, age)
        return {"embedding": tf.stack([age, tf.cast(tf.strings.length(job), tf.float32)], 1), "job_bytes": job}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def files(self, image_bytes):
        return {"embedding": tf.cast(tf.strings.length(image_bytes), tf.float32)[:, None]}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def centered(self, x):
        return {"y": x - tf.reduce_mean(x, 0)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def distinct(self, x):
        return {"values": tf.unique(tf.reshape(x, [-1])).y}


def publish(base: Path, version: int) -> None:
    encoder = Encoder(version)
    signatures = {
        "serving_default": encoder.vectors,
        "embed": encoder.vectors,
        "embed_bytes": encoder.files,
        "table": encoder.table,
        "centered": encoder.centered,
        "distinct": encoder.distinct,
    }
    tf.saved_model.save(encoder, str(base / f".{version}"), signatures=signatures)
    (base / f".{version}").rename(base / str(version))


def options(base: Path, **others) -> Options:
    ports = {"port": "any", "rest_api_port": "any"}
    return Options.model_validate({"model_name": "encoder", "model_base_path": base} | ports | others)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams") / "encoder"
    folder.mkdir()
    publish(folder, 1)
    return folder


@pytest.fixture(scope="module")
def server(base):
    with Server(options(base)) as running:
        yield running


@pytest.fixture(params=["grpc", "rest"])
def where(request, server):
    return {f"{request.param}_port": getattr(server, f"{request.param}_port")}


def in_loop(where, use, **settings):
    """Runs an asynchronous use of a client in a loop of its own."""

    async def run():
        async with AsyncClient(**where, **settings) as client:
            return await use(client)

    return asyncio.run(run())


def test_a_large_array_travels_in_pieces_and_comes_back_whole_sync_and_async(where):
    with Client(**where, batching=SMALL) as client:
        answer = client.embed(MANY)
    other = in_loop(where, lambda client: client.embed(MANY), batching=SMALL)
    for found in (answer, other):
        np.testing.assert_array_equal(found["embedding"], MANY + 1)
        np.testing.assert_array_equal(found["rate"], MANY.sum(axis=1))
        assert found.version == 1


def test_threads_share_a_client(where):
    with Client(**where, batching=SMALL) as client, ThreadPoolExecutor(4) as threads:
        for number, answer in enumerate(threads.map(lambda number: client.embed(MANY * number), range(8))):
            np.testing.assert_array_equal(answer["embedding"], MANY * number + 1)


@pytest.mark.parametrize("form", ["array", "rows", "mapping", "tables", "frames"])
def test_streams_keep_the_order_in_bounded_requests(where, form, tmp_path):
    np.save(tmp_path / "many.npy", MANY)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(MANY.ravel()), 2)
    table = pa.table({"x": vectors, "more": np.arange(1000)})
    inputs = {
        "array": lambda: np.load(tmp_path / "many.npy", mmap_mode="r"),
        "rows": lambda: iter(MANY),
        "mapping": lambda: ({"x": row} for row in MANY),
        "tables": lambda: iter(table.to_batches(max_chunksize=100)),
        "frames": lambda: [pd.DataFrame({"x": list(MANY[:500])}), pd.DataFrame({"x": list(MANY[500:])})],
    }[form]
    with Client(**where, batching=SMALL) as client:
        answers = list(client.embed_many(inputs()))

    async def use(client):
        return [answer async for answer in client.embed_many(inputs())]

    for found in (answers, in_loop(where, use, batching=SMALL)):
        assert max(map(len, (answer["rate"] for answer in found))) <= SMALL.rows
        np.testing.assert_array_equal(np.concatenate([answer["embedding"] for answer in found]), MANY + 1)


def test_a_stream_reads_no_further_ahead_than_it_may(where):
    taken = itertools.count()

    def endless():
        for number in taken:
            yield np.full(2, number, np.float32)

    with Client(**where, batching=Batching(rows=10, in_flight=3)) as client:
        answers = client.embed_many(endless())
        for start in (0, 10, 20):
            np.testing.assert_array_equal(next(answers)["embedding"][:, 0], np.arange(start, start + 10) + 1)
        answers.close()
    assert next(taken) <= 10 * (3 + 3)


def test_an_asynchronous_stream_may_be_fed_by_one_and_be_left(where):
    async def rows():
        for row in MANY:
            await asyncio.sleep(0)
            yield row

    async def use(client):
        answers = client.embed_many(rows())
        first = await anext(answers)
        await answers.aclose()
        return first

    np.testing.assert_array_equal(in_loop(where, use, batching=SMALL)["embedding"], MANY[:64] + 1)


def test_files_are_read_as_they_are_sent(where, tmp_path):
    paths = [tmp_path / f"{size}.png" for size in range(1, 40)]
    for size, path in enumerate(paths, 1):
        path.write_bytes(bytes(size))
    with Client(**where, batching=Batching(bytes=100)) as client:
        answers = list(client.embed_many(paths))
        assert len(answers) > 7  # 780 bytes
        assert np.concatenate([answer["embedding"] for answer in answers]).ravel().tolist() == list(range(1, 40))
        assert client.embed(paths[:2])["embedding"].tolist() == [[1.0], [2.0]]
        with pytest.raises(InvalidRequest, match=r"none.png: cannot be read: No such file or directory\.$"):
            list(client.embed_many([*paths, tmp_path / "none.png"]))


def test_tables_go_in_by_column_and_come_out_as_tables(where):
    frame = pd.DataFrame({"age": [40.0, None], "job": pd.Categorical(["baker", None]), "pay": [1, 2]})
    table = pa.table({"job": ["baker", None], "age": pa.array([40, None], pa.int64())})
    with Client(**where) as client:
        for given in (frame, table, table.to_batches()[0], {"age": [40.0, np.nan], "job": ["baker", ""]}):
            answer = client.predict(given, signature="table")
            assert answer["embedding"].tolist() == [[40.0, 5.0], [-1.0, 0.0]]
        back = answer.to_arrow()
        assert back.schema.field("embedding").type == pa.list_(pa.float32())
        assert back.to_pydict() == {"embedding": [[40.0, 5.0], [-1.0, 0.0]], "job_bytes": [b"baker", b""]}
        pandas = answer.to_pandas()
        assert pandas["embedding"].iloc[0].tolist() == [40.0, 5.0]
        coded = pd.DataFrame({"age": [1, 2, 3], "job": [10.0, 2.5, None]})
        assert client.predict(coded, signature="table")["job_bytes"].tolist() == [b"10", b"2.5", b""]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (pd.DataFrame({"age": [1.0]}), "the table has no column job, which signature table takes. Its columns: age."),
        (
            pd.DataFrame({"age": [None, "old"], "job": ["x", "y"]}),
            "row 2: 'old' in column age is text, and the model takes a number there. Leave the cell empty if it is",
        ),
        (pa.table({"age": ["x"], "job": ["y"]}), "row 1: 'x' in column age is text, and the model takes a number"),
        (pa.table({"age": [[1], [2, 3]], "job": ["x", "y"]}), "column age must have lists of one length, none of them"),
        (pa.table({"age": [1.0], "job": [{"a": 1}]}), "the table cannot be read: "),
    ],
)
def test_tables_that_do_not_fit_are_refused(where, given, text):
    with Client(**where) as client, pytest.raises(InvalidRequest) as caught:
        client.predict(given, signature="table")
    assert str(caught.value).startswith(f"INVALID_ARGUMENT: {text}")


def test_rows_that_belong_together_travel_together(where):
    with Client(**where, batching=SMALL) as client:
        found = client.predict(MANY, signature="centered")
    other = in_loop(where, lambda client: client.predict(MANY, signature="centered"), batching=SMALL)
    for answer in (found, other):
        np.testing.assert_array_equal(answer["y"], MANY - MANY.mean(0))


def test_who_says_that_rows_belong_together_has_no_stream(where):
    text = "^INVALID_ARGUMENT: embed_many has each example answered by itself, and this client's independent_rows=False"
    with Client(**where, independent_rows=False) as client, pytest.raises(InvalidRequest, match=text):
        next(client.embed_many(MANY))


def test_what_is_not_row_by_row_is_not_put_together(where):
    settings = {"batching": SMALL, "independent_rows": True}
    with Client(**where, **settings) as client, pytest.raises(InvalidRequest) as caught:
        client.predict(MANY, signature="distinct")
    assert str(caught.value) == (
        "INVALID_ARGUMENT: output values does not have one row for each row sent, so that the 1000 rows cannot "
        "travel in pieces. Send fewer, or give the client a larger `batching`."
    )


def test_errors_have_types_and_codes(where):
    with Client(**where) as client:
        with pytest.raises(NotFound, match=r"^NOT_FOUND: Servable not found for request: Specific\(encoder, 9\)$"):
            client.embed(MANY, version=9)
        with pytest.raises(InvalidRequest, match=r"^INVALID_ARGUMENT: Shape of tensor x \[1,3\] is not compatible"):
            client.embed([[1.0, 2.0, 3.0]])
        with pytest.raises((InvalidRequest, FailedPrecondition), match="(?i)label"):
            client.embed(MANY, label="nope")
        with pytest.raises(InvalidRequest, match="for a version or for a label. Received: version=1, label=stable.$"):
            client.embed(MANY, version=1, label="stable")
        with pytest.raises(DeadlineExceeded):
            client.embed(MANY, timeout=1e-6)
    with Client(**where, model="other") as client, pytest.raises(NotFound):
        list(client.embed_many(MANY))


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_client_waits_for_a_server_that_is_still_starting(base, protocol):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    where = {f"{protocol}_port": port}
    ports = {"port": port} if protocol == "grpc" else {"rest_api_port": port}
    with Client(**where, attempts=None, timeout=60.0) as client, ThreadPoolExecutor(1) as threads:
        with Client(**where, attempts=1) as impatient, pytest.raises(Unreachable):
            impatient.status()
        waiting = threads.submit(client.embed, MANY[:1])
        with Server(options(base, **ports)):
            np.testing.assert_array_equal(waiting.result()["embedding"], MANY[:1] + 1)


def test_a_stream_stays_with_the_version_it_began_with(tmp_path):
    base = tmp_path / "encoder"
    base.mkdir()
    publish(base, 1)
    with (
        Server(options(base, keep_versions=2, file_system_poll_wait_seconds=0.05)) as server,
        Client(grpc_port=server.grpc_port, batching=SMALL) as client,
    ):
        answers = client.embed_many(MANY)
        first = next(answers)
        publish(base, 2)
        while client.embed(MANY[:1], timeout=30.0).version != 2:
            client.status()
        rest = list(answers)
        assert {answer.version for answer in [first, *rest]} == {1}
        np.testing.assert_array_equal(rest[-1]["embedding"], MANY[-len(rest[-1]["rate"]) :] + 1)
        assert client.embed(MANY).version == 2

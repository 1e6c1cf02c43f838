"""`metaprior query` on files and folders, streamed to a file of embeddings, and with a token."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from click.testing import CliRunner
from serving_stub import TOKEN, certificates, grpc_stub, rest_stub

from pipeline.cli.group import main
from serving.server import Options, Server


class Toy(tf.Module):
    """Answers as an exported encoder does; the codes are simple functions of the inputs."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "vector")])
    def embed(self, vector):
        code = tf.ensure_shape(vector, [None, 2]) * 2
        return {"embedding": code, "stddev": tf.ones_like(code), "rate": tf.reduce_sum(code, axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def embed_bytes(self, image_bytes):
        code = tf.cast(tf.strings.length(image_bytes), tf.float32)[:, None]
        return {"embedding": code, "stddev": code, "rate": code[:, 0]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "age"), tf.TensorSpec([None], tf.string, "job")])
    def table(self, age, job):
        return {"embedding": tf.stack([age, tf.cast(tf.strings.length(job), tf.float32)], axis=1)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("served") / "encoder"
    toy = Toy()
    signatures = {"embed": toy.embed, "embed_bytes": toy.embed_bytes, "table": toy.table}
    tf.saved_model.save(toy, str(base / "7"), signatures=signatures | {"serving_default": toy.embed})
    options = {"model_name": "encoder", "model_base_path": base, "port": "any", "rest_api_port": "any"}
    with Server(Options.model_validate(options)) as running:
        yield running


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the verb in a folder of its own; returns what click returns."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["query", *arguments], prog_name="metaprior")


@pytest.fixture
def query(run, server):
    return lambda *arguments: run(*arguments, "--port", str(server.grpc_port))


def rows_of(path) -> dict[str, list]:
    return pq.read_table(path).to_pydict()


def test_a_folder_becomes_a_file_of_embeddings_named_as_embed_names_them(query, tmp_path):
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    for name, size in (("b.png", 3), ("cats/a.JPG", 5), ("notes.txt", 9), (".hidden.png", 4)):
        (tmp_path / "photos" / name).write_bytes(b"x" * size)
    done = query("photos", "--out", "photos.parquet")
    assert (done.exit_code, done.output) == (0, "2 embeddings written to photos.parquet\n")
    assert rows_of(tmp_path / "photos.parquet") == {
        "id": ["b.png", "cats/a.JPG"],
        "embedding": [[3.0], [5.0]],
        "stddev": [[3.0], [5.0]],
        "rate": [3.0, 5.0],
    }
    schema = pq.read_schema(tmp_path / "photos.parquet")
    assert schema.field("embedding").type == pa.list_(pa.float32())
    assert [row.split()[0] for row in query("photos", "photos/b.png").output.splitlines()] == [
        "photos/b.png",
        "photos/cats/a.JPG",
        "photos/b.png",
    ]


def test_a_large_array_is_streamed_in_order(query, tmp_path):
    given = np.arange(6000, dtype=np.float64).reshape(3000, 2)
    np.save(tmp_path / "many.npy", given)
    assert query("many.npy", "--out", "codes.parquet").output == "3,000 embeddings written to codes.parquet\n"
    found = rows_of(tmp_path / "codes.parquet")
    assert found["id"] == [str(number) for number in range(3000)]
    np.testing.assert_array_equal(np.array(found["embedding"]), given * 2)
    lines = query("many.npy").output.splitlines()
    assert lines[2999] == "2999  23994.00 nats  11996.000 11998.000"


def test_a_bar_is_drawn_on_a_terminal_only(query, tmp_path, monkeypatch):
    np.save(tmp_path / "many.npy", np.zeros([3000, 2]))
    assert query("many.npy", "--out", "codes.parquet").stderr == ""
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    done = query("many.npy", "--out", "codes.parquet")
    assert "/3000" in done.stderr
    assert done.stdout == "3,000 embeddings written to codes.parquet\n"


def test_tables_are_read_alike_from_csv_and_parquet(query, tmp_path):
    (tmp_path / "rows.csv").write_text("job;age;pay\nbaker;40;1\n?;;2\n")
    table = pa.table({"pay": [1, 2], "age": pa.array([40, None], pa.int64()), "job": ["baker", None]})
    pq.write_table(table, tmp_path / "rows.parquet")
    expected = [[40.0, 5.0], [None, 0.0]]
    for name in ("rows.csv", "rows.parquet"):
        rows = json.loads(query(name, "--signature", "table", "--json").output)
        codes = [[None if np.isnan(value) else value for value in row["embedding"]] for row in rows]
        assert codes == expected
    vectors = pa.table({"vector": [[1.0, 2.0], [3.0, 4.0]], "id": ["a", "b"]})
    pq.write_table(vectors, tmp_path / "vectors.parquet")
    assert query("vectors.parquet").output == "0  6.00 nats  2.000 4.000\n1  14.00 nats  6.000 8.000\n"


def test_what_goes_wrong_on_the_way_leaves_no_file(query, tmp_path):
    cells = "\n".join(f"baker,{age}" for age in [*range(9000), "old"])
    (tmp_path / "rows.csv").write_text(f"job,age\n{cells}\n")
    (tmp_path / "codes.parquet").write_text("the one before")
    done = query("rows.csv", "--signature", "table", "--out", "codes.parquet")
    assert done.exit_code == 2
    assert done.stderr == (
        "metaprior: rows.csv: row 9001: 'old' in column age is not a number. Leave the cell empty if it is missing.\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codes.parquet", "rows.csv"]
    assert (tmp_path / "codes.parquet").read_text() == "the one before"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["empty"], "empty: holds no pictures. .png, .jpg, .jpeg, .gif, .bmp files are sent."),
        (["text.npy"], "text.npy: not a NumPy array that can be sent. Write numbers with numpy.save."),
        (["none.npy"], "none.npy: cannot be read: No such file or directory. Check the path."),
        (["none.npy", "--out", "codes.csv"], "--out codes.csv: must end in .parquet."),
        (["--out", "codes.parquet"], "--out: there is nothing to embed. Name an INPUT."),
        (["[[1, 2]]", "--out", "folder.parquet"], "folder.parquet: is a folder. Name a file that ends in .parquet."),
        (
            ["[[1, 2]]", "--token-file", "no"],
            "UNAUTHENTICATED: token file no cannot be read: No such file or directory.",
        ),
        (["[[1, 2]]", "--ca", "no"], "INVALID_ARGUMENT: ca file no cannot be read: No such file or directory."),
        (
            ["[[1, 2]]", "--label", "stable", "--version", "7"],
            "INVALID_ARGUMENT: a request is for a version or for a label. Received: version=7, label=stable.",
        ),
        (["7"], None),
        (['{"a": 1}'], "the JSON given: must be a list of rows, or a list of values by name."),
    ],
)
def test_what_cannot_be_asked_is_one_line(query, arguments, message, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "text.npy").write_text("text")
    done = query(*arguments)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert message is None or done.stderr == f"metaprior: {message}\n"


@pytest.mark.parametrize("stub", [grpc_stub, rest_stub])
def test_the_space_is_told_and_written_as_embed_writes_it(run, stub, tmp_path):
    with stub(token=TOKEN) as (port, _):
        (tmp_path / "token").write_text(TOKEN)
        where = ["--port" if stub is grpc_stub else "--rest-port", str(port), "--token-file", "token"]
        assert run("[[1.5], [2]]", "--out", "codes.parquet", *where).exit_code == 0
        refused = run("[[1.5], [2]]", *where[:2])
    assert rows_of(tmp_path / "codes.parquet") == {"id": ["0", "1"], "embedding": [[1.5], [2.0]]}
    record = json.loads(pq.read_schema(tmp_path / "codes.parquet").metadata[b"metaprior"])
    assert record == {"space": "5bace", "version": 3, "latent": 1}
    assert refused.stderr == "metaprior: UNAUTHENTICATED: The token is not known to this server.\n"
    assert refused.exit_code == 2


def test_an_authority_that_did_not_sign_the_servers_certificate_is_told(run, tmp_path):
    pems = certificates(tmp_path)
    with rest_stub(certificates=pems) as (port, _):
        done = run("[[1.5]]", "--rest-port", str(port), "--ca", "other.pem")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"metaprior: UNAVAILABLE: The certificate of https://127.0.0.1:{port} is not ")
    assert len(done.stderr.splitlines()) == 1

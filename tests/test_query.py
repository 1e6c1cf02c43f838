"""`metaprior query` against a real server with a small model behind it, and what it refuses before asking."""

import json

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from pipeline.cli.group import main
from serving.server import Options, Server


class Toy(tf.Module):
    """Answers as an exported encoder does; the codes are simple functions of the inputs."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "age"), tf.TensorSpec([None], tf.string, "job")])
    def embed(self, age, job):
        known = tf.cast(job != "", tf.float32)
        code = tf.stack([tf.where(tf.math.is_nan(age), -1.0, age), known], axis=1)
        return {"embedding": code, "stddev": tf.ones_like(code), "rate": tf.reduce_sum(code, axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def embed_bytes(self, image_bytes):
        code = tf.cast(tf.strings.length(image_bytes), tf.float32)[:, None]
        return {"embedding": code, "stddev": code, "rate": code[:, 0]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def shout(self, text):
        return {"loud": tf.strings.upper(text)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("served") / "encoder"
    toy = Toy()
    signatures = {"embed": toy.embed, "embed_bytes": toy.embed_bytes, "shout": toy.shout}
    signatures["serving_default"] = toy.embed
    tf.saved_model.save(toy, str(base / "7"), signatures=signatures)
    options = {"model_name": "encoder", "model_base_path": base, "port": "any", "rest_api_port": "any"}
    with Server(Options.model_validate(options)) as running:
        yield running


@pytest.fixture
def query(server, tmp_path, monkeypatch):
    """Runs the verb in a folder of its own; returns what click returns."""
    monkeypatch.chdir(tmp_path)
    port = ["--rest-port", str(server.rest_port)]
    return lambda *arguments: CliRunner().invoke(main, ["query", *port, *arguments], prog_name="metaprior")


def refusal(done) -> str:
    assert (done.exit_code, done.stdout) == (2, "")
    return done.stderr


def test_without_input_it_tells_what_is_served(query):
    lines = query().output.splitlines()
    assert lines[0] == "encoder version 7 AVAILABLE"
    assert "  embed: age float[?], job string[?] -> embedding float[?, 2], rate float[?], stddev float[?, 2]" in lines


def test_without_input_it_speaks_json_with_stable_keys(query):
    facts = json.loads(query("--json").output)
    assert set(facts) == {"versions", "version", "space", "signatures"}
    assert facts["versions"] == [{"version": 7, "state": "AVAILABLE", "code": "OK", "message": ""}]
    assert facts["signatures"]["shout"]["inputs"] == {"text": {"type": "string", "shape": [-1]}}


def test_pictures_are_embedded_by_their_bytes(query, tmp_path):
    for name, size in (("one.png", 3), ("two.JPG", 5)):
        (tmp_path / name).write_bytes(b"x" * size)
    assert query("one.png", "two.JPG").output.splitlines() == [
        "one.png  3.00 nats  3.000",
        "two.JPG  5.00 nats  5.000",
    ]
    rows = json.loads(query("one.png", "--json").output)
    assert rows == [{"input": "one.png", "embedding": [3.0], "rate": 3.0, "stddev": [3.0]}]


def test_rows_of_a_table_are_embedded_with_their_missing_cells(query, tmp_path):
    (tmp_path / "rows.csv").write_text("job,age,income\nbaker,40,yes\n?, ,no\n")
    assert query("rows.csv").output.splitlines() == [
        "0  41.00 nats  40.000 1.000",
        "1  -1.00 nats  -1.000 0.000",
    ]


@pytest.mark.parametrize(
    "text",
    [
        '[{"age": 1, "job": "x"}, {"age": 2, "job": "y"}]',
        '{"instances": [{"age": 1, "job": "x"}, {"age": 2, "job": "y"}]}',
        '{"inputs": {"age": [1, 2], "job": ["x", "y"]}}',
        '{"age": [1, 2], "job": ["x", "y"]}',
    ],
)
def test_json_is_taken_in_rows_and_in_columns_from_text_and_file(query, text, tmp_path):
    (tmp_path / "rows.json").write_text(text)
    assert query(text).output == query("rows.json").output == "0  2.00 nats  1.000 1.000\n1  3.00 nats  2.000 1.000\n"


@pytest.mark.parametrize(
    "text",
    ['[{"age": 1, "job": null}, {"age": null, "job": "y"}]', '{"age": [1, null], "job": [null, "y"]}'],
)
def test_null_is_a_missing_cell(query, text):
    assert query(text).output == "0  1.00 nats  1.000 0.000\n1  0.00 nats  -1.000 1.000\n"
    assert json.loads(query('["quiet", null]', "--signature", "shout", "--json").output)[1]["loud"] == ""


def test_another_signature_is_answered_as_it_is(query):
    done = query('["quiet"]', "--signature", "shout", "--json")
    assert json.loads(done.output) == [{"input": "0", "loud": "QUIET"}]
    assert query('["quiet"]', "--signature", "shout").output == "{'input': '0', 'loud': 'QUIET'}\n"


def test_grpc_gives_the_same_answer(query, server):
    text = '[{"age": 1, "job": "x"}]'
    over_rest = json.loads(query(text, "--json").output)
    over_grpc = json.loads(query(text, "--json", "--port", str(server.grpc_port)).output)
    np.testing.assert_allclose(over_rest[0]["embedding"], over_grpc[0]["embedding"])


CSV = "job,age\nbaker,40\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("job\nbaker\n", "rows.csv: has no column age, which the model takes. Its columns: job."),
        (CSV + "cook\n", "rows.csv: line 3 has too few cells: 1, where the header has 2. Correct the line."),
        (
            CSV + "cook,old\n",
            "rows.csv: row 2: 'old' in column age is not a number. Leave the cell empty if it is missing.",
        ),
        ("", "rows.csv: the file is empty. It needs a line of column names and rows."),
        ("job,age\n", "rows.csv: the table has no rows. It needs a line of column names and rows."),
    ],
)
def test_a_table_that_does_not_fit_is_told(query, content, message, tmp_path):
    (tmp_path / "rows.csv").write_text(content)
    assert refusal(query("rows.csv")) == f"metaprior: {message}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.png"], "none.png: cannot be read: No such file or directory. Check the path."),
        (["none.csv"], "none.csv: cannot be read: No such file or directory. Check the path."),
        (["[1,"], "the JSON given: not JSON: Expecting value, line 1, column 4."),
        (
            ['[{"a": 1}, {"b": 1}]'],
            "the JSON given: every row must have the same keys: a.",
        ),
        (["a.csv", "b.csv"], "b.csv: one table, array or JSON input at a time; only pictures can be several."),
        (
            ["notes.txt"],
            "notes.txt: cannot be queried. Give pictures (.png, .jpg, .jpeg, .gif, .bmp) or a folder of them, a "
            "table (.csv, .parquet), an array (.npy), a .json file, or JSON text such as '[[0.1, 0.2]]'.",
        ),
    ],
)
def test_an_input_that_cannot_be_used_is_told(query, arguments, message):
    assert refusal(query(*arguments)) == f"metaprior: {message}\n"


def test_an_unknown_signature_names_those_there_are(query, tmp_path):
    (tmp_path / "rows.csv").write_text(CSV)
    assert refusal(query("rows.csv", "--signature", "encode")) == (
        "metaprior: --signature encode: the model has embed, embed_bytes, serving_default, shout.\n"
    )


def test_the_servers_own_refusal_is_one_line(query):
    told = refusal(query('[{"age": 1}]'))
    assert told.startswith("metaprior: INVALID_ARGUMENT: ")
    assert len(told.splitlines()) == 1


def test_a_model_that_is_not_there_is_told_with_how_to_name_another(query):
    for arguments in (["--model", "none"], ["--model", "none", '[{"age": 1, "job": "x"}]'], ["--version", "9"]):
        told = refusal(query(*arguments))
        assert told.startswith("metaprior: NOT_FOUND: ")
        assert told.endswith("Is it served under another name, or in another version? --model and --version choose.\n")


def test_no_server_is_told_with_how_to_start_one():
    done = CliRunner().invoke(main, ["query", "--rest-port", "1"], prog_name="metaprior")
    assert refusal(done) == (
        "metaprior: No server answers at http://127.0.0.1:1. `metaprior serve` starts a server; --host, "
        "--rest-port and --port name another.\n"
    )

"""A schema of the user's own: how it is read, and a run that it stops."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import metaprior
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models.errors import InputError
from pipeline import schema
from pipeline.cli.group import main

EXAMPLE = "A run without data.schema writes such a file: SchemaGen/schema/*/schema.pbtxt in its folder."
JOBS = ("baker", "cook", "clerk")


def feature(name: str, kind: str, domain: str = "") -> str:
    presence = "presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } }"
    return f'feature {{ name: "{name}" type: {kind} {presence} {domain} }}\n'


JOB = feature("job", "BYTES", 'string_domain { value: "baker" value: "cook" value: "clerk" }')
WRONG = feature("age", "FLOAT", "float_domain { max: 60 }") + JOB + feature("income", "BYTES")
RIGHT = feature("age", "FLOAT", "float_domain { max: 80 }") + JOB + feature("income", "FLOAT")


@pytest.fixture
def people(tmp_path):
    """A folder with a table of 120 people, aged 20 to 69, and a configuration that names schema.pbtxt."""
    rows = [f"{20 + index % 50},{JOBS[index % 3]},{1000 + index}" for index in range(120)]
    (tmp_path / "people.csv").write_text("\n".join(["age,job,income", *rows]) + "\n")
    settings = "data: {source: people.csv, schema: schema.pbtxt}\ntraining: {epochs: 1}\nevaluation: {seeds: 2}\n"
    (tmp_path / "people.yaml").write_text(settings)
    return tmp_path


def run(people: Path, text: str):
    (people / "schema.pbtxt").write_text(text)
    return metaprior(people, "run", "--config", "people.yaml")


def test_data_that_violate_the_users_schema_stop_the_run_with_a_line_each(people):
    table = people / "people.csv"
    table.write_text(table.read_text().replace("baker", "pirate", 1))
    done = run(people, WRONG)
    heading, found = done.output.partition("\n\n")[2].split(":\n", 1)
    assert heading == (
        "ValidationGate failed: the data does not match its schema; correct the data, or give another schema "
        "(data.schema)"
    )
    age = r"column age: Unexpectedly high value: 6\d>60\(upto six significant digits\)\n"
    income = r"column income: Expected data of type: BYTES but got FLOAT\n"
    job = r"column job: Examples contain values missing from the schema: pirate \(~1%\)\.\n"
    splits = rf"train: {age}train: {income}train: {job}eval: {age}eval: {income}test: {age}test: {income}"
    assert re.fullmatch(splits + r"Log: runs/people/logs/.*\.log\n", found)
    assert done.code == 2
    assert sorted(path.name for path in (people / "runs/people").iterdir() if not path.name.startswith(".")) == [
        "ExampleValidator",
        "ImportSchemaGen",
        "Ingest",
        "StatisticsGen",
        "ValidationGate",
        "logs",
        "metadata.sqlite",
        "schemas",
    ]


@pytest.mark.slow
def test_a_corrected_schema_is_taken_from_the_same_file(people):
    assert run(people, WRONG).code == 2
    done = run(people, RIGHT)
    assert done.code == 0, done.output
    assert "StatisticsGen cached" in done.output
    assert "Pushed: version 1 in runs/people/serving/encoder" in done.output


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            b'feature {\n  name: "age"\n  tpye: FLOAT\n}',
            'line 3: Message type "tensorflow.metadata.v0.Feature" has no field named "tpye"',
        ),
        (
            b"feature {\n  type: FLAOT\n}",
            "line 2: '  type: FLAOT': Enum type \"tensorflow.metadata.v0.FeatureType\" has no value named FLAOT",
        ),
        (b"age,job,income\n", 'line 1: Message type "tensorflow.metadata.v0.Schema" has no field named "age"'),
    ],
)
def test_what_is_no_schema_is_refused_with_its_line(tmp_path, content, fault):
    path = tmp_path / "schema.pbtxt"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        schema.read(path)
    assert str(caught.value) == f"data.schema: {path}, {fault}. {EXAMPLE}"


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "schema.pb"
    path.write_bytes(b"\x0a\xff\xfe")
    with pytest.raises(InputError) as caught:
        schema.read(path)
    assert str(caught.value) == f"data.schema: {path} is not a text file in UTF-8. {EXAMPLE}"


def test_a_run_looks_at_the_schema_before_it_starts(people, monkeypatch):
    monkeypatch.chdir(people)
    done = CliRunner().invoke(main, ["run", "--config", "people.yaml"])
    line = "metaprior: data.schema: cannot read schema.pbtxt: No such file or directory. Check the path.\n"
    assert (done.stderr, done.stdout, done.exit_code) == (line, "", 2)
    assert not (people / "runs").exists()


def parsed(text: str) -> schema_pb2.Schema:
    return text_format.Parse(text, schema_pb2.Schema())


def test_ids_that_ingestion_gives_are_no_anomaly():
    own = parsed(RIGHT)
    assert schema.completed(own, numbered="id") == parsed(RIGHT + feature("id", "BYTES"))
    assert schema.completed(own, numbered=None) == own == parsed(RIGHT)
    with_id = parsed(RIGHT + feature("id", "INT"))
    assert schema.completed(with_id, numbered="id") == with_id


def test_a_schema_is_kept_by_its_content(tmp_path):
    first, again, other = (schema.kept(parsed(text), tmp_path / "s") for text in (RIGHT, RIGHT, WRONG))
    assert first == again != other
    assert schema.read(first) == parsed(RIGHT)

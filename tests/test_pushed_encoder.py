"""`--run`: every command uses the encoder that this run pushed, and no other run's."""

import json

import encoders
import numpy as np
import pytest
from commands import refusal, run
from encoders import OTHER, SPACE, write_codes
from stores import COMPLETE, Recorder
from tensorflow_serving.config import model_server_config_pb2

from models.features.spec import FeatureSpec
from pipeline.neighbors.build import build
from serving.options import Options
from serving.server import Server
from serving.textproto import parse

FIRST, SECOND, REFUSED = "20260701-100000", "20260702-100000", "20260703-100000"
QUERY = "[[2, 0]]"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs that pushed an encoder each, of vectors of width 2 and of width 3, and one that was refused."""
    output = tmp_path_factory.mktemp("runs")
    store = Recorder(output / "toy")
    folder = store.root / "serving" / "encoder"
    for name, version, space in ((FIRST, 1, SPACE), (SECOND, 2, OTHER)):
        path = encoders.write_encoder(folder, version, space=space) / "assets.extra" / "metaprior.json"
        facts = {"spec": json.loads(FeatureSpec("vector", (version + 1,)).to_json()), "images": None, "missing": []}
        path.write_text(json.dumps(json.loads(path.read_text()) | facts))
        properties = {"pushed": 1, "pushed_destination": str(folder / str(version)), "pushed_version": version}
        pushed = store.artifact("PushedModel", f"Pusher/pushed/{version}", **properties)
        store.step(name, "Pusher", COMPLETE, (), [("pushed_model", pushed)])
    nothing = store.artifact("PushedModel", "Pusher/pushed/3", pushed=0)
    store.step(REFUSED, "Pusher", COMPLETE, (), [("pushed_model", nothing)])
    return output


def test_search_asks_the_version_of_the_run(runs, tmp_path):
    build(write_codes(tmp_path / "points.parquet", np.eye(2) * 2), tmp_path / "index", metric="euclidean")
    asked = ("search", tmp_path / "index", QUERY, "--output", runs, "--k", 1)
    found = "0\n   1  row 0  0.0000\n"
    assert run(*asked, "--run", FIRST).output == run(*asked, "--version", 1).output == found
    for newest in (("--run", SECOND), ("--run", "toy"), ()):
        assert f"version 2 of {runs}/toy/serving/encoder is of {OTHER}" in refusal(*asked, *newest)
    assert refusal(*asked, "--run", FIRST, "--version", 2) == (
        f"--version: the run {FIRST} is version 1. Leave one of them out. See metaprior search --help."
    )
    assert "has no version 7. There are: 1, 2." in refusal(*asked, "--version", 7)


def test_embed_and_backfill_take_the_version_of_the_run(runs, tmp_path):
    (tmp_path / "table.csv").write_text("age,pay\n1,2\n3,4\n")
    out = tmp_path / "out.parquet"
    for name, width in ((FIRST, 2), (SECOND, 3), ("toy", 3)):
        told = refusal("embed", tmp_path / "table.csv", out, "--run", name, "--output", runs)
        assert f"the model was trained on vectors of {width} values" in told
    again = ("--data", "digits", "--out", out, "--output", runs)
    first, second = (write_codes(tmp_path / f"{s}.parquet", np.eye(2), space=s) for s in (SPACE, OTHER))
    assert refusal("backfill", first, *again, "--run", FIRST) == (
        f"{first}: is of version 1's space already, {SPACE}. Nothing is left to embed."
    )
    assert refusal("backfill", second, *again) == (
        f"{second}: is of the newest encoder's space already, {OTHER}. Nothing is left to embed."
    )


def test_a_run_is_served_and_deployed_alone(runs, tmp_path, monkeypatch):
    from serving import server

    started = []
    monkeypatch.setattr(server, "serve", started.append)
    for name in (FIRST, "toy"):
        assert run("serve", name, "--output", runs, "--port", "any", "--rest-port", "any").exit_code == 0
        assert run("deploy", name, "--output", runs, "--out", tmp_path / name).exit_code == 0
    assert [options.only_version for options in started] == [1, None]
    with Server(started[0]) as running:
        assert running.facts()["models"] == {"encoder": [1]}
    configs = [
        parse(tmp_path / name / "config/models/models.config", model_server_config_pb2.ModelServerConfig())
        for name in (FIRST, "toy")
    ]
    policies = [config.model_config_list.config[0].model_version_policy for config in configs]
    assert [list(policy.specific.versions) for policy in policies] == [[1], []]
    assert policies[1].latest.num_versions == 1
    assert (
        "versions  the 5 newest, 2 there"
        in run("deploy", "toy", "--output", runs, "--out", tmp_path / "five", "--latest", 5).output
    )


@pytest.mark.parametrize(
    "verb",
    [
        ("embed", "x.csv", "out.parquet", "--run"),
        ("backfill", "x.parquet", "--data", "digits", "--out", "out.parquet", "--run"),
        ("serve",),
        ("deploy", "--out", "out"),
    ],
)
def test_a_run_that_pushed_nothing_is_told(runs, verb):
    assert refusal(*verb, REFUSED, "--output", runs) == (
        f"{REFUSED}: this run pushed no encoder. `metaprior runs {REFUSED}` shows how it went."
    )


def test_two_encoders_at_once_are_told(runs):
    both = ("--run", FIRST, "--serving", runs, "--output", runs)
    assert refusal("embed", "x.csv", "out.parquet", *both) == (
        "--serving and --run: name one of them. See metaprior embed --help."
    )
    assert refusal("serve", FIRST, "--path", runs, "--output", runs) == (
        "RUN and --path: name one of them to serve. See metaprior serve --help."
    )


def test_one_version_is_served_whatever_comes(tmp_path):
    encoders.write_encoder(tmp_path / "encoder", 1)
    options = {"model_base_path": tmp_path / "encoder", "port": 0, "rest_api_port": "any", "only_version": 1}
    with Server(Options.model_validate(options | {"file_system_poll_wait_seconds": 0.01})) as running:
        encoders.write_encoder(tmp_path / "encoder", 2, space=OTHER)
        assert running.facts()["models"] == {"default": [1]}

"""The small parts around the pipeline: cache keys, pushes, the model to compare with."""

import json
import os
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from components.pusher.versions import prune, push, versions, writing
from models.errors import InputError
from pipeline import code, loading


@pytest.fixture
def saved_model(tmp_path):
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    return folder


def test_versions_count_up_and_ignore_other_names(saved_model, tmp_path):
    folder = tmp_path / "serving" / "encoder"
    assert versions(folder) == []
    with writing(folder):
        assert push(saved_model, folder) == 1
        (folder / "notes").mkdir()
        (folder / "17").mkdir()
        assert push(saved_model, folder) == 18
    assert versions(folder) == [1, 17, 18]
    assert (folder / "18" / "variables" / "variables.index").read_bytes() == b"index"


def test_pruning_keeps_the_newest_and_clears_interrupted_pushes(saved_model, tmp_path):
    folder = tmp_path / "encoder"
    with writing(folder):
        for _ in range(4):
            push(saved_model, folder)
        (folder / ".4.tmp").mkdir()
        assert prune(folder, keep=2) == [1, 2]
    assert sorted(entry.name for entry in folder.iterdir()) == [".lock", "3", "4"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("")
    with pytest.raises(InputError) as caught, writing(occupied / "encoder"):
        pass
    assert str(caught.value) == (
        f"serving.path: cannot write {occupied / 'encoder'}: Not a directory. "
        "Choose another folder or make this one writable."
    )


def test_a_copy_that_fails_is_one_line_and_leaves_no_version(saved_model, tmp_path):
    folder = tmp_path / "encoder"
    os.mkfifo(saved_model / "variables" / "pipe")
    with pytest.raises(InputError) as caught, writing(folder):
        push(saved_model, folder)
    assert str(caught.value) == (
        f"serving.path: cannot write {folder}: `{saved_model / 'variables' / 'pipe'}` is a named pipe. "
        "Choose another folder or make this one writable."
    )
    assert [entry.name for entry in folder.iterdir()] == [".lock"]


def test_pushes_to_one_folder_wait_for_each_other(saved_model, tmp_path):
    folder = tmp_path / "encoder"

    def one_push(_) -> int:
        with writing(folder):
            return push(saved_model, folder)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(one_push, range(16))) == list(range(1, 17))


def test_the_code_version_follows_the_sources(tmp_path, monkeypatch):
    package = tmp_path / "sample_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    code.version.cache_clear()
    before = code.version("sample_package")
    code.version.cache_clear()
    assert code.version("sample_package") == before
    (package / "part.py").write_text("VALUE = 2\n")
    code.version.cache_clear()
    changed = code.version("sample_package")
    assert changed != before
    (package / "page.html").write_text("a template")
    code.version.cache_clear()
    assert code.version("sample_package") != changed


def test_the_code_version_of_a_module_follows_that_file_alone(tmp_path, monkeypatch):
    package = tmp_path / "modular_package"
    package.mkdir()
    for name in ("__init__", "one", "two"):
        (package / f"{name}.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = code.version("modular_package.one")
    (package / "two.py").write_text("VALUE = 2\n")
    code.version.cache_clear()
    assert code.version("modular_package.one") == before
    (package / "one.py").write_text("VALUE = 2\n")
    code.version.cache_clear()
    assert code.version("modular_package.one") != before


def trained_with(monkeypatch, folder: Path, *, data: str, **sets: str) -> dict:
    """What the Trainer is asked, and so is cached by, where the command is given in `folder`."""
    from pipeline.graph import create_pipeline

    monkeypatch.chdir(folder)
    pairs = [(key.replace("__", "."), value) for key, value in sets.items()]
    config = loading.load(data=data, sets=[("name", "r"), *pairs])
    [trainer] = [node for node in create_pipeline(config).components if node.id == "Trainer"]
    return json.loads(trainer.exec_properties["custom_config"])


def test_the_trainer_keeps_what_decides_it_and_nothing_else_busts_its_cache(monkeypatch, tmp_path):
    (tmp_path / "below").mkdir()
    np.savez(tmp_path / "x.npz", x=np.zeros((4, 3)), y=np.arange(4))
    sets = {"data__label": "y", "output": str(tmp_path / "runs")}
    first = trained_with(monkeypatch, tmp_path, data="x.npz", **sets)
    assert first["data"]["source"] == str(tmp_path / "x.npz")
    assert (first["data"]["label"], first["data"]["splits"]) == ("y", {"train": 8, "eval": 1, "test": 1})
    elsewhere = {
        "serving__path": "s",
        "serving__keep": "2",
        "evaluation__seeds": "3",
        "beam": "[--runner=DirectRunner]",
    }
    again = trained_with(monkeypatch, tmp_path / "below", data="../x.npz", **sets, **elsewhere)
    assert again == first
    for change in ({"seed": "1"}, {"data__splits__eval": "2"}, {"training__batch": "8"}):
        other = trained_with(monkeypatch, tmp_path, data="x.npz", **sets, **change)
        assert other != first
        assert other["checkpoints"] != first["checkpoints"]
    longer = trained_with(monkeypatch, tmp_path, data="x.npz", **sets, training__epochs="7")
    assert longer != first
    assert longer["checkpoints"] == first["checkpoints"]  # a promoted trial goes on from them


def artifact(identity: int, *, uri: str = "/runs/digits/RepresentationEvaluator/blessing/7", **properties: int):
    return types.SimpleNamespace(id=identity, uri=uri, get_int_custom_property=lambda key: properties.get(key, 0))


def test_a_trial_of_a_sweep_is_no_blessed_model():
    from pipeline.resolver import ById, LatestOtherBlessed, NoneBlessed

    models = [artifact(1), artifact(2)]
    trial = artifact(11, uri="/runs/digits/TrialEvaluator/blessing/7", blessed=1, current_model_id=1)
    channels = {"current": [models[1]], "model": models, "model_blessing": [trial]}
    assert LatestOtherBlessed().resolve_artifacts(None, channels)["model"] == []
    ordinary = artifact(12, blessed=1, current_model_id=1)
    both = channels | {"model_blessing": [trial, ordinary]}
    assert LatestOtherBlessed().resolve_artifacts(None, both)["model"] == models[:1]
    assert NoneBlessed().resolve_artifacts(None, both) == channels | {"model": [], "model_blessing": []}
    found = ById({"models": [2, 3, 1]}).resolve_artifacts(None, {"models": models})
    assert found == {"models": [models[1], models[0]]}


def test_a_model_is_never_compared_with_itself():
    from pipeline.resolver import LatestOtherBlessed

    models = [artifact(1), artifact(2), artifact(3)]
    blessings = [
        artifact(11, blessed=1, current_model_id=1),
        artifact(12, blessed=0, current_model_id=2),
        artifact(13, blessed=1, current_model_id=3),
    ]
    strategy = LatestOtherBlessed()
    for current, expected in ((3, [1]), (1, [3]), (2, [3])):
        found = strategy.resolve_artifacts(
            None,
            {"current": [models[current - 1]], "model": list(models), "model_blessing": blessings},
        )
        assert [m.id for m in found["model"]] == expected
    alone = {"current": [models[0]], "model": models[:1], "model_blessing": blessings[:1]}
    assert strategy.resolve_artifacts(None, alone)["model"] == []


def test_anomalies_are_a_line_each(tmp_path):
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    from components.validation_gate.component import read_anomalies

    anomalies = anomalies_pb2.Anomalies()
    anomalies.anomaly_info["age"].description = "Expected data of type: FLOAT but got BYTES."
    folder = Path(tmp_path, "Split-train")
    folder.mkdir()
    (folder / "SchemaDiff.pb").write_bytes(anomalies.SerializeToString())
    lines = read_anomalies(str(tmp_path), ["train"])
    assert lines == ["train: column age: Expected data of type: FLOAT but got BYTES."]


def test_events_are_json_lines(tmp_path):
    import logging

    from pipeline.worker import Events

    path = tmp_path / "events"
    with path.open("w") as stream:
        events = Events(stream)
        events.tell("start", component="Trainer", time=1.5)
        said = {"levelno": logging.INFO, "msg": "epoch %d", "args": (3,), "fraction": 0.5}
        events.handle(logging.makeLogRecord(said))
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert told == [
        {"event": "start", "component": "Trainer", "time": 1.5},
        {"event": "progress", "component": "Trainer", "text": "epoch 3", "fraction": 0.5},
    ]

"""What the evaluator leaves behind: evaluation.json, the report, the blessing."""

import json
import re
from pathlib import Path

import embeddings
import pytest

from components.artifacts import RUN
from components.evaluator.schema import read_evaluation, write_evaluation
from components.evaluator.settings import Bound, Settings
from models.errors import InputError

root, found = embeddings.root, embeddings.found


def test_an_evaluation_survives_its_file(found, tmp_path):
    path = write_evaluation(found.evaluation, tmp_path)
    assert read_evaluation(path) == found.evaluation
    assert [file.name for file in tmp_path.iterdir()] == ["evaluation.json"]
    written = json.loads(path.read_text())
    assert written["schema"] == 2
    assert set(written["metrics"][0]) == {
        *("name", "representation", "value", "unit", "interval", "split", "count", "seeds", "note")
    }


def test_a_file_that_is_not_an_evaluation_is_refused(found, tmp_path):
    path = write_evaluation(found.evaluation, tmp_path)
    written = json.loads(path.read_text())
    remedy = "Evaluate the model again with this version."
    for change, where in (
        ({"schema": 1}, "schema: Input should be 2"),
        ({"latent": "wide"}, "latent: Input should be"),
    ):
        path.write_text(json.dumps(written | change))
        with pytest.raises(InputError) as caught:
            read_evaluation(path)
        assert str(caught.value).startswith(f"{path}: {where}")
        assert str(caught.value).endswith(remedy)
    path.write_text("{")
    with pytest.raises(InputError, match="the file: Invalid JSON"):
        read_evaluation(path)
    with pytest.raises(InputError, match="no such file. Check the path."):
        read_evaluation(tmp_path / "none.json")


def test_settings_are_the_configurations_own():
    from pipeline import loading

    sets = [("evaluation.labels", "[10, 100, all]"), ("evaluation.bless", "{rate: {max: 12}}")]
    section = loading.load(data="digits", sets=sets).evaluation
    assert Settings.model_validate_json(section.model_dump_json()) == section
    assert section.bless == {"rate": Bound(max=12)}
    assert (section.seeds, section.examples) == (5, 10_000)


def test_budgets_come_once_each_in_order():
    assert Settings(labels=("all", 10, 100, 10)).budgets == (10, 100, "all")


@pytest.fixture(scope="module")
def tfx_types():
    from tfx.types import standard_artifacts

    from components.artifacts import Embeddings, RepresentationEvaluation

    return standard_artifacts, Embeddings, RepresentationEvaluation


def run_component(root: Path, folder: Path, tfx_types, bless: dict, baseline=None):
    from tfx.types import channel_utils

    from components.evaluator.component import RepresentationEvaluator

    standard, embeddings_type, evaluation_type = tfx_types
    embeddings, evaluation = embeddings_type(), evaluation_type()
    model, blessing = standard.Model(), standard.ModelBlessing()
    embeddings.uri, evaluation.uri = str(root), str(folder / "evaluation")
    model.uri, model.id = "models/7", 7
    blessing.uri = str(folder / "blessing")
    settings = json.dumps({"labels": ["all"], "seeds": 2, "measure": ["probes"], "bless": bless})
    parameters = {"settings": settings, "data": "digits", "seed": 0, "code": "0.1.0"}
    channels = {"embeddings": channel_utils.as_channel([embeddings]), "model": channel_utils.as_channel([model])}
    executor = RepresentationEvaluator(**channels, **parameters).executor_spec.executor_class()
    executor.Do(
        {"embeddings": [embeddings], "model": [model], "baseline_embeddings": [], "baseline_model": baseline or []},
        {"evaluation": [evaluation], "blessing": [blessing]},
        parameters,
    )
    return model, evaluation, blessing


def test_a_blessed_model_is_what_the_resolver_finds(root, tmp_path, tfx_types, monkeypatch):
    from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy

    standard = tfx_types[0]
    before = standard.Model()
    before.uri, before.id = "models/3", 3
    monkeypatch.setenv(RUN, "20260701-100000")
    model, evaluation, blessing = run_component(root, tmp_path, tfx_types, {"active_units": {"min": 2}}, [before])
    resolved = LatestBlessedModelStrategy().resolve_artifacts(
        None, {"model": [before, model], "model_blessing": [blessing]}
    )
    assert resolved["model"] == [model]
    assert (tmp_path / "blessing" / "BLESSED").exists()
    assert blessing.get_string_custom_property("current_model") == "models/7"
    assert blessing.get_int_custom_property("baseline_model_id") == 3
    assert (evaluation.space, evaluation.recipe, evaluation.data) == ("beta_vae-6-0123456789ab", "beta_vae", "digits")
    assert (evaluation.blessed, evaluation.reasons) == (1, "")
    assert read_evaluation(tmp_path / "evaluation" / "evaluation.json").blessed
    page = (tmp_path / "evaluation" / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert re.search(r"; measured \d{4}-\d\d-\d\d \d\d:\d\d UTC in run 20260701-100000</p>", page)


def test_a_refused_model_is_not_found_and_the_reason_is_kept(root, tmp_path, tfx_types):
    from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy

    model, evaluation, blessing = run_component(root, tmp_path, tfx_types, {"active_units": {"min": 9}})
    resolved = LatestBlessedModelStrategy().resolve_artifacts(None, {"model": [model], "model_blessing": [blessing]})
    assert resolved == {"model": [], "model_blessing": []}
    assert [file.name for file in (tmp_path / "blessing").iterdir()] == ["NOT_BLESSED"]
    assert blessing.get_int_custom_property("blessed") == 0
    assert (evaluation.blessed, evaluation.reasons) == (0, "active_units is 6, below the minimum 9")

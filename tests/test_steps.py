"""The pipeline's own steps, one by one, on real artifacts."""

import dataclasses
import json
from pathlib import Path

import cards
import numpy as np
import pytest
import stores
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.types import standard_artifacts

from components.artifacts import RepresentationEvaluation
from components.embedder.component import _comparable, _Model
from components.pusher.component import Pusher
from components.pusher.versions import holding
from components.serving_check.check import _fault
from components.validation_gate.component import ValidationGate, anomaly_lines
from models.errors import InputError
from models.features.spec import Column, FeatureSpec

IMAGE = FeatureSpec("image", (8, 8, 1), "uint8")


def model_of(folder: Path, *, space: str, spec: FeatureSpec = IMAGE) -> standard_artifacts.Model:
    """A Model artifact as far as a step reads it without loading it."""
    serving = folder / "Format-Serving"
    (serving / "assets.extra").mkdir(parents=True)
    (serving / "saved_model.pb").write_bytes(b"graph")
    record = {"space": space, "latent": 2, "spec": dataclasses.asdict(spec), "metaprior": "0.1.0"}
    (serving / "assets.extra" / "metaprior.json").write_text(json.dumps(record))
    (folder / "training.json").write_text(json.dumps(cards.TRAINING))
    artifact = standard_artifacts.Model()
    artifact.uri = str(folder)
    return artifact


def verdict(kind, blessed: int):
    artifact = kind()
    artifact.set_int_custom_property("blessed", blessed)
    return artifact


def pushed(model, folder: Path, *, blessed: int = 1, infra: int = 1, evaluation: int = 11) -> dict[str, int]:
    """Runs the Pusher and returns what it says."""
    artifact = standard_artifacts.PushedModel()
    measured = RepresentationEvaluation()
    measured.uri, measured.id = model.uri, evaluation
    stores.evaluation(Path(model.uri))
    Pusher.test_call(
        model=model,
        evaluation=measured,
        blessing=verdict(standard_artifacts.ModelBlessing, blessed),
        infra_blessing=verdict(standard_artifacts.InfraBlessing, infra),
        pushed_model=artifact,
        folder=str(folder),
        keep=3,
        look="1",
        fingerprint="0123456789ab",
    )
    names = ("pushed", "pushed_version", "unchanged")
    return {name: artifact.get_int_custom_property(name) or 0 for name in names}


def test_a_model_is_pushed_once_and_again_only_after_another_or_a_loss(tmp_path):
    folder = tmp_path / "encoder"
    first, second = (model_of(tmp_path / space, space=space) for space in ("a", "b"))
    assert pushed(first, folder) == {"pushed": 1, "pushed_version": 1, "unchanged": 0}
    assert pushed(first, folder) == {"pushed": 1, "pushed_version": 1, "unchanged": 1}
    assert pushed(second, folder) == {"pushed": 1, "pushed_version": 2, "unchanged": 0}
    # The first model again: what is served must be what the run says it pushed.
    assert pushed(first, folder) == {"pushed": 1, "pushed_version": 3, "unchanged": 0}
    for version in (1, 2, 3):
        card = json.loads((folder / str(version) / "assets.extra" / "model_card.json").read_text())
        assert card["lineage"]["data_fingerprint"] == "0123456789ab"
        assert (folder / str(version) / "assets.extra" / "model_card.md").read_text().startswith("# digits, encoded by")
        (folder / str(version)).rename(tmp_path / f"lost-{version}")
    assert pushed(first, folder) == {"pushed": 1, "pushed_version": 1, "unchanged": 0}


def test_the_card_of_the_newest_version_follows_a_newer_evaluation(tmp_path):
    folder, model = tmp_path / "encoder", model_of(tmp_path / "a", space="a")
    pushed(model, folder)
    version = folder / "1"
    place, weights = version / "assets.extra" / "model_card.json", (version / "saved_model.pb").stat().st_ino
    old = place.open()  # whoever reads the card meanwhile has the old one, whole
    said = pushed(model, folder, evaluation=12)
    assert said == {"pushed": 1, "pushed_version": 1, "unchanged": 0}
    assert json.loads(place.read_text())["lineage"]["evaluation_artifact"] == 12
    assert json.load(old)["lineage"]["evaluation_artifact"] == 11
    assert "evaluation artifact 12" in place.with_suffix(".md").read_text()
    assert (version / "saved_model.pb").stat().st_ino == weights
    assert sorted(path.name for path in place.parent.iterdir()) == [
        "metaprior.json",
        "model_card.json",
        "model_card.md",
    ]
    assert pushed(model, folder, evaluation=12) == {"pushed": 1, "pushed_version": 1, "unchanged": 1}
    old.close()


def test_a_model_of_the_newest_space_is_pushed_again_only_where_it_answers_in_another_one_too(tmp_path):
    folder = tmp_path / "encoder"
    plain, aligned = (model_of(tmp_path / name, space="b") for name in ("plain", "aligned"))
    path = tmp_path / "aligned" / "Format-Serving" / "assets.extra" / "metaprior.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"aligned_to": {"space": "a"}}))
    assert pushed(plain, folder)["pushed_version"] == 1
    assert pushed(aligned, folder) == {"pushed": 1, "pushed_version": 2, "unchanged": 0}
    for model in (aligned, plain):  # what is served answers in all of their spaces
        assert pushed(model, folder) == {"pushed": 1, "pushed_version": 2, "unchanged": 1}
    card = json.loads((folder / "2" / "assets.extra" / "model_card.json").read_text())
    assert card["lineage"]["aligned_to"] == "a"
    assert (holding(folder, "b"), holding(folder, "a")) == (2, None)


@pytest.mark.parametrize(("blessed", "infra"), [(0, 1), (1, 0), (0, 0)])
def test_a_model_that_is_not_blessed_twice_is_not_pushed(tmp_path, blessed, infra):
    model = model_of(tmp_path / "a", space="a")
    said = pushed(model, tmp_path / "encoder", blessed=blessed, infra=infra)
    assert said == {"pushed": 0, "pushed_version": 0, "unchanged": 0}
    assert not (tmp_path / "encoder").exists()


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (dataclasses.replace(IMAGE, label="digit", classes=("0", "1")), True),
        (dataclasses.replace(IMAGE, shape=(64, 64, 1)), False),
        (dataclasses.replace(IMAGE, dtype="float32"), False),
        (FeatureSpec("table", (1,), columns=(Column("age", "numeric"),)), False),
    ],
)
def test_only_a_blessed_model_of_the_same_inputs_is_compared(tmp_path, other, same):
    new = _Model.at(model_of(tmp_path / "new", space="new").uri)
    last = model_of(tmp_path / "last", space="last", spec=other)
    assert [found.record["space"] for found in _comparable(new, [last.uri])] == (["last"] if same else [])


def gate(folder: Path, anomalies: dict[str, str]) -> str:
    """Runs the ValidationGate on what ExampleValidator would have written; returns what it passes on."""
    found = anomalies_pb2.Anomalies()
    for column, description in anomalies.items():
        found.anomaly_info[column].description = description
    (folder / "Split-train").mkdir()
    (folder / "Split-train" / "SchemaDiff.pb").write_bytes(found.SerializeToString())
    artifact = standard_artifacts.ExampleAnomalies()
    artifact.uri = str(folder)
    artifact.split_names = '["train"]'
    checked = standard_artifacts.String()
    checked.uri = str(folder / "checked")
    ValidationGate.test_call(anomalies=artifact, checked=checked)
    return checked.value


def test_data_without_anomalies_pass_the_gate(tmp_path):
    assert gate(tmp_path, {}) == "train"


def test_anomalies_stop_the_run_with_a_line_each(tmp_path):
    with pytest.raises(InputError) as caught:
        gate(tmp_path, {"age": "Expected data of type: FLOAT but got BYTES.", "sex": "Column dropped."})
    assert str(caught.value) == (
        "the data does not match its schema; correct the data, or give another schema (data.schema):\n"
        "train: column age: Expected data of type: FLOAT but got BYTES.\n"
        "train: column sex: Column dropped."
    )


def test_a_split_may_have_no_value_of_a_target():
    found = anomalies_pb2.Anomalies()
    for column in ("target", "age"):
        info = found.anomaly_info[column]
        info.description = "Column is completely missing"
        info.path.step.append(column)
        info.reason.add(type=anomalies_pb2.AnomalyInfo.SCHEMA_MISSING_COLUMN)
    assert anomaly_lines(found, "eval", ["target"]) == ["eval: column age: Column is completely missing"]
    assert len(anomaly_lines(found, "eval")) == 2
    found.anomaly_info["target"].reason.add(type=anomalies_pb2.AnomalyInfo.UNEXPECTED_DATA_TYPE)
    assert len(anomaly_lines(found, "eval", ["target"])) == 2


ANSWERS = {"embedding": np.array([[1.0, 2.0]]), "stddev": np.array([[0.5, 0.5]]), "rate": np.array([3.0])}
ALL = ("embedding", "stddev", "rate")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (ANSWERS, None),
        (ANSWERS | {"rate": np.array([3.00002])}, None),
        ({"embedding": ANSWERS["embedding"]}, "it answers embedding, not embedding, rate, stddev"),
        (ANSWERS | {"rate": np.array([np.nan])}, "rate is not finite"),
        (ANSWERS | {"rate": np.array([[3.0]])}, "rate has shape (1, 1), not (1,)"),
        (ANSWERS | {"stddev": np.array([[0.5, 0.6]])}, "stddev is 1.0e-01 from the trainer's, more than 1e-05"),
    ],
)
def test_an_answer_must_be_whole_finite_and_the_trainers(answer, fault):
    assert _fault(answer, ANSWERS, ALL) == fault


def test_labeled_examples_are_sampled_before_unlabeled_ones():
    import hashlib

    import apache_beam as beam
    import tensorflow as tf
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.testing.util import assert_that, equal_to

    from components.embedder.transforms import Sample

    def example(number: int) -> bytes:
        features = {"id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(number).encode()]))}
        if number % 10 == 0:
            features["y"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"one"]))
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()

    labeled = list(range(0, 100, 10))
    others = sorted(
        (n for n in range(100) if n % 10), key=lambda number: hashlib.sha256(str(number).encode()).hexdigest()
    )
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        kept = pipeline | beam.Create([example(n) for n in range(100)]) | Sample(15, key="id", known=["y"])
        assert_that(kept, equal_to([example(n) for n in labeled + others[:5]]))

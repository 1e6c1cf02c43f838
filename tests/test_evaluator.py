"""The evaluator on real Parquet files: numbers, bounds with their lines, the verdict, and what it refuses."""

import dataclasses
import hashlib
import json
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_digits

from components.evaluator import bounds, labelled, sample
from components.evaluator.evaluate import Evaluated, Request, evaluate
from components.evaluator.findings import findings
from components.evaluator.schema import Metric, Omission, find, read_evaluation, write_evaluation
from components.evaluator.settings import Limits, Settings, read_settings
from models.errors import InputError
from models.features.spec import FeatureSpec

LATENT = 6
VECTOR = pa.list_(pa.float32())


@dataclasses.dataclass(frozen=True)
class Split:
    """The rows of one split."""

    ids: list[str]
    codes: np.ndarray
    features: np.ndarray
    labels: list[str | None] | None


def write(root: Path, splits: dict[str, Split], *, shards: int = 2, limit: int = 10_000) -> Path:
    """Writes an Embeddings artifact, in the layout that the embedder writes."""
    labels = next(iter(splits.values())).labels is not None
    spec = FeatureSpec(kind="vector", shape=(64,), label="digit" if labels else None)
    facts = {
        "schema": 1,
        "space": "beta_vae-6-0123456789ab",
        "recipe": "beta_vae",
        "parameters": {"beta": 4.0},
        "objective": "nll + 4 * kl",
        "latent": LATENT,
        "spec": json.loads(spec.to_json()),
        "images": None,
        "metaprior": "0.1.0",
    }
    for name, split in splits.items():
        write_split(root / f"Split-{name}", split, json.dumps(facts), shards=shards, limit=limit)
    return root


def write_split(folder: Path, split: Split, facts: str, *, shards: int, limit: int) -> None:
    folder.mkdir(parents=True)
    kept = sorted(range(len(split.ids)), key=lambda row: hashlib.sha256(split.ids[row].encode()).hexdigest())[:limit]
    mixing = np.random.default_rng(7).normal(size=(split.features.shape[1], LATENT))
    stddev = np.full_like(split.codes, 0.5)
    rate = (0.5 * (split.codes**2 + stddev**2 - 1) - np.log(stddev)).sum(axis=1)
    distortion = (split.features**2).sum(axis=1)
    embeddings = {
        "id": split.ids,
        "embedding": pa.array(list(split.codes), VECTOR),
        "stddev": pa.array(list(stddev), VECTOR),
        "rate": pa.array(rate, pa.float32()),
        "distortion": pa.array(distortion, pa.float32()),
        "elbo": pa.array(-rate - distortion, pa.float32()),
    }
    baselines = {
        "id": [split.ids[row] for row in kept],
        "features": pa.array(list(split.features[kept]), VECTOR),
        "random": pa.array(list(np.tanh(split.features[kept] @ mixing)), VECTOR),
    }
    if split.labels is not None:
        embeddings["label"] = pa.array(split.labels, pa.string())
        baselines["label"] = pa.array([split.labels[row] for row in kept], pa.string())
    for prefix, columns, parts in (("embeddings", embeddings, shards), ("baselines", baselines, 1)):
        table = pa.table(columns).replace_schema_metadata({"metaprior": facts})
        edges = np.linspace(0, len(table), parts + 1).astype(int)
        for part in range(parts):
            path = folder / f"{prefix}-{part:05d}-of-{parts:05d}.parquet"
            pq.write_table(table.slice(edges[part], edges[part + 1] - edges[part]), path)


def digits(*, scale: float = 1.0, labels: bool = True) -> dict[str, Split]:
    """The digits, with the first directions of a fixed turn of their pixels as codes."""
    data = load_digits()
    images = (data.data / 16).astype(np.float32)
    directions = np.linalg.svd(images - images.mean(axis=0), full_matrices=False)[2][:LATENT]
    codes = ((images - images.mean(axis=0)) @ directions.T * scale).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    parts = {"train": order[:700], "eval": order[700:800], "test": order[800:1100]}
    return {
        name: Split(
            ids=[f"digit-{row}" for row in rows],
            codes=codes[rows],
            features=images[rows],
            labels=[str(data.target[row]) for row in rows] if labels else None,
        )
        for name, rows in parts.items()
    }


def request(root: Path, *, last: Path | None = None, **settings) -> Request:
    chosen = {"labels": (10, 50, "all"), "seeds": 2} | settings
    return Request(root, last, Settings(**chosen), data="digits", seed=0, code="0.1.0")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("digits"), digits())


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("unlabelled"), digits(labels=False))


@pytest.fixture(scope="module")
def found(root) -> Evaluated:
    return evaluate(request(root))


def changed(part: str, **changes) -> dict[str, Split]:
    """The digits with one split changed."""
    splits = digits()
    return splits | {part: dataclasses.replace(splits[part], **changes)}


def test_nats_are_means_over_the_test_split(found):
    codes, features = digits()["test"].codes.astype(float), digits()["test"].features.astype(float)
    rate = (0.5 * (codes**2 + 0.25 - 1) - np.log(0.5)).sum(axis=1)
    distortion = (features**2).sum(axis=1)
    for name, values in (("rate", rate), ("distortion", distortion), ("elbo", -rate - distortion)):
        metric = find(found.evaluation.metrics, name)
        assert metric.value == pytest.approx(values.mean(), rel=1e-5)
        reach = 1.96 * values.std() / np.sqrt(300)
        assert metric.interval == pytest.approx((metric.value - reach, metric.value + reach), abs=0.25 * reach)
        assert (metric.unit, metric.split, metric.count, metric.seeds) == ("nats", "test", 300, 1)
    assert find(found.evaluation.metrics, "active_units").value == LATENT


def test_every_probe_is_measured_beside_every_baseline(found):
    metrics = [metric for metric in found.evaluation.metrics if metric.name.startswith("probe/")]
    names = [f"probe/{kind}/{budget}" for kind in ("linear", "knn") for budget in (10, 50, "all")]
    assert [m.name for m in metrics] == [name for name in names for _ in range(4)]
    assert [m.representation for m in metrics] == ["encoder", "pca", "random", "raw"] * 6
    assert {(m.unit, m.split, m.count) for m in metrics} == {("accuracy", "test", 300)}
    assert {m.seeds for m in metrics if m.name.endswith("/50")} == {2}
    assert found.evaluation.widths == {"encoder": 6, "pca": 6, "random": 6, "raw": 64}


def test_codes_that_are_principal_components_read_as_well_as_pca(found):
    for name in ("probe/linear/all", "probe/knn/all"):
        metrics = found.evaluation.metrics
        encoder, pca, raw, random = (find(metrics, name, of).value for of in ("encoder", "pca", "raw", "random"))
        assert encoder == pytest.approx(pca, abs=0.02)
        assert raw > encoder > random


def test_facts_of_model_and_data_are_kept(found):
    evaluation = found.evaluation
    assert (evaluation.schema, evaluation.space, evaluation.latent) == (1, "beta_vae-6-0123456789ab", 6)
    assert (evaluation.objective, evaluation.parameters) == ("nll + 4 * kl", {"beta": 4.0})
    data = evaluation.data
    assert list(data.counts.items()) == [("train", 700), ("eval", 100), ("test", 300)]
    assert (data.name, data.kind, data.label, data.classes) == ("digits", "vector", "digit", 10)
    assert data.probed == {"train": 700, "test": 300}
    assert 0.05 < data.majority < 0.15
    assert (evaluation.seed, evaluation.code) == (0, "0.1.0")


def test_the_same_rows_in_other_shards_and_order_give_the_same_accuracies(found, tmp_path):
    splits = {}
    for name, split in digits().items():
        order = np.random.default_rng(1).permutation(len(split.ids))
        splits[name] = Split(
            ids=[split.ids[row] for row in order],
            codes=split.codes[order],
            features=split.features[order],
            labels=[split.labels[row] for row in order],
        )
    again = evaluate(request(write(tmp_path / "shuffled", splits, shards=3))).evaluation
    for one, other in zip(found.evaluation.metrics[4:], again.metrics[4:], strict=True):
        assert other.value == pytest.approx(one.value, abs=0.01)
        assert other.name == one.name


def test_rates_by_dimension_add_up_to_the_rate(found):
    assert found.sample.rates.sum() == pytest.approx(find(found.evaluation.metrics, "rate").value, rel=1e-4)
    assert found.sample.total == 300
    assert len(found.sample.labels) == 300


def test_the_sample_is_the_smallest_hashes(root, monkeypatch):
    monkeypatch.setattr(sample, "SIZE", 20)
    shown = evaluate(request(root, labels=("all",))).sample
    ids = digits()["test"].ids
    first = sorted(range(300), key=lambda row: hashlib.sha256(ids[row].encode()).hexdigest())[:20]
    np.testing.assert_array_equal(shown.codes, digits()["test"].codes[first])
    assert shown.total == 300


def test_probes_look_at_the_stated_number_of_examples(root, monkeypatch):
    evaluation = evaluate(request(root, labels=("all",), examples=120)).evaluation
    assert evaluation.data.probed == {"train": 120, "test": 120}
    assert find(evaluation.metrics, "probe/knn/all").count == 120
    monkeypatch.setattr(labelled, "MOST_VALUES", 64 * 110)
    assert evaluate(request(root, labels=("all",))).evaluation.data.probed == {"train": 110, "test": 110}


def test_progress_is_told_with_its_fraction(root, caplog):
    with caplog.at_level(logging.INFO, logger="metaprior.progress"):
        evaluate(request(root, labels=("all",)))
    first, *rest = caplog.records
    assert (first.getMessage(), first.fraction) == ("reading the codes", 0.0)
    assert [record.fraction for record in rest] == [n / 8 for n in range(1, 9)]
    assert rest[0].getMessage().startswith("raw features, linear probe, all labels: 0.")


def test_without_bounds_a_model_is_blessed(found):
    assert found.evaluation.blessed
    assert found.evaluation.bounds == ()


def metric(name: str, value: float) -> Metric:
    unit = "accuracy" if name.startswith("probe") else "count" if name == "active_units" else "nats"
    return Metric(name, "encoder", value, unit, None, "test", 300, 1)


@pytest.mark.parametrize(
    ("name", "value", "limits", "last", "ok", "reason"),
    [
        ("probe/linear/all", 0.871, {"min": 0.9}, None, False, "is 0.871, below the minimum 0.9"),
        ("probe/linear/all", 0.9, {"min": 0.9}, None, True, "is 0.900, at or above the minimum 0.9"),
        ("probe/linear/all", 0.8996, {"min": 0.9}, None, False, "is 0.8996, below the minimum 0.9"),
        ("rate", 12.346, {"max": 12.0}, None, False, "is 12.35, above the maximum 12"),
        ("rate", 12.001, {"max": 12.0}, None, False, "is 12.001, above the maximum 12"),
        ("rate", 11.5, {"max": 12.0}, None, True, "is 11.50, at or below the maximum 12"),
        ("active_units", 3, {"min": 5}, None, False, "is 3, below the minimum 5"),
        (
            "probe/linear/all",
            0.871,
            {"drop": 0.01},
            0.91,
            False,
            "is 0.871, 0.039 below the last blessed model's 0.910 (a drop of 0.01 is allowed)",
        ),
        (
            "probe/linear/all",
            0.9,
            {"drop": 0.01},
            0.91,
            True,
            "is 0.900, 0.010 below the last blessed model's 0.910 (a drop of 0.01 is allowed)",
        ),
        (
            "elbo",
            -24.0,
            {"drop": 0.5},
            -25.0,
            True,
            "is -24.00, 1.00 above the last blessed model's -25.00 (a drop of 0.5 is allowed)",
        ),
        (
            "rate",
            12.0,
            {"rise": 1.0},
            10.5,
            False,
            "is 12.00, 1.50 above the last blessed model's 10.50 (a rise of 1 is allowed)",
        ),
        ("rate", 12.0, {"rise": 0}, 12.0, True, "is 12.00, as the last blessed model's (a rise of 0 is allowed)"),
        ("rate", 12.0, {"rise": 1.0}, None, True, "is 12.00; no blessed model to compare with yet"),
    ],
)
def test_bounds_say_in_one_line_whether_they_are_met(name, value, limits, last, ok, reason):
    reference = {} if last is None else {name: last}
    [record] = bounds.judge({name: Limits(**limits)}, [metric(name, value)], reference)
    assert record.reason == f"{name} {reason}"
    assert (record.ok, record.reference, record.value) == (ok, last, value)
    assert (record.kind, record.bound) == next(iter(limits.items()))


def test_one_missed_bound_refuses_the_model(root):
    bless = {"rate": Limits(min=0.0, max=1.0), "active_units": Limits(min=2)}
    evaluation = evaluate(request(root, labels=("all",), bless=bless)).evaluation
    assert not evaluation.blessed
    assert [(bound.metric, bound.kind, bound.ok) for bound in evaluation.bounds] == [
        ("rate", "min", True),
        ("rate", "max", False),
        ("active_units", "min", True),
    ]


def test_the_last_blessed_model_is_measured_on_the_same_rows(root, found, tmp_path):
    last = write(tmp_path / "last", digits(scale=2.0))
    bless = {"rate": Limits(rise=0.1), "probe/knn/all": Limits(drop=0.0), "active_units": Limits(drop=0)}
    evaluation = evaluate(request(root, last=last, labels=("all",), bless=bless)).evaluation
    references = {bound.metric: bound.reference for bound in evaluation.bounds}
    assert references["rate"] == pytest.approx(evaluate(request(last)).evaluation.metrics[0].value)
    # Twice the code has the same neighbors.
    assert references["probe/knn/all"] == find(found.evaluation.metrics, "probe/knn/all").value
    assert references["active_units"] == LATENT
    assert evaluation.blessed


def test_an_empty_last_blessed_model_is_none(root, tmp_path):
    evaluation = evaluate(request(root, last=tmp_path, labels=("all",), bless={"rate": Limits(rise=0.1)})).evaluation
    assert evaluation.bounds[0].reason.endswith("; no blessed model to compare with yet")


def refusal(root: Path, **settings) -> str:
    with pytest.raises(InputError) as caught:
        evaluate(request(root, **settings))
    return str(caught.value)


def test_other_rows_under_the_last_blessed_model_are_refused(root, tmp_path):
    fewer = write(tmp_path / "fewer", changed("test", ids=["digit-1"], **first_row()))
    assert refusal(root, last=fewer, bless={"rate": Limits(rise=1)}) == (
        'The last blessed model was given 1 examples of the split "test", this one 300. Embed the same data with both.'
    )
    ids = [f"other-{n}" for n in range(300)]
    others = write(tmp_path / "others", changed("test", ids=ids))
    message = refusal(root, last=others, labels=("all",), bless={"probe/knn/all": Limits(drop=1)})
    assert message.startswith("Split 'test': 300 of 300 examples are not among the embeddings, such as 'digit-")
    assert message.endswith("Embed the same data again.")


def first_row() -> dict:
    split = digits()["test"]
    return {"codes": split.codes[:1], "features": split.features[:1], "labels": split.labels[:1]}


def test_a_bound_on_an_unknown_metric_names_the_nearest(root):
    assert refusal(root, bless={"probe/linear/al": Limits(min=0.5)}) == (
        'evaluation.bless: there is no metric "probe/linear/al". Did you mean "probe/linear/all"?'
    )


def test_a_bound_on_a_metric_that_cannot_be_measured_says_why(root, unlabelled):
    remedy = "Remove the bound, or give the data what it needs."
    assert refusal(unlabelled, bless={"probe/linear/all": Limits(min=0.5)}) == (
        f'evaluation.bless: "probe/linear/all" cannot be measured: the data has no labels. {remedy}'
    )
    assert refusal(root, labels=(10, 1000), bless={"probe/knn/1000": Limits(min=0.5)}) == (
        f'evaluation.bless: "probe/knn/1000" cannot be measured: only 700 labelled training examples. {remedy}'
    )


def test_without_labels_everything_but_the_probes_is_measured(unlabelled):
    result = evaluate(request(unlabelled, bless={"rate": Limits(min=0)}))
    evaluation = result.evaluation
    assert [m.name for m in evaluation.metrics] == ["rate", "distortion", "elbo", "active_units"]
    assert len(evaluation.omitted) == 6
    assert {omission.reason for omission in evaluation.omitted} == {"the data has no labels"}
    assert (evaluation.data.label, evaluation.data.majority, evaluation.blessed) == (None, None, True)
    assert result.sample.labels is None


def test_budgets_that_cannot_be_drawn_are_left_out_with_the_reason(root):
    evaluation = evaluate(request(root, labels=(5, 10, 1000))).evaluation
    assert evaluation.omitted == (
        Omission("probe/linear/5", "5 labels are fewer than the 10 classes"),
        Omission("probe/linear/1000", "only 700 labelled training examples"),
        Omission("probe/knn/5", "5 labels are fewer than the 10 classes"),
        Omission("probe/knn/1000", "only 700 labelled training examples"),
    )
    assert {m.name for m in evaluation.metrics[4:]} == {"probe/linear/10", "probe/knn/10"}


def test_examples_without_a_label_are_left_out_of_the_probes(tmp_path):
    labels = digits()["test"].labels[:290] + [None] * 10
    evaluation = evaluate(request(write(tmp_path / "some", changed("test", labels=labels)), labels=("all",))).evaluation
    assert evaluation.data.probed == {"train": 700, "test": 290}
    assert find(evaluation.metrics, "rate").count == 300


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["3"] * 700, '"digit" has only one class in the split "train", "3"'),
        ([None] * 700, 'no example of the split "train" has a label'),
        ([str(n) for n in range(700)], '"digit" has 700 classes, more than the 500 that probes take'),
    ],
)
def test_labels_that_cannot_be_probed_say_why(labels, reason, tmp_path, monkeypatch):
    monkeypatch.setattr(labelled, "MOST_CLASSES", 500)
    evaluation = evaluate(request(write(tmp_path / "labels", changed("train", labels=labels)))).evaluation
    assert {omission.reason for omission in evaluation.omitted} == {reason}
    assert find(evaluation.metrics, "rate")


def test_a_code_that_is_not_finite_is_named(tmp_path):
    for part, split in (("test", "test"), ("train", "train")):
        codes = digits()[part].codes.copy()
        codes[3, 2] = np.nan
        id = digits()[part].ids[3]
        assert refusal(write(tmp_path / part, changed(part, codes=codes))) == (
            f"Split '{split}': embedding of example '{id}' is not finite. Train again with a lower "
            "training.learning_rate, and look for extreme values in the data."
        )


def test_an_id_that_names_two_examples_is_refused(tmp_path):
    ids = digits()["train"].ids
    assert refusal(write(tmp_path / "twice", changed("train", ids=[ids[1], *ids[1:]]))) == (
        f"data.id: '{ids[1]}' names more than one example of the split \"train\". "
        "Name a column whose values are unique."
    )


def test_an_empty_test_split_is_refused(tmp_path):
    splits = digits()
    del splits["test"]
    assert refusal(write(tmp_path / "no_test", splits)) == (
        'data.splits: the split "test" has no examples to measure. Give it a larger share.'
    )
    assert refusal(tmp_path / "nothing") == (
        f"{tmp_path / 'nothing'}: no embeddings-*.parquet in any split. Embed the data again."
    )


def test_a_single_test_example_is_measured_without_intervals(tmp_path):
    one = write(tmp_path / "one", changed("test", ids=["digit-1"], **first_row()), shards=2)
    evaluation = evaluate(request(one, labels=("all",))).evaluation
    assert find(evaluation.metrics, "rate").interval is None
    assert find(evaluation.metrics, "probe/knn/all").interval is None
    assert evaluation.warnings[-1] == 'Only 1 example of the split "test" measured: intervals are wide.'


def accuracy(value: float, of: str, reach: float = 0.01) -> Metric:
    return Metric("probe/linear/all", of, value, "accuracy", (value - reach, value + reach), "test", 300, 1)


@pytest.mark.parametrize(
    ("metrics", "warnings"),
    [
        ([metric("rate", 9.0), metric("active_units", 6)], []),
        (
            [metric("rate", 0.05), metric("active_units", 2)],
            [
                "The encoder has collapsed: it carries 0.05 nats per example, and 2 of 6 units are active. "
                "Weaken the KL term (a smaller beta) or warm it up."
            ],
        ),
        (
            [metric("rate", 9.0), metric("active_units", 5)],
            ["1 of 6 units is not active. A narrower latent would say as much."],
        ),
        (
            [accuracy(0.8, "encoder"), accuracy(0.9, "pca"), accuracy(0.81, "random"), accuracy(0.95, "raw")],
            [
                "A randomly initialized encoder does better than the trained one (linear probe, all labels): "
                "0.810 against 0.800, but the intervals overlap.",
                "PCA of the same width beats the encoder (linear probe, all labels): 0.900 against 0.800.",
            ],
        ),
        ([accuracy(0.8, "encoder"), accuracy(0.8, "pca"), accuracy(0.7, "random")], []),
    ],
)
def test_warnings_are_in_plain_language(metrics, warnings):
    assert list(findings(tuple(metrics), latent=6)) == warnings


def test_an_evaluation_survives_its_file(found, tmp_path):
    path = write_evaluation(found.evaluation, tmp_path)
    assert read_evaluation(path) == found.evaluation
    assert [file.name for file in tmp_path.iterdir()] == ["evaluation.json"]
    written = json.loads(path.read_text())
    assert written["schema"] == 1
    assert set(written["metrics"][0]) == {
        *("name", "representation", "value", "unit", "interval", "split", "count", "seeds", "note")
    }


def test_a_file_that_is_not_an_evaluation_is_refused(found, tmp_path):
    path = write_evaluation(found.evaluation, tmp_path)
    written = json.loads(path.read_text())
    remedy = "Evaluate the model again with this version."
    for change, where in (
        ({"schema": 2}, "schema: Input should be 1"),
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
    from pipeline.config import Evaluation

    section = Evaluation(labels=("all", 10, 100, 10), bless={"rate": {"max": 12}})
    settings = read_settings(section.model_dump_json())
    assert settings.budgets == (10, 100, "all")
    assert settings.bless == {"rate": Limits(max=12)}
    assert (settings.seeds, settings.examples) == (5, 10_000)


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
    settings = json.dumps({"labels": ["all"], "seeds": 2, "bless": bless})
    parameters = {"settings": settings, "data": "digits", "seed": 0, "code": "0.1.0"}
    channels = {"embeddings": channel_utils.as_channel([embeddings]), "model": channel_utils.as_channel([model])}
    executor = RepresentationEvaluator(**channels, **parameters).executor_spec.executor_class()
    executor.Do(
        {"embeddings": [embeddings], "model": [model], "baseline_embeddings": [], "baseline_model": baseline or []},
        {"evaluation": [evaluation], "blessing": [blessing]},
        parameters,
    )
    return model, evaluation, blessing


def test_a_blessed_model_is_what_the_resolver_finds(root, tmp_path, tfx_types):
    from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy

    standard = tfx_types[0]
    before = standard.Model()
    before.uri, before.id = "models/3", 3
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
    assert (tmp_path / "evaluation" / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_a_refused_model_is_not_found_and_the_reason_is_kept(root, tmp_path, tfx_types):
    from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy

    model, evaluation, blessing = run_component(root, tmp_path, tfx_types, {"active_units": {"min": 9}})
    resolved = LatestBlessedModelStrategy().resolve_artifacts(None, {"model": [model], "model_blessing": [blessing]})
    assert resolved == {"model": [], "model_blessing": []}
    assert [file.name for file in (tmp_path / "blessing").iterdir()] == ["NOT_BLESSED"]
    assert blessing.get_int_custom_property("blessed") == 0
    assert (evaluation.blessed, evaluation.reasons) == (0, "active_units is 6, below the minimum 9")

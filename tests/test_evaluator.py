"""The evaluator on real Parquet files: numbers, warnings, and what it refuses."""

import hashlib
import logging

import embeddings
import numpy as np
import pytest
from embeddings import LATENT, Split, changed, digits, first_row, metric, refusal, request, write

from components.evaluator import examples, sample
from components.evaluator.evaluate import evaluate
from components.evaluator.findings import findings
from components.evaluator.schema import Metric, Omission, find
from components.evaluator.settings import Bound

root, unlabelled, found = embeddings.root, embeddings.unlabelled, embeddings.found


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
    beside = [metric for metric in found.evaluation.metrics if metric.name.startswith("label_distortion/")]
    names = [f"probe/{kind}/{budget}" for kind in ("linear", "knn") for budget in (10, 50, "all")]
    assert [m.name for m in metrics] == [name for name in names for _ in range(4)]
    assert [m.representation for m in metrics] == ["encoder", "pca", "random", "raw"] * 6
    assert {(m.unit, m.split, m.count) for m in metrics} == {("accuracy", "test", 300)}
    assert [m.name.replace("label_distortion", "probe") for m in beside] == [m.name for m in metrics]
    assert {m.unit for m in beside} == {"nats"}
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
    assert (evaluation.schema, evaluation.space, evaluation.latent) == (2, "beta_vae-6-0123456789ab", 6)
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
        assert other.value == pytest.approx(one.value, abs=0.02)
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
    monkeypatch.setattr(examples, "MOST_VALUES", 64 * 110)
    assert evaluate(request(root, labels=("all",))).evaluation.data.probed == {"train": 110, "test": 110}


def test_progress_is_told_with_its_fraction(root, caplog):
    with caplog.at_level(logging.INFO, logger="metaprior.progress"):
        evaluate(request(root, labels=("all",)))
    first, *rest = caplog.records
    assert (first.getMessage(), first.fraction) == ("reading the codes", 0.0)
    assert [record.fraction for record in rest] == [n / 4 for n in (1, 2, 3, 4) for _ in range(4)]
    assert rest[0].getMessage().startswith("raw features, linear probe, all labels: 0.")


def test_without_labels_everything_but_the_probes_is_measured(unlabelled):
    result = evaluate(request(unlabelled, bless={"rate": Bound(min=0)}))
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
    assert {m.name for m in evaluation.metrics[4:] if m.name.startswith("probe/")} == {
        "probe/linear/10",
        "probe/knn/10",
    }


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
    monkeypatch.setattr(examples, "MOST_CLASSES", 500)
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

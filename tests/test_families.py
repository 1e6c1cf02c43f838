"""The families of metrics on real Parquet files whose codes theory knows, and what each says of what it cannot tell."""

import dataclasses
import importlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from embeddings import refusal, request
from factor_codes import SIZES, codes_of
from threadpoolctl import threadpool_limits

from components.evaluator.evaluate import evaluate
from components.evaluator.families.factored import Factored
from components.evaluator.names import bases
from components.evaluator.schema import Evaluation, find, read_evaluation, write_evaluation
from components.evaluator.settings import Bound, Settings
from components.evaluator.wording import in_words
from components.metrics.dci import disentanglement
from models.features.spec import FeatureSpec, Target

VECTOR = pa.list_(pa.float32())
COUNTS = {"train": 900, "eval": 50, "test": 600}
SPREAD = 0.6


@dataclasses.dataclass(frozen=True)
class World:
    """A posterior per example, and columns beside it."""

    mean: np.ndarray
    columns: dict[str, pa.Array]
    spec: FeatureSpec


def write(root: Path, world: World, *, spread: float = SPREAD) -> Path:
    """Writes an Embeddings artifact: three splits of one world in a row, the input the code itself."""
    facts = {"space": "vae-5-0123", "recipe": "vae", "parameters": {}, "objective": "nll + kl", "explains": "x"}
    facts |= {"latent": world.mean.shape[1], "spec": json.loads(world.spec.to_json())}
    start = 0
    for split, count in COUNTS.items():
        rows = slice(start, start + count)
        mean = world.mean[rows]
        rate = (0.5 * (mean**2 + spread**2 - 1) - np.log(spread)).sum(axis=1)
        distortion = 3 + np.abs(mean[:, 0])
        shared = {"id": [f"{split}-{row}" for row in range(count)]}
        shared |= {name: column[rows] for name, column in world.columns.items()}
        codes = {
            "embedding": pa.array(list(mean), VECTOR),
            "stddev": pa.array(list(np.full_like(mean, spread)), VECTOR),
            "rate": pa.array(rate, pa.float32()),
            "distortion": pa.array(distortion, pa.float32()),
            "elbo": pa.array(-rate - distortion, pa.float32()),
        }
        beside = {
            "features": pa.array(list(mean), VECTOR),
            "random": pa.array(list(np.tanh(mean @ np.full((mean.shape[1], 5), 0.3))), VECTOR),
        }
        folder = root / f"Split-{split}"
        folder.mkdir(parents=True)
        for prefix, own in (("embeddings", codes), ("baselines", beside)):
            table = pa.table(shared | own).replace_schema_metadata({"metaprior": json.dumps(facts)})
            pq.write_table(table, folder / f"{prefix}-00000-of-00001.parquet")
        start += count
    return root


def world(kind: str = "ideal", **roles) -> World:
    """Codes of five factors; label, sensitive attribute and targets are made of factors and noise."""
    codes, factors = codes_of(kind, sum(COUNTS.values()))
    rng = np.random.default_rng(1)
    columns = {f"factor:{index}": pa.array(factor) for index, factor in enumerate(factors.T)}
    columns["label"] = pa.array([f"class {value}" for value in factors[:, 0]])
    columns["sensitive"] = pa.array(["ab"[value] for value in factors[:, 1] % 2])
    price = factors[:, 2] + 0.1 * rng.normal(size=len(factors))
    columns["target:price"] = pa.array([None if row % 10 == 0 else value for row, value in enumerate(price)])
    tags = np.stack([factors[:, 3] > 2, factors[:, 4] > 2], axis=1).astype(np.int8)
    columns["target:tags"] = pa.array(list(tags), pa.list_(pa.int8()))
    columns |= {name: pa.array(values) for name, values in roles.items()}
    spec = FeatureSpec(
        "vector",
        (codes.shape[1],),
        label="kind",
        sensitive="group",
        factors=tuple("01234"),
        factor_sizes=tuple(int(size) for size in SIZES),
        targets=(Target("price", "regression", 1), Target("tags", "multilabel", 2)),
    )
    return World(codes.astype(np.float32), columns, spec)


ALL = {"labels": (10, 100, "all"), "measure": ("probes", "ceiling", "clustering", "disentanglement", "leakage")}


@pytest.fixture(scope="module")
def ideal(tmp_path_factory) -> Evaluation:
    root = write(tmp_path_factory.mktemp("ideal"), world())
    settings = ALL | {"measure": (*ALL["measure"], "density", "privacy"), "slices": ("kind", "group", "price")}
    return evaluate(request(root, **settings)).evaluation


def value(evaluation: Evaluation, name: str, of: str = "encoder") -> float:
    metric = find(evaluation.metrics, name, of)
    assert metric is not None, name
    return metric.value


def test_ideal_codes_have_the_scores_of_theory(ideal):
    for name in ("beta_vae", "factor_vae", "dci_disentanglement", "dci_completeness"):
        assert value(ideal, f"disentanglement/{name}") == pytest.approx(1, abs=0.06), name
    assert value(ideal, "disentanglement/mig") == pytest.approx(0.98, abs=0.03)
    assert value(ideal, "disentanglement/explicitness") == pytest.approx(1, abs=0.01)
    low, high = find(ideal.metrics, "disentanglement/mig").interval
    assert low < 0.98 < high < low + 0.1
    assert not find(ideal.metrics, "disentanglement/mig", "raw")
    assert value(ideal, "disentanglement/mig", "random") < 0.2
    assert 0.4 < value(ideal, "disentanglement/mig_sampled") < value(ideal, "disentanglement/mig")
    assert not find(ideal.metrics, "disentanglement/mig_sampled", "random")  # it has no posterior
    matrix = np.array(ideal.importance)
    assert matrix.shape == (5, 5)
    assert matrix.sum() == pytest.approx(1)
    assert np.all(np.diag(matrix) > 0.15)


def test_the_trees_behind_scores_and_importance_are_fitted_once(ideal):
    known = Factored(*codes_of("ideal", 300), seed=0)
    with threadpool_limits(1):
        assert known.dci is known.dci
    whole = value(ideal, "disentanglement/dci_disentanglement")
    assert disentanglement(np.array(ideal.importance)) == pytest.approx(whole, abs=1e-6)


def test_tasks_of_three_kinds_are_predicted(ideal):
    assert value(ideal, "probe/linear/all") > 0.95
    assert value(ideal, "probe/linear/all of price") == pytest.approx(1, abs=0.02)
    assert value(ideal, "probe/linear/all of tags") == pytest.approx(1, abs=0.02)
    units = {name: find(ideal.metrics, f"probe/linear/all{name}").unit for name in ("", " of price", " of tags")}
    assert units == {"": "accuracy", " of price": "r2", " of tags": "auc"}
    price, tags = ideal.data.tasks
    assert (price.column, price.kind, price.test) == ("price", "regression", 540)
    assert (tags.column, tags.kind, tags.classes, tags.majority) == ("tags", "multilabel", 2, None)
    assert 0 <= value(ideal, "label_distortion/linear/all") < 0.3
    assert value(ideal, "efficiency/linear") == pytest.approx(1, abs=0.1)
    assert value(ideal, "probe/linear/all", "ceiling") > 0.95


def test_a_group_that_the_code_holds_leaks_and_one_that_the_probe_does_not_need_is_treated_alike(ideal):
    majority = 0.5
    assert value(ideal, "leakage/mlp") > 0.9
    assert value(ideal, "attribute_inference/mlp") == pytest.approx(value(ideal, "leakage/mlp") - majority, abs=0.05)
    assert value(ideal, "fairness/equalized_odds") < 0.1
    assert value(ideal, "fairness/worst_group") > 0.9
    note = find(ideal.metrics, "leakage/linear").note
    assert note.startswith("always the most frequent group: 0.")
    assert "from the label alone: 0." in note


def test_the_parts_of_the_rate_add_up(ideal):
    parts = [value(ideal, f"decomposition/{name}") for name in ("mutual_information", "mismatch")]
    assert sum(parts) == pytest.approx(value(ideal, "rate"), rel=0.1)
    assert parts[0] <= np.log(600)
    two = [value(ideal, f"decomposition/{name}") for name in ("total_correlation", "dimension_wise_kl")]
    assert sum(two) == pytest.approx(parts[1], abs=1e-9)
    assert abs(value(ideal, "membership/advantage")) < 0.15


def test_slices_are_parts_of_the_whole(ideal):
    for column in ("kind", "group"):
        found = [m for m in ideal.metrics if m.name.startswith(f"probe/linear/all where {column}=")]
        mean = sum(metric.value * metric.count for metric in found) / 600
        assert sum(metric.count for metric in found) == 600
        assert mean == pytest.approx(value(ideal, "probe/linear/all"))
    quarters = [m for m in ideal.metrics if m.name.startswith("distortion where price=")]
    assert len(quarters) == 5
    assert {m.name for m in quarters} > {"distortion where price=(missing)"}
    assert not [m for m in ideal.metrics if "where" in m.name and m.representation != "encoder"]
    assert not [m for m in ideal.metrics if m.name.startswith("label_distortion/linear/10 where")]


def test_a_small_slice_does_not_make_the_split_a_small_one(ideal):
    assert min(metric.count for metric in ideal.metrics) < 100
    assert not [warning for warning in ideal.warnings if warning.startswith("Only")]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("probe/knn/all of price", "k-NN, all labels of price"),
        ("distortion where sex=Female", "distortion, where sex is Female"),
        ("label_distortion/linear/100", "distortion of the label, linear probe, 100 labels"),
        ("robustness/drop/0.5", "drop of the linear probe under noise of 0.5"),
        ("efficiency/gbt of price", "share that 100 labels reach, boosted trees of price"),
        ("slices by sex", "slices by sex"),
        ("disentanglement", "disentanglement"),
    ],
)
def test_every_name_has_words(name, words):
    assert in_words(name) == words


def test_every_metric_there_is_has_words_of_its_own():
    names = bases(Settings(probes=("linear", "knn", "gbt", "mlp")))
    assert len({in_words(name) for name in names}) == len(set(names)) == len(names)
    assert in_words("distortion", explains="label") == "distortion of the label"


def test_an_evaluation_with_everything_survives_its_file(ideal, tmp_path):
    assert read_evaluation(write_evaluation(ideal, tmp_path)) == ideal


def test_what_the_codes_leave_undefined_is_omitted_with_its_reason(tmp_path):
    constant = dataclasses.replace(world(), mean=np.ones_like(world().mean))
    found = evaluate(request(write(tmp_path / "constant", constant), **ALL)).evaluation
    reasons = {omission.metric: omission.reason for omission in found.omitted}
    assert "fewer than 3 clusters" in reasons["clustering/accuracy"]
    assert value(found, "probe/linear/all") < 0.5
    odd = dataclasses.replace(world(), columns=world().columns | {"label": pa.array(["only"] * 1550)})
    found = evaluate(request(write(tmp_path / "one", odd), measure=("probes", "clustering"))).evaluation
    assert {o.reason for o in found.omitted} == {'"kind" has only one class in the split "train", "only"'}
    assert not find(found.metrics, "clustering/nmi")


def test_a_posterior_of_another_kind_has_no_decomposition(tmp_path, monkeypatch):
    family = importlib.import_module("components.evaluator.families.disentanglement")
    monkeypatch.setattr(family, "SCORES", (family.SCORES[2],))  # MIG alone, which is fast
    found = evaluate(request(write(tmp_path / "point", world(), spread=1e-9), measure=("density",))).evaluation
    assert find(found.metrics, "decomposition/mutual_information")
    wrong = world()
    root = write(tmp_path / "wrong", wrong)
    for path in root.glob("Split-test/embeddings-*"):
        table = pq.read_table(path)
        place = table.schema.get_field_index("rate")
        pq.write_table(table.set_column(place, "rate", pa.array(np.full(600, 99.0), pa.float32())), path)
    found = evaluate(request(root, measure=("density", "disentanglement"))).evaluation
    reasons = {omission.metric: omission.reason for omission in found.omitted}
    assert (
        reasons["decomposition/mismatch"]
        == reasons["disentanglement/mig_sampled"]
        == ("the posterior is not a diagonal normal, or the prior not the standard normal")
    )
    assert find(found.metrics, "disentanglement/mig")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("disentanglement/mig", "the data names no factors (data.factors)"),
        ("leakage/mlp", "the data names no sensitive attribute (data.sensitive)"),
    ],
)
def test_a_bound_on_what_the_data_lacks_says_what_it_needs(name, reason, tmp_path):
    bare = world()
    spec = dataclasses.replace(bare.spec, factors=(), factor_sizes=(), sensitive=None)
    columns = {key: values for key, values in bare.columns.items() if key in ("label", "target:price", "target:tags")}
    root = write(tmp_path / "bare", World(bare.mean, columns, spec))
    message = refusal(root, measure=("disentanglement", "leakage"), bless={name: Bound(min=0.1)})
    remedy = "Remove the bound, or give the data what it needs."
    assert message == f'evaluation.bless: "{name}" cannot be measured: {reason}. {remedy}'


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("probe/linear/all of prize", "probe/linear/all of price"),
        ("rate where group=a", "rate"),
        ("disentanglement/migs", "disentanglement/mig"),
        ("active_units where kind=class 1", "active_units"),
        ("clustering/nmi of price", "clustering/nmi"),
    ],
)
def test_a_bound_on_a_task_or_slice_that_is_none_names_the_nearest(name, nearest, tmp_path):
    root = write(tmp_path / "any", world())
    message = refusal(root, slices=("kind",), bless={name: Bound(min=0.1)})
    assert message == f'evaluation.bless: there is no metric "{name}". Did you mean "{nearest}"?'


def test_the_tasks_that_are_asked_for_take_the_place_of_the_targets(tmp_path):
    root = write(tmp_path / "asked", world())
    found = evaluate(request(root, labels=("all",), measure=("probes",), tasks=("group", "4"))).evaluation
    assert [task.column for task in found.data.tasks] == ["group", "4"]
    assert value(found, "probe/knn/all of 4") > 0.6
    missing = evaluate(request(root, labels=("all",), measure=("probes",), tasks=("nothing",))).evaluation
    assert {o.reason for o in missing.omitted} == {'the data has no column "nothing"'}

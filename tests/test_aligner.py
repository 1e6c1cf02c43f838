"""A second export that also answers in the last blessed space, and what the evaluation says of it."""

import dataclasses
import json
from pathlib import Path

import artifacts
import embeddings
import numpy as np
import pytest
import samples
import tensorflow as tf
from embeddings import digits, request, write
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tfx.types import standard_artifacts

from components.aligner import align
from components.aligner.component import NOT_MEASURED, Aligner
from components.artifacts import Embeddings
from components.evaluator.evaluate import Evaluated, evaluate
from components.evaluator.schema import Omission, find
from components.evaluator.settings import Bound
from components.evaluator.wording import NOT_FINITE, NOT_YET, OTHER_INPUTS, SAME_SPACE
from components.metrics.alignment import neighbor_agreement
from components.metrics.procrustes import LAST_THE_SAME, NEW_THE_SAME, Alignment
from components.metrics.undefined import UndefinedError
from components.report.alignment import compatibility
from components.report.html import render
from components.serving_check import golden
from models import warmup
from models.artifact import read_metadata, read_spec
from models.errors import InputError
from serving.servable import Servable
from serving.warmup import records

pytestmark = samples.STACK
exported = artifacts.exported

RNG = np.random.default_rng(0)
TURN = np.linalg.qr(RNG.normal(size=(6, 6)))[0]
LAST = {
    "space": "vae-6-00000000000a",
    "recipe": "vae",
    "parameters": {},
    "objective": "nll + kl",
    "latent": 6,
    "metaprior": "0.1.0",
}


def artifact(kind, folder: Path):
    one = kind()
    one.uri = str(folder)
    return one


def turned(*, noise: float) -> dict[str, embeddings.Split]:
    """The digits under another encoder: the same codes, turned, stretched and shifted, and noise."""
    return {
        name: dataclasses.replace(
            split,
            codes=(split.codes @ TURN * 2 + 1 + noise * RNG.normal(size=split.codes.shape)).astype(np.float32),
        )
        for name, split in digits().items()
    }


@pytest.mark.parametrize("kind", ["digits", "people"])
def test_the_old_signatures_answer_bit_for_bit_and_the_new_one_in_the_old_space(exported, kind, tmp_path):
    one = exported[kind]
    alignment = Alignment(1.5 * TURN[:3, :5], np.arange(5.0), scale=1.5, residual=0.1, count=700)
    align.write(one.folder, alignment, LAST, tmp_path / "model")
    saved_model = tmp_path / "model" / "Format-Serving"
    served, before = Servable(saved_model), Servable(one.serving)
    twins = {"embed": "embed_aligned"} | ({"embed_bytes": "embed_aligned_bytes"} if kind == "digits" else {})
    assert set(served.signatures) == {*before.signatures, *twins.values()}
    requests = one.requests()
    for name, signature in before.signatures.items():
        expected, found = before.run(signature, requests[name]), served.run(served.signatures[name], requests[name])
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value, err_msg=f"{name} {key}")

    for old, twin in reversed(twins.items()):
        new, codes = served.signatures[twin], before.run(before.signatures[old], requests[old])
        assert (set(new.inputs), new.batch_major) == (set(before.signatures[old].inputs), True)
        assert served.space_of(twin) == LAST["space"] != served.space_of(old)
        found = served.run(new, requests[old])
        np.testing.assert_allclose(found["embedding"], codes["embedding"] @ alignment.matrix + np.arange(5), atol=1e-5)
        np.testing.assert_allclose(found["stddev"], np.sqrt(codes["stddev"] ** 2 @ alignment.matrix**2), atol=1e-5)
        np.testing.assert_array_equal(found["rate"], codes["rate"])
    loaded = tf.saved_model.load(str(saved_model)).signatures["embed_aligned"]
    again = loaded(**{key: tf.constant(value) for key, value in requests["embed"].items()})
    np.testing.assert_allclose(again["embedding"], found["embedding"], atol=1e-5)
    assert b"_XlaMustCompile" not in (saved_model / "saved_model.pb").read_bytes()

    record = read_metadata(saved_model)
    facts = record.pop("aligned_to")
    assert record == read_metadata(one.serving)
    assert facts == LAST | {"scale": 1.5, "residual": 0.1, "examples": 700}
    there, told = align.read(saved_model)
    np.testing.assert_array_equal(there.matrix, alignment.matrix)
    assert (there.count, told) == (700, facts)
    assert align.read(one.serving) is None
    own, asked = (warm_up_of(folder) for folder in (one.serving, saved_model))
    more = [(twin, inputs) for old, twin in twins.items() for name, inputs in own if name == old]
    assert (asked, len(more)) == (own + more, 2 * len(twins))

    # What the serving check asks and expects, by another way than the graph.
    known = golden.read(tmp_path / "model" / "golden.json")
    assert golden.requests(known, read_spec(record)).keys() >= set(twins.values())
    asked = golden.requests(known, read_spec(record))["embed_aligned"]
    arrays = {key: np.asarray(value, tensor.kind.numpy) for key, value in asked.items() for tensor in [new.inputs[key]]}
    answers = served.run(new, arrays)
    for key, value in known.of("embed_aligned").items():
        np.testing.assert_allclose(answers[key], value, rtol=1e-5, atol=1e-5)
    assert known.of("embed") is known.answers


def warm_up_of(saved_model: Path) -> list[tuple[str, dict]]:
    requests = [PredictionLog.FromString(r).predict_log.request for r in records(saved_model / warmup.FILE)]
    return [(request.model_spec.signature_name, dict(request.inputs)) for request in requests]


@pytest.fixture(scope="module")
def spaces(tmp_path_factory) -> dict[str, Path]:
    """Embeddings of the digits under the last blessed model, under one that turned them, and under a stranger."""
    root = tmp_path_factory.mktemp("spaces")
    stranger = {
        name: dataclasses.replace(split, codes=RNG.normal(size=split.codes.shape).astype(np.float32))
        for name, split in digits().items()
    }
    made = {"last": digits(), "turned": turned(noise=0.05), "stranger": stranger}
    return {name: write(root / name, splits) for name, splits in made.items()}


def aligned(folder: Path, new: Path, last: Path) -> Path:
    """An exported encoder as far as the evaluation reads it."""
    saved_model = folder / "Format-Serving"
    (saved_model / "assets.extra").mkdir(parents=True)
    (saved_model / "assets.extra" / "metaprior.json").write_text("{}")
    align.record(saved_model, align.fitted(new, last), LAST)
    return saved_model


@pytest.fixture(scope="module")
def found(spaces, tmp_path_factory) -> dict[str, Evaluated]:
    """What is measured of the model that turned the space, and of the stranger, held against the last one."""
    bless = {"alignment/neighbors": Bound(min=0.5, drop=0.6), "alignment/probe": Bound(drop=0.05)}
    return {
        name: evaluate(
            dataclasses.replace(
                request(spaces[name], last=spaces["last"], measure=("alignment",), bless=bless),
                aligned=aligned(tmp_path_factory.mktemp(name), spaces[name], spaces["last"]),
            )
        )
        for name in ("turned", "stranger")
    }


def numbers(evaluated: Evaluated) -> dict[str, float]:
    return {m.name.removeprefix("alignment/"): m.value for m in evaluated.evaluation.metrics if "alignment" in m.name}


def test_what_is_measured_tells_a_turned_space_from_a_strange_one(found):
    near, far = numbers(found["turned"]), numbers(found["stranger"])
    assert near["neighbors"] > 0.9 > 0.1 > far["neighbors"]
    assert near["retrieval"] > 0.9 > 0.3 > near["retrieval/unaligned"]
    assert near["recall"] > 0.99 > 0.2 > far["recall"]
    assert near["residual"] < 0.01 < 1.5 < far["residual"]
    assert near["probe"] == pytest.approx(near["probe/before"], abs=0.02)
    assert near["probe/unaligned"] < near["probe"] - 0.3
    assert near["probe_drop"] == pytest.approx(near["probe/before"] - near["probe"])
    interval = find(found["stranger"].evaluation.metrics, "alignment/probe_drop").interval
    assert interval[0] > 0.5


def test_bounds_refuse_a_space_that_breaks_consumers_by_paired_tests(found):
    assert found["turned"].evaluation.blessed
    refused = {(b.metric, b.kind): b for b in found["stranger"].evaluation.bounds if not b.ok}
    assert set(refused) == {
        ("alignment/neighbors", "min"),
        ("alignment/neighbors", "drop"),
        ("alignment/probe", "drop"),
    }
    bound = refused["alignment/probe", "drop"]
    # The last blessed model's own number is that of its probe on its own vectors.
    assert bound.reference == numbers(found["stranger"])["probe/before"]
    assert bound.p_value < 0.001
    assert refused["alignment/neighbors", "drop"].reference == 1
    assert any("Embed what is kept again: metaprior backfill." in w for w in found["stranger"].evaluation.warnings)
    assert not any("metaprior backfill" in w for w in found["turned"].evaluation.warnings)


def test_the_run_says_it_and_the_report_shows_it(found):
    near, far = (found[name].evaluation for name in ("turned", "stranger"))
    value = {name: f"{find(near.metrics, f'alignment/{name}').value:.3f}" for name in ("probe/before", "probe")}
    share = round(100 * find(near.metrics, "alignment/neighbors").value)
    assert compatibility(near, version=3, data="digits") == [
        f"Aligned to space vae-6-00000000000a (version 3): {share} % of neighbors kept; "
        f"linear probe {value['probe/before']} -> {value['probe']}."
    ]
    first, second = compatibility(far, version=None, data="my data.csv")
    assert first.startswith("Aligned to space vae-6-00000000000a: ")
    assert second == (
        "Not compatible enough with it (3 bounds not met). Whoever keeps vectors must embed again once it is served: "
        "metaprior backfill OLD.parquet --data 'my data.csv' --out NEW.parquet"
    )
    page = render(near, found["turned"].sample)
    assert "Vectors of the last blessed space" in page
    assert "What an index of old vectors finds" in page


@pytest.mark.parametrize("reason", [NOT_YET, OTHER_INPUTS, SAME_SPACE, NOT_FINITE, LAST_THE_SAME])
def test_bounds_hold_where_no_space_can_be_broken(spaces, reason):
    bless = {"alignment/neighbors": Bound(min=0.99), "active_units": Bound(min=1)}
    asked = dataclasses.replace(request(spaces["turned"], measure=("alignment",), bless=bless), unaligned=reason)
    evaluation = evaluate(asked).evaluation
    assert (evaluation.blessed, [bound.metric for bound in evaluation.bounds]) == (True, ["active_units"])
    assert evaluation.omitted == (Omission("alignment", reason),)
    lines = compatibility(evaluation, version=None, data="digits")
    assert [line.split(":")[0] for line in lines] == (["Not aligned"] if reason == OTHER_INPUTS else [])


def test_a_bound_on_what_is_not_measured_is_told(spaces):
    bless = {"alignment/neighbors": Bound(min=0.9)}
    asked = request(spaces["turned"], last=spaces["last"], measure=("privacy",), bless=bless)
    with pytest.raises(InputError) as caught:
        evaluate(dataclasses.replace(asked, unaligned=NOT_MEASURED))
    assert f'"alignment/neighbors" cannot be measured: {NOT_MEASURED}. ' in str(caught.value)


def test_a_model_with_one_code_for_all_meets_no_bound_on_the_alignment(spaces):
    bless = {"alignment/neighbors": Bound(min=0.9, drop=0.1), "active_units": Bound(min=1)}
    asked = request(spaces["turned"], measure=("alignment",), bless=bless)
    found = evaluate(dataclasses.replace(asked, unaligned=NEW_THE_SAME))
    evaluation = found.evaluation
    assert not evaluation.blessed
    assert [b.kind for b in evaluation.bounds if not b.ok] == ["min", "drop"]
    assert evaluation.bounds[-1].reason == f"alignment/neighbors has no value: {NEW_THE_SAME}"
    assert NEW_THE_SAME in render(evaluation, found.sample)


def test_a_code_of_the_last_model_that_is_not_finite_keeps_no_new_one_from_being_blessed(spaces, tmp_path):
    broken = digits()
    broken["train"].codes[3, 1] = np.nan
    last = write(tmp_path / "last", broken)
    with pytest.raises(UndefinedError, match=f"^{NOT_FINITE}$"):
        align.fitted(spaces["turned"], last)
    with pytest.raises(InputError, match="not finite. Train again"):
        align.fitted(last, spaces["turned"])
    # Another alignment, of examples that the evaluation does not look at.
    bless = {"alignment/neighbors": Bound(min=0.99, drop=0.01), "active_units": Bound(min=1)}
    asked = request(spaces["turned"], last=last, measure=("alignment",), bless=bless)
    saved_model = aligned(tmp_path / "model", spaces["turned"], spaces["last"])
    evaluation = evaluate(dataclasses.replace(asked, aligned=saved_model)).evaluation
    assert (evaluation.blessed, [bound.metric for bound in evaluation.bounds]) == (True, ["active_units"])
    assert evaluation.omitted == (Omission("alignment", NOT_FINITE),)


def test_neighbors_are_compared_in_the_models_own_space(spaces, tmp_path):
    wider = {
        name: dataclasses.replace(split, codes=np.hstack([split.codes, RNG.normal(size=split.codes.shape) * 2]))
        for name, split in digits().items()
    }
    new = write(tmp_path / "wider", wider)
    asked = request(new, last=spaces["last"], measure=("alignment",))
    found = numbers(evaluate(dataclasses.replace(asked, aligned=aligned(tmp_path, new, spaces["last"]))))
    kept = neighbor_agreement(digits()["test"].codes, wider["test"].codes).mean()
    assert found["neighbors"] == pytest.approx(kept, abs=1e-3)
    assert kept < found["retrieval"] - 0.1


@pytest.mark.parametrize(
    ("case", "reason"),
    [("first", NOT_YET), ("other inputs", OTHER_INPUTS), ("unasked", NOT_MEASURED), ("same", SAME_SPACE)],
)
def test_a_model_without_a_space_to_align_to_passes_as_it_came(spaces, tmp_path, case, reason):
    model = tmp_path / "model"
    (model / "Format-Serving" / "assets.extra").mkdir(parents=True)
    for path in ("Format-Serving/saved_model.pb", "Format-Serving/assets.extra/metaprior.json", "golden.json"):
        (model / path).write_text(json.dumps({"space": "vae-6-00000000000b"}))
    (tmp_path / "empty").mkdir()
    target = artifact(standard_artifacts.Model, tmp_path / "aligned")
    Aligner.test_call(
        embeddings=artifact(Embeddings, spaces["turned"]),
        baseline_embeddings=artifact(Embeddings, tmp_path / "empty" if case == "other inputs" else spaces["last"]),
        model=artifact(standard_artifacts.Model, model),
        baseline_model=None if case == "first" else artifact(standard_artifacts.Model, model),
        aligned_model=target,
        measured=int(case != "unasked"),
        code="1",
    )
    assert target.get_string_custom_property("reason") == reason
    files = [path.relative_to(model) for path in model.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert all((Path(target.uri) / path).samefile(model / path) for path in files)


def test_no_training_and_no_resolver_hangs_on_an_alignment():
    from pipeline import loading
    from pipeline.graph import create_pipeline

    nodes = {node.id: node for node in create_pipeline(loading.load(data="digits")).components}

    def above(name: str) -> set[str]:
        direct = {node.id for node in nodes[name].upstream_nodes}
        return direct.union(*(above(one) for one in direct))

    assert not above("Trainer") & {"LatestBlessed", "Embedder", "Aligner"}
    assert "Aligner" not in above("LatestBlessed") | above("Embedder")
    assert all("Aligner" in above(name) for name in ("RepresentationEvaluator", "ServingCheck", "Pusher"))

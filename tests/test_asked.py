"""What the model is asked beside its codes, held against the last blessed model: paired on the same examples."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from embeddings import VECTOR, digits, request, write

from components.evaluator.evaluate import evaluate
from components.evaluator.schema import Evaluation, find
from components.evaluator.settings import Bound, Settings

BLESS = {"likelihood/iwae": Bound(drop=0.1), "robustness/displacement/0.5": Bound(rise=0.02)}
ASKED = {"labels": ("all",), "measure": ("likelihood", "robustness"), "noise": (0.5,), "bless": BLESS}
SOME = 120


def asked(root: Path, *, nats: float, noise: float, seed: int) -> Path:
    """An Embeddings artifact with what a model says of the first test examples."""
    splits = digits()
    write(root, splits)
    test, rng = splits["test"], np.random.default_rng(seed)
    iwae = nats + (test.features[:SOME] ** 2).sum(axis=1) + 0.1 * rng.normal(size=SOME)
    table = {
        "id": test.ids[:SOME],
        "label": pa.array(test.labels[:SOME]),
        "noisy:0.5": pa.array(list(test.codes[:SOME] + noise * rng.normal(size=(SOME, 6)).astype(np.float32)), VECTOR),
        "sampled:elbo": pa.array(iwae - 1, pa.float32()),
        "sampled:iwae": pa.array(iwae, pa.float32()),
    }
    pq.write_table(pa.table(table), root / "Split-test" / "measures-00000-of-00001.parquet")
    return root


@pytest.fixture(scope="module")
def last(tmp_path_factory) -> Path:
    return asked(tmp_path_factory.mktemp("last") / "last", nats=-30, noise=0.1, seed=1)


def against(root: Path, last: Path) -> Evaluation:
    return evaluate(request(root, last=last, **ASKED)).evaluation


# Catches: the last blessed model not asked, unpaired examples (they differ by more than the models do), the value of
# the model itself as the reference.
def test_a_loss_of_likelihood_or_robustness_is_tested_on_the_same_examples(last, tmp_path):
    found = against(asked(tmp_path / "worse", nats=-30.3, noise=0.3, seed=2), last)
    likelihood, moved = found.bounds
    assert not likelihood.ok
    assert likelihood.reference - likelihood.value == pytest.approx(0.3, abs=0.05)
    assert likelihood.p_value < 0.001
    assert likelihood.reason.endswith(
        "(a drop of 0.1 is allowed; the loss beyond it is significant: sign-flip permutation, p < 0.001)"
    )
    assert not moved.ok
    assert moved.reference == pytest.approx(moved.value / 3, rel=0.15)
    assert moved.p_value < 0.001
    assert find(found.metrics, "robustness/agreement/0.5").count == SOME
    same = against(asked(tmp_path / "same", nats=-30, noise=0.1, seed=3), last)
    assert [bound.ok for bound in same.bounds] == [True, True]
    assert all(bound.reference is not None for bound in same.bounds)


def test_a_last_blessed_model_that_does_not_answer_is_no_obstacle_and_said(last, tmp_path):
    found = against(last, write(tmp_path / "old", digits()))
    reason = "of the last blessed model there is no such number: its export does not answer that"
    assert [(bound.ok, bound.reason.split("; ", 1)[1]) for bound in found.bounds] == [(True, reason)] * 2


@pytest.mark.parametrize(
    ("bless", "again"),
    [
        ({}, []),
        ({"likelihood/iwae": Bound(min=-99)}, []),
        ({"robustness/drop/0.5": Bound(rise=0.1), "rate": Bound(rise=1)}, ["robustness"]),
        (BLESS, ["likelihood", "robustness"]),
    ],
)
def test_the_last_blessed_model_is_asked_only_what_a_bound_compares(bless, again):
    assert Settings(**(ASKED | {"bless": bless})).measures["again"] == again
    assert Settings(bless=bless).measures["again"] == []

"""The gate against the last blessed model: paired tests on examples and draws, and what a refusal says."""

import dataclasses

import numpy as np
import pytest
from embeddings import digits, metric, request, write
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from components.evaluator import bounds
from components.evaluator.evaluate import evaluate
from components.evaluator.finding import Finding
from components.evaluator.regression import adjusted, loss
from components.evaluator.settings import Bound, Settings

RNG = np.random.default_rng(3)
NAME = "probe/linear/all"


def finding(outcomes: np.ndarray, name: str = NAME) -> Finding:
    return Finding(metric(name, float(np.mean(outcomes))), rows=np.arange(len(outcomes)), outcomes=outcomes)


def judged(before: Finding, after: Finding, **limits) -> bounds.BoundRecord:
    settings = Settings(bless={after.metric.name: Bound(**limits)})
    [record] = bounds.judge(settings, [after], bounds.Reference({before.metric.name: before}))
    return record


def answers(right: int, wrong: int) -> np.ndarray:
    return np.array([1.0] * right + [0.0] * wrong)


# Catches: a bare comparison; a two-sided test; the alternative the other way round.
def test_a_fall_that_chance_explains_is_let_through_and_one_that_it_does_not_is_refused():
    before = answers(90, 10)
    few, many = before.copy(), before.copy()
    few[:2], many[:12] = 0, 0
    small, large = judged(finding(before), finding(few), drop=0.0), judged(finding(before), finding(many), drop=0.0)
    assert small.ok
    assert small.p_value == pytest.approx(0.25)
    assert small.reason == (
        "probe/linear/all is 0.880, 0.020 below the last blessed model's 0.900 (a drop of 0 is allowed; the loss "
        "beyond it is not significant: exact McNemar, p = 0.250)"
    )
    assert not large.ok
    assert large.p_value == pytest.approx(2.0**-12)
    assert large.reason.endswith("the loss beyond it is significant: exact McNemar, p < 0.001)")
    assert judged(finding(many), finding(before), drop=0.0).ok


def test_what_is_allowed_shifts_the_test():
    before = answers(400, 100)
    after = before.copy()
    after[:60] = 0  # a fall of 0.12
    assert not judged(finding(before), finding(after), drop=0.0).ok
    assert not judged(finding(before), finding(after), drop=0.05).ok
    assert judged(finding(before), finding(after), drop=0.11).ok
    allowed = judged(finding(before), finding(after), drop=0.2)
    assert allowed.ok
    assert "significant" not in allowed.reason


def test_a_rise_of_nats_is_tested_by_sign_flips():
    before = RNG.gamma(3.0, size=300)
    noise = RNG.normal(0, 0.5, 300)
    steady, worse = finding(before + noise - noise.mean() + 0.01, "rate"), finding(before + 0.3 + noise, "rate")
    assert judged(finding(before, "rate"), steady, rise=0.0).ok
    refused = judged(finding(before, "rate"), worse, rise=0.1)
    assert not refused.ok
    assert "sign-flip permutation, p < 0.001" in refused.reason
    assert judged(finding(before, "rate"), worse, drop=0.0).ok


def test_draws_of_labels_are_tested_over_the_same_draws():
    before, change = np.array([0.81, 0.84, 0.79, 0.86, 0.82]), np.array([0.05, 0.06, 0.04, 0.05, 0.06])
    name = "probe/linear/100"
    was, now = (Finding(metric(name, float(np.mean(x))), draws=x) for x in (before, before - change))
    record = judged(was, now, drop=0.02)
    assert record.p_value == pytest.approx(stats.ttest_1samp(0.02 - change, 0, alternative="less").pvalue)
    assert not record.ok
    assert "paired t over 5 draws" in record.reason
    uneven = Finding(metric(name, float(np.mean(before)) - 0.03), draws=before - [0.15, -0.1, 0.1, -0.1, 0.1])
    assert judged(was, uneven, drop=0.0).ok


def test_a_metric_that_is_no_mean_is_compared_as_it_is():
    before, after = (Finding(metric("active_units", value)) for value in (8, 7))
    record = judged(before, after, drop=0)
    assert (record.ok, record.p_value) == (False, None)
    assert record.reason == "active_units is 7, 1 below the last blessed model's 8 (a drop of 0 is allowed)"


# Catches: every bound tested as if it were the only one.
def test_several_bounds_together_err_as_one_would():
    before = answers(95, 5)
    after = before.copy()
    after[:6] = 0  # p = 1/64 by itself
    alone = judged(finding(before), finding(after), drop=0.0)
    assert alone.p_value == pytest.approx(1 / 64)
    assert not alone.ok
    names = ["probe/linear/all", "probe/knn/all", "label_distortion/linear/all", "rate"]
    settings = Settings(bless={name: Bound(drop=0.0) for name in names})
    last = bounds.Reference({name: finding(before, name) for name in names})
    now = [finding(after, names[0]), *(finding(before, name) for name in names[1:])]
    records = bounds.judge(settings, now, last)
    assert records[0].p_value == pytest.approx(4 / 64)
    assert all(record.ok for record in records)
    loose = Settings(bless=settings.bless, significance=0.1)
    assert [record.ok for record in bounds.judge(loose, now, last)] == [False, True, True, True]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60), st.floats(0, 0.5))
def test_a_model_is_never_refused_for_a_loss_that_is_allowed(pairs, allowed):
    before, after = (np.array(column, float) for column in zip(*pairs, strict=True))
    found = loss(finding(before), finding(after), falls=True, allowed=allowed, seed=0)
    if before.mean() - after.mean() <= allowed:
        assert not found.refused
    assert not loss(finding(before), finding(before), falls=True, allowed=0, seed=0).refused


def test_losses_without_a_test_keep_none():
    bare = loss(Finding(metric("rate", 1.0)), Finding(metric("rate", 2.0)), falls=False, allowed=0.5, seed=0)
    assert adjusted([bare], 0.05) == [dataclasses.replace(bare, significance=0.05)]
    assert bare.refused


def test_a_worse_encoder_is_refused_on_the_whole_and_on_a_slice(tmp_path):
    """Codes of which the class 3 is lost: the whole may pass, its slice does not."""
    good = digits()
    bad = {name: dataclasses.replace(split, codes=_without(split, "3")) for name, split in good.items()}
    roots = [write(tmp_path / name, splits) for name, splits in (("good", good), ("bad", bad))]
    bless = {"probe/linear/all where digit=3": Bound(drop=0.0), "probe/linear/all": Bound(drop=0.3)}
    asked = {"labels": ("all",), "slices": ("digit",), "bless": bless}
    found = evaluate(request(roots[1], last=roots[0], **asked)).evaluation
    part, whole = found.bounds
    assert not part.ok
    assert part.reference is not None
    assert part.p_value is not None
    assert part.reference > 0.6 > part.value
    assert part.p_value < 0.001
    assert whole.ok
    assert not found.blessed


def _without(split, label: str) -> np.ndarray:
    """The codes, where those of one class are those of examples of all the others."""
    codes = split.codes.copy()
    lost = np.flatnonzero(np.array(split.labels) == label)
    others = np.flatnonzero(np.array(split.labels) != label)
    codes[lost] = codes[np.random.default_rng(0).choice(others, len(lost))]
    return codes

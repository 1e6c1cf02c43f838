"""Bounds: what each says in one line, the verdict, and the comparison with the last blessed model."""

import embeddings
import pytest
from embeddings import LATENT, changed, digits, first_row, metric, refusal, request, write

from components.evaluator import bounds
from components.evaluator.evaluate import evaluate
from components.evaluator.finding import Finding
from components.evaluator.schema import find
from components.evaluator.settings import Bound, Settings

root, unlabelled, found = embeddings.root, embeddings.unlabelled, embeddings.found


def reached(values: dict[str, float]) -> bounds.Reference:
    """The last blessed model, of which only the metrics are known."""
    return bounds.Reference({name: Finding(metric(name, value)) for name, value in values.items()})


def asking(bless: dict[str, Bound]) -> Settings:
    return Settings(bless=bless)


def test_without_bounds_a_model_is_blessed(found):
    assert found.evaluation.blessed
    assert found.evaluation.bounds == ()


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
        ("rate", 12.0, {"rise": 1.0}, None, True, "is 12.00; no model yet"),
    ],
)
def test_bounds_say_in_one_line_whether_they_are_met(name, value, limits, last, ok, reason):
    reference = bounds.Reference({}, "no model yet") if last is None else reached({name: last})
    [record] = bounds.judge(asking({name: Bound(**limits)}), [Finding(metric(name, value))], reference)
    assert record.reason == f"{name} {reason}"
    assert (record.ok, record.reference, record.value) == (ok, last, value)
    assert (record.kind, record.bound) == next(iter(limits.items()))


def test_a_number_that_the_last_blessed_model_lacks_is_not_a_missing_model():
    bless = {"rate": Bound(rise=1), "elbo": Bound(drop=1)}
    now = [Finding(metric("rate", 9.0)), Finding(metric("elbo", -24.0))]
    rate, elbo = bounds.judge(asking(bless), now, reached({"rate": 9.0}))
    assert rate.reason == "rate is 9.00, as the last blessed model's (a rise of 1 is allowed)"
    assert elbo.reason == "elbo is -24.00; the last blessed model has no such number to compare with"
    assert (elbo.ok, elbo.reference) == (True, None)


def test_one_missed_bound_refuses_the_model(root):
    bless = {"rate": Bound(min=0.0, max=1.0), "active_units": Bound(min=2)}
    evaluation = evaluate(request(root, labels=("all",), bless=bless)).evaluation
    assert not evaluation.blessed
    assert [(bound.metric, bound.kind, bound.ok) for bound in evaluation.bounds] == [
        ("rate", "min", True),
        ("rate", "max", False),
        ("active_units", "min", True),
    ]


def test_the_last_blessed_model_is_measured_on_the_same_rows(root, found, tmp_path):
    last = write(tmp_path / "last", digits(scale=2.0))
    bless = {"rate": Bound(rise=0.1), "probe/knn/all": Bound(drop=0.0), "active_units": Bound(drop=0)}
    evaluation = evaluate(request(root, last=last, labels=("all",), bless=bless)).evaluation
    references = {bound.metric: bound.reference for bound in evaluation.bounds}
    assert references["rate"] == pytest.approx(evaluate(request(last)).evaluation.metrics[0].value)
    # Twice the code has the same neighbors.
    assert references["probe/knn/all"] == find(found.evaluation.metrics, "probe/knn/all").value
    assert references["active_units"] == LATENT
    assert evaluation.blessed


def test_a_bound_against_no_blessed_model_says_why_there_is_none(root, tmp_path):
    asked = {"labels": ("all",), "bless": {"rate": Bound(rise=0.1)}}
    for last, reason in (
        (None, "; no blessed model to compare with yet"),
        (tmp_path, "; the last blessed model takes other inputs, so it is not compared"),
    ):
        evaluation = evaluate(request(root, last=last, **asked)).evaluation
        assert evaluation.bounds[0].reason.endswith(reason)
        assert (evaluation.bounds[0].reference, evaluation.blessed) == (None, True)


def test_other_rows_under_the_last_blessed_model_are_refused(root, tmp_path):
    fewer = write(tmp_path / "fewer", changed("test", ids=["digit-1"], **first_row()))
    assert refusal(root, last=fewer, bless={"rate": Bound(rise=1)}) == (
        'The last blessed model was given 1 examples of the split "test", this one 300. Embed the same data with both.'
    )
    ids = [f"other-{n}" for n in range(300)]
    others = write(tmp_path / "others", changed("test", ids=ids))
    message = refusal(root, last=others, labels=("all",), bless={"probe/knn/all": Bound(drop=1)})
    assert message.startswith("Split 'test': 300 of 300 examples are not among the embeddings, such as 'digit-")
    assert message.endswith("Embed the same data again.")


def test_a_bound_on_an_unknown_metric_names_the_nearest(root):
    assert refusal(root, bless={"probe/linear/al": Bound(min=0.5)}) == (
        'evaluation.bless: there is no metric "probe/linear/al". Did you mean "probe/linear/all"?'
    )


def test_a_bound_on_a_metric_that_cannot_be_measured_says_why(root, unlabelled):
    remedy = "Remove the bound, or give the data what it needs."
    assert refusal(unlabelled, bless={"probe/linear/all": Bound(min=0.5)}) == (
        f'evaluation.bless: "probe/linear/all" cannot be measured: the data has no labels. {remedy}'
    )
    assert refusal(root, labels=(10, 1000), bless={"probe/knn/1000": Bound(min=0.5)}) == (
        f'evaluation.bless: "probe/knn/1000" cannot be measured: only 700 labelled training examples. {remedy}'
    )

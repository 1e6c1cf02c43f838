"""Runs side by side: what can be compared, by how much it differs, and what the page shows of it."""

import dataclasses
import json
import re

import pytest
import reports
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import HOSTILE, Reader

from components.evaluator.schema import Evaluation, Metric
from components.report import comparison_page
from components.report.comparison import Entry, comparable, compare
from components.report.comparison_plots import probes, rate_distortion
from pipeline.compare import lines

EVERYTHING = reports.everything()


def entry(name: str, evaluation: Evaluation = EVERYTHING, **configuration) -> Entry:
    return Entry(name, "adult", evaluation, configuration)


def with_data(**changes) -> Evaluation:
    return dataclasses.replace(EVERYTHING, data=dataclasses.replace(EVERYTHING.data, **changes))


def moved(step: float, evaluation: Evaluation = EVERYTHING) -> Evaluation:
    """The same evaluation with every number so much higher."""

    def higher(metric: Metric) -> Metric:
        interval = metric.interval and tuple(end + step for end in metric.interval)
        return dataclasses.replace(metric, value=metric.value + step, interval=interval)

    return dataclasses.replace(evaluation, metrics=tuple(map(higher, evaluation.metrics)))


def cells(found, name: str) -> list:
    groups = (*found.rows.values(), *found.sliced.values())
    return list(next(row for rows in groups for row in rows if row.name == name).cells)


@given(st.floats(-2, 2))
@settings(deadline=None)
def test_a_difference_is_the_others_less_the_firsts_and_beyond_where_intervals_part(step):
    found = compare([entry("a"), entry("b", moved(step))])
    for name, reach in (("rate", 0.02), ("probe/gbt/10", 0.02)):
        first, other = cells(found, name)
        assert (first.difference, first.beyond) == (None, None)
        assert other.difference == pytest.approx(step)
        if abs(abs(step) - 2 * reach) > 1e-6:
            assert other.beyond == (abs(step) > 2 * reach)
        assert other.step[0] == ("±" if abs(step) < 0.0005 else other.step[0])
    _, units = cells(found, "active_units")
    assert units.beyond is None


def test_a_run_beside_itself_differs_in_nothing():
    found = compare([entry("a", seed=1), entry("b", seed=1)])
    assert (found.notes, found.differs, found.apart) == ((), {}, [])
    assert {cell.step for rows in found.rows.values() for row in rows for cell in row.cells[1:]} == {"±0"}


def test_what_was_set_differently_is_told_by_key():
    other = dataclasses.replace(EVERYTHING, parameters={"beta": 1.0}, objective="nll + 1 * kl")
    found = compare([entry("a", **{"training.epochs": 3}), entry("b", other, **{"training.epochs": 9})])
    assert found.differs == {
        "objective": ("nll + 4 * kl", "nll + 1 * kl"),
        "model.parameters.beta": (4.0, 1.0),
        "training.epochs": (3, 9),
    }


def test_runs_on_other_data_stand_beside_without_differences():
    found = compare([entry("a"), entry("b", with_data(name="other.csv")), entry("c", moved(1.0))])
    [note] = found.notes
    assert note.startswith(
        "b was measured on other data (other.csv: 1,437 train, 180 eval, 180 test) than a (adult.csv"
    )
    _, other, same = cells(found, "rate")
    assert (other.text, other.difference, other.step) == ("6.20", None, "")
    assert same.step == "+1.00"
    assert [trace["name"] for trace in rate_distortion(found)["data"]] == ["a", "c"]
    assert rate_distortion(compare([entry("a"), entry("b", with_data(counts={"test": 9}))])) is None
    alone = compare([entry("a"), entry("b", with_data(name="other.csv"))])
    assert list(lines(alone)) == [f"{note}."]  # of nothing that was compared, nothing lies apart
    assert list(lines(compare([entry("a"), entry("b")]))) == ["No metric's interval lies apart from the first run's."]


@pytest.mark.parametrize(
    ("changes", "compared", "not_compared"),
    [
        ({"label": "age"}, ("rate", "distortion", "leakage/mlp"), ("probe/linear/all", "clustering/nmi")),
        ({"explains": "label"}, ("rate", "probe/linear/all"), ("distortion", "elbo", "distortion where sex=Male")),
        ({"sensitive": "race"}, ("probe/linear/all",), ("leakage_auc/mlp", "fairness/equalized_odds")),
        ({"factors": ("hue",)}, ("rate", "correlation/wasserstein"), ("disentanglement/mig",)),
        ({"tasks": ()}, ("probe/linear/all",), ("probe/linear/all of price",)),
        ({"shape": (8,)}, (), ("rate", "probe/linear/all")),
    ],
)
def test_a_metric_is_compared_only_where_it_is_of_the_same_thing(changes, compared, not_compared):
    other = with_data(**changes).data
    assert all(comparable(name, EVERYTHING.data, other) for name in compared)
    assert not any(comparable(name, EVERYTHING.data, other) for name in not_compared)
    assert all(comparable(name, other, other) for name in (*compared, *not_compared))


def test_another_label_or_distortion_is_noted():
    found = compare([entry("a"), entry("b", with_data(label="age", explains="label"))])
    assert found.notes == (
        "the distortion of b is of the label, that of a of the example: distortion and ELBO are not compared",
        "b has another label than a: what is about it is not compared",
    )


def test_a_metric_that_one_run_lacks_is_shown_of_the_other():
    fewer = dataclasses.replace(EVERYTHING, metrics=EVERYTHING.metrics[:4])
    for runs in ((EVERYTHING, fewer), (fewer, EVERYTHING)):
        found = compare([entry("a", runs[0]), entry("b", runs[1])])
        assert {cell.text for cell in cells(found, "membership/auc")} == {"0.546", ""}
        assert {cell.difference for cell in cells(found, "membership/auc")} == {None}


def test_probes_are_overlaid_by_budget():
    found = probes(compare([entry("a"), entry("b", moved(-0.1)), entry("c", with_data(label="age"))]))
    assert set(found) == {("income", "linear"), ("income", "gbt"), ("income", "mlp"), ("price", "linear")}
    first, second = found["income", "linear"]["data"]
    assert (first["name"], second["name"]) == ("a", "b")
    assert second["y"] == pytest.approx([value - 0.1 for value in first["y"]])
    assert first["marker"]["symbol"] != second["marker"]["symbol"]
    assert [trace["name"] for trace in found["price", "linear"]["data"]] == ["a", "b", "c"]


def test_the_page_has_every_number_loads_nothing_and_escapes():
    far = dataclasses.replace(moved(1.0), objective=HOSTILE)
    page = comparison_page.render(compare([entry("a", **{"training.epochs": 3}), entry(HOSTILE, far)]))
    read = Reader(page)
    own = [m.value for run in (EVERYTHING, far) for m in run.metrics if m.representation == "encoder"]
    assert sorted(e["value"] for tag, e in read.elements if tag == "data") == sorted(map(str, own))
    assert HOSTILE not in page
    assert not [e for _, e in read.elements if {"src", "href"} & set(e)]
    policy = next(e["content"] for _, e in read.elements if e.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    plots = {e["id"]: e["aria-label"] for _, e in read.elements if "plot" in (e.get("class") or "").split()}
    assert {f"plot-{name}" for name in json.loads(read.raw["script"][0])} == set(plots)
    assert all(len(label) > 20 for label in plots.values())
    assert "7.20 +1.00 beyond both intervals 7.18 to 7.22" in read.words
    assert "training.epochs 3 not set" in read.words
    colors = set(re.findall(r"var\(--([a-z0-9-]+)\)", page.split("<script", 1)[1]))
    assert all(f"--{color}: " in read.raw["style"][0] for color in colors)

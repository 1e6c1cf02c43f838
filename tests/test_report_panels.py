"""The report's panels: tables, heat map, slices, pictures, bounds, and what is left out where nothing was measured."""

import base64
import dataclasses
import io
import json
import math

import pytest
import reports
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reports import HOSTILE, Reader, metric

from components.evaluator.schema import BoundRecord
from components.report import nats, tables
from components.report.directions import lower_is_better
from components.report.factors import MOST, heatmap
from components.report.html import render
from components.report.pictures import pictures
from components.report.pictures import read as read_pictures
from components.report.slices import slices

shown = reports.shown
PANELS = ("Which dimension stands for what", "Clusters", "The sensitive attribute", "Parts of the test examples")


def png(*size: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, "PNG")
    return file.getvalue()


DOT = png(17, 9)


@pytest.fixture(scope="module")
def page(shown) -> str:
    return render(reports.everything(), shown, {"traversals": DOT})


@pytest.fixture(scope="module")
def read(page) -> Reader:
    return Reader(page)


def test_every_number_is_there_once_slices_folded_and_families_in_order(read):
    evaluation = reports.everything()
    values = [element["value"] for tag, element in read.elements if tag == "data"]
    assert sorted(values) == sorted(str(metric.value) for metric in evaluation.metrics)
    assert [tag for tag, _ in read.elements].count("details") == 1
    assert "By sex : 6 numbers" in read.words
    found = [group.heading for group in tables.groups(evaluation.metrics)]
    assert found == [heading for heading in tables.FAMILIES if heading in found]
    assert len(found) == 10


def test_every_panel_has_its_numbers(read):
    for heading in (*PANELS, "Bounds", "Whether it gives away whom it was trained on", "What the rate is made of"):
        assert heading in read.words
    for part in (
        "BetaVAE score 0.600",
        "log of 180 examples, 5.19",
        "shape in dimension 0 (77%), scale in dimension 1 (83%)",
        "Advantage of membership inference 0.110",
        "Rate at most 0.5 above the last blessed 6.20 5.10 p = 0.012 not met",
        "Linear probe, all labels at least 0.8 0.900 met",
        "Not measured: slices by sex. Reason: fewer than 20 examples: Other.",
        "Not measured: disentanglement; k-NN, all labels of price. Reason: too few examples.",
    ):
        assert part in read.words, part
    named = [e for tag, e in read.elements if tag == "table"]
    assert all(len(e["aria-label"]) > 8 for e in named)


def test_panels_are_left_out_where_nothing_was_measured(shown):
    whole = reports.everything()
    data = dataclasses.replace(whole.data, label=None, tasks=(), sensitive=None, factors=(), probed={})
    plain = dataclasses.replace(whole, metrics=whole.metrics[:4], data=data, bounds=(), importance=(), blessed=True)
    read = Reader(render(plain, shown))
    assert not [heading for heading in (*PANELS, "Bounds", "How far a few labels go") if heading in read.words]
    assert not [e for tag, e in read.elements if tag == "img"]


def test_the_distortion_of_a_label_is_called_so_everywhere(shown):
    whole = reports.everything()
    label = dataclasses.replace(whole, data=dataclasses.replace(whole.data, explains="label"))
    read = Reader(render(label, shown))
    figures = json.loads(read.raw["script"][0])
    assert figures["plane"]["layout"]["yaxis"]["title"]["text"] == "distortion of the label, nats"
    assert figures["distortion"]["layout"]["xaxis"]["title"]["text"] == "distortion of the label, nats per example"
    assert "Distortion of the label by rate" in read.words
    assert "This model explains the label, not the example" in read.words
    assert "Distortion 18.40" not in read.words


def test_pictures_are_inside_the_page_and_say_what_they_show(read, tmp_path):
    [picture] = [element for tag, element in read.elements if tag == "img"]
    assert base64.b64decode(picture["src"].removeprefix("data:image/png;base64,")) == DOT
    assert picture["alt"].startswith("Latent traversals. One example; in each row one dimension")
    (tmp_path / "samples.png").write_bytes(DOT)
    (tmp_path / "other.png").write_bytes(DOT)
    assert read_pictures(tmp_path) == {"samples": DOT}
    assert read_pictures(tmp_path / "none") == {}


def test_a_large_picture_is_made_smaller_and_keeps_its_shape():
    [small, large] = pictures({"samples": png(3000, 1500), "reconstructions": DOT})
    assert (small.name, large.name) == ("reconstructions", "samples")
    content = base64.b64decode(large.uri.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == (1040, 520)


def test_a_slice_is_a_dot_beside_the_whole_and_the_worst_is_named(page):
    evaluation = reports.everything()
    probe, distortion = slices(evaluation)
    assert [probe.metric, distortion.metric] == ["Linear probe, all labels", "Distortion"]
    assert probe.figure["data"][0]["x"] == pytest.approx([0.7, 0.8, 0.9])
    assert probe.figure["layout"]["shapes"][0]["x0"] == pytest.approx(0.9)
    assert probe.worst == "Worst: Female, 0.700 (0.680 to 0.720), against 0.900 of all test examples."
    assert distortion.worst.startswith(f"Worst: {HOSTILE}, 19.00")
    assert HOSTILE not in page


def test_a_worst_slice_that_may_be_chance_says_so():
    whole = metric("rate", 1.0, "nats")
    parts = [metric(f"distortion where a={value}", 2.0 + value / 100, "nats", reach=0.5) for value in (0, 1)]
    evaluation = dataclasses.replace(reports.everything(), metrics=(whole, metric("distortion", 2.0, "nats"), *parts))
    [one] = slices(evaluation)
    assert one.worst.endswith("against 2.00 of all test examples, which lies within its interval.")


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=60))
@settings(deadline=None)
def test_the_heat_map_shows_the_dimensions_that_say_most(matrix):
    total = math.fsum(value for row in matrix for value in row)
    if total <= 1e-9:
        return
    shares = tuple(tuple(value / total for value in row) for row in matrix)
    everything = reports.everything()
    data = dataclasses.replace(everything.data, factors=("a", "b", "c"))
    found = heatmap(dataclasses.replace(everything, importance=shares, data=data))
    places = [place for place, _ in found.rows]
    assert len(places) == min(len(matrix), MOST)
    assert found.left_out == len(matrix) - len(places)
    assert places == sorted(places)
    least = min(sum(shares[place]) for place in places)
    assert all(sum(row) <= least + 1e-12 for place, row in enumerate(shares) if place not in places)
    levels = [cell.level for _, cells in found.rows for cell in cells]
    assert 0 <= min(levels) <= max(levels) <= 100


def test_the_rate_bar_stacks_its_parts_with_the_bound_of_the_first():
    figure = nats.parts(reports.everything())
    assert [trace["x"] for trace in figure["data"]] == [[4.3], [1.8], [0.1]]
    assert figure["layout"]["barmode"] == "relative"
    assert figure["layout"]["shapes"][0]["x0"] == pytest.approx(math.log(180))
    some = tuple(m for m in reports.everything().metrics if m.name != "decomposition/total_correlation")
    assert nats.parts(dataclasses.replace(reports.everything(), metrics=some)) is None


def test_the_best_of_a_score_is_the_lowest_where_lower_is_better():
    leakage, mig = (tables.scores(reports.everything(), [name])[0] for name in ("leakage/mlp", "disentanglement/mig"))
    assert [cell.of for cell in leakage.cells if cell.best] == ["random encoder"]
    assert [cell.of for cell in mig.cells if cell.best] == ["encoder"]
    assert (leakage.lower, mig.lower) == (True, False)
    names = ("fairness/equalized_odds", "label_distortion/knn/all of price", "robustness/drop/0.1", "distortion")
    assert all(lower_is_better(name) for name in names)
    others = ("fairness/worst_group", "probe/knn/all", "robustness/agreement/0.1", "elbo", "distortionless")
    assert not any(lower_is_better(name) for name in others)


def test_a_bound_without_a_test_has_no_p_value():
    evaluation = reports.everything()
    tiny = BoundRecord("rate", "drop", 0.1, 6.2, 6.3, ok=True, reason="", p_value=1e-9)
    judged = tables.bounds(dataclasses.replace(evaluation, bounds=(evaluation.bounds[0], tiny)))
    assert [bound.test for bound in judged] == ["", "p < 0.001"]
    assert [bound.last for bound in judged] == ["", "6.30"]

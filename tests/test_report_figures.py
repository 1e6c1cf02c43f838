"""The report's plots: what they show, and of how many examples."""

import dataclasses
import json

import numpy as np
import pytest
import reports
from reports import Reader

from components.evaluator.schema import DataFacts
from components.report import curves, embedding_map, nats
from components.report.html import render
from components.report.tasks import tasks

evaluation, shown = reports.evaluation, reports.shown


def test_label_efficiency_shows_accuracies_with_intervals(evaluation):
    figure = curves.label_efficiency(evaluation, "linear", *tasks(evaluation))
    *_, encoder = figure["data"]
    assert encoder["name"] == "encoder"
    assert encoder["y"] == [0.6123, 0.8623, 0.9123]
    assert encoder["error_y"]["array"] == pytest.approx([0.0123] * 3)
    assert figure["layout"]["xaxis"]["ticktext"] == ["10", "1,000", "all 1,437"]
    assert figure["layout"]["shapes"][0]["y0"] == 0.1234


def test_the_ceiling_and_the_guess_are_lines_and_the_distortion_stands_beside():
    everything = reports.everything()
    label, price = tasks(everything)
    assert (label.words, price.words) == ("2 classes", "a number")
    for task, lines in ((label, {"solid": 0.52, "dot": 0.97}), (price, {"dot": 0.95})):
        figure = curves.label_efficiency(everything, "linear", task)
        assert {shape["line"]["dash"]: shape["y0"] for shape in figure["layout"]["shapes"]} == lines
        untold = curves.label_distortion(everything, "linear", task)
        assert untold["data"][-1]["y"] == pytest.approx([0.7, 0.45, 0.4])
        assert untold["layout"]["yaxis"]["title"]["text"] == "D_y, nats"
    assert curves.label_efficiency(everything, "gbt", price) is None


def test_histograms_count_every_example():
    values = np.concatenate([np.random.default_rng(0).normal(size=1000), [1e6]])
    [bars] = nats.histogram(values, name="rate")["data"]
    assert sum(bars["y"]) == 1001
    assert len(bars["y"]) <= nats.MOST_BINS
    [single] = nats.histogram(np.zeros(3), name="rate")["data"]
    assert sum(single["y"]) == 3


def test_dimensions_fall_back_to_the_variance(shown):
    assert nats.dimensions(shown)["layout"]["yaxis"]["title"]["text"] == "rate, nats"
    plain = nats.dimensions(dataclasses.replace(shown, rates=None))
    assert plain["layout"]["yaxis"]["title"]["text"] == "variance"
    assert plain["data"][0]["marker"]["color"] == ["var(--encoder)"] * 8 + ["var(--random)"] * 2


def test_the_map_is_a_projection_that_keeps_two_dimensions_whole(shown):
    codes = np.zeros((50, 5))
    codes[:, [1, 3]] = np.random.default_rng(0).normal(size=(50, 2))
    figure, share = embedding_map.embedding_map(dataclasses.replace(shown, codes=codes, labels=None))
    [points] = figure["data"]
    placed = np.column_stack([points["x"], points["y"]])
    assert share == pytest.approx(1)
    gaps = np.linalg.norm(placed[:, None] - placed, axis=-1)
    np.testing.assert_allclose(gaps, np.linalg.norm(codes[:, None] - codes, axis=-1), atol=1e-3)


@pytest.mark.parametrize("codes", [np.zeros((4, 3)), np.ones((1, 3)), np.arange(4.0)[:, None]])
def test_the_map_stands_constant_single_and_narrow_codes(codes, shown):
    figure, share = embedding_map.embedding_map(dataclasses.replace(shown, codes=codes, labels=["a"] * len(codes)))
    assert len(figure["data"][0]["x"]) == len(codes)
    assert share == pytest.approx(1)


def test_rare_labels_share_one_color(shown):
    labels = [str(row % 9) for row in range(171)] + ["p"] * 5 + ["q"] * 4
    figure, _ = embedding_map.embedding_map(dataclasses.replace(shown, labels=labels))
    assert [trace["name"] for trace in figure["data"]] == [*"012345678", "other"]
    assert len(figure["data"][-1]["x"]) == 9


def test_a_sample_says_that_it_is_one(evaluation, shown):
    read = Reader(render(evaluation, dataclasses.replace(shown, total=12_345)))
    assert "a sample of 180 of 12,345 test examples" in read.words


def test_without_labels_there_are_no_curves(evaluation, shown):
    data = DataFacts("mine", "vector", {"train": 1000, "eval": 100, "test": 180})
    plain = dataclasses.replace(evaluation, metrics=evaluation.metrics[:4], data=data, bounds=(), blessed=True)
    read = Reader(render(plain, dataclasses.replace(shown, labels=None)))
    assert set(json.loads(read.raw["script"][0])) == {"rate", "distortion", "plane", "dimensions", "map"}
    assert "Blessed: no bounds configured." in read.words
    assert "few labels" not in read.words

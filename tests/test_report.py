"""The report and the console text: the numbers of the evaluation, self-contained, for any reader."""

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import reports
from reports import HOSTILE, Reader

from components.evaluator.wording import beside, heading, in_words, number
from components.report.html import render
from components.report.summary import console_summary, verdict

evaluation, shown = reports.evaluation, reports.shown

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def page(evaluation, shown) -> str:
    return render(evaluation, shown)


@pytest.fixture(scope="module")
def read(page) -> Reader:
    return Reader(page)


def test_the_page_has_every_number_of_the_evaluation(evaluation, read):
    values = [element["value"] for tag, element in read.elements if tag == "data"]
    assert sorted(values) == sorted(str(metric.value) for metric in evaluation.metrics)
    for metric in evaluation.metrics:
        low, high = (number(end, metric.unit) for end in metric.interval or (0, 0))
        assert number(metric.value, metric.unit) in read.words
        assert metric.interval is None or f"{low} to {high}" in read.words
        assert heading(metric.name) in read.words
    for part in ("1,437 train, 180 eval, 180 test", "nll + 4 * kl", "beta 4.0", "0.123", "8 x 8 x 1", "64 values"):
        assert part in read.words


def test_the_verdict_comes_first_with_a_line_per_bound(evaluation, read):
    for line in (*(bound.reason for bound in evaluation.bounds), *evaluation.warnings):
        assert line in read.words
    assert read.words.index("Refused: 1 of 2 bounds not met.") < read.words.index("elbo is -1,032.66")
    assert read.words.index("elbo is -1,032.66") < read.words.index("rate is 14.20")
    assert "Not measured: linear probe, 10,000 labels. Reason: only 1,437 labelled training examples." in read.words


def test_the_page_loads_nothing(read):
    for tag, element in read.elements:
        assert not {"href", "srcset", "action", "poster"} & set(element)
        assert element.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
        assert tag not in {"link", "iframe", "object", "embed"}
    assert not re.search(r"url\(|@import|https?:", "".join(read.raw["style"]))
    policy = next(e["content"] for _, e in read.elements if e.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


def test_the_page_has_plotly_once_and_stays_bounded(page, read):
    assert sum(len(script) > 1_000_000 for script in read.raw["script"]) == 1
    assert len(page) < 6_000_000


def test_every_plot_has_a_name_and_a_figure(read):
    plots = {e["id"]: e for _, e in read.elements if "plot" in (e.get("class") or "").split()}
    assert all(len(e["aria-label"]) > 20 and e["role"] == "img" for e in plots.values())
    drawn = json.loads(read.raw["script"][0])
    assert {f"plot-{name}" for name in drawn} == set(plots)
    assert set(drawn) == {"score-0-linear", "score-0-knn", "rate", "distortion", "plane", "dimensions", "map"}


def test_every_color_is_defined_for_light_and_dark(page, read):
    [style] = read.raw["style"]
    light, dark = style.split("prefers-color-scheme: dark")[:2]
    colors = set(re.findall(r"var\(--([a-z0-9-]+)\)", read.raw["script"][0])) - {"type"}
    assert {"encoder", "ink", "class-0", "class-9"} <= colors | {"class-9"}
    for color in colors:
        assert f"--{color}: #" in light
        assert f"--{color}: #" in dark


def test_figures_are_valid_plotly(read):
    graph_objects = pytest.importorskip("plotly.graph_objects")
    for figure in json.loads(re.sub(r"var\(--[a-z0-9-]+\)", "#123456", read.raw["script"][0])).values():
        graph_objects.Figure(figure)


def test_text_from_the_data_is_never_markup(page, read):
    assert HOSTILE not in page
    assert "<i>" not in page.split("<script", 1)[0]
    assert "<i>digits, encoded by beta_vae" in read.words
    assert sum(tag == "script" for tag, _ in read.elements) == 3
    names = [trace["name"] for trace in json.loads(read.raw["script"][0])["map"]["data"]]
    # Plotly shows entities as what they stand for.
    assert names == ["0", "1", "2", "3", "4", "5", "6", "7", "no label", '&lt;script&gt;alert("1")&lt;/scr…']
    assert "no label <script>alert(" in read.words


def test_the_console_says_what_the_report_says(evaluation, read):
    lines = console_summary(evaluation)
    assert lines == [
        "Rate                          14.20 nats   13.89 to 14.49",
        "Distortion                 1,018.46 nats   1,018.15 to 1,018.75",
        "ELBO                      -1,032.66 nats   -1,032.97 to -1,032.37",
        "Active units                      8 of 10",
        "Linear probe, all labels      0.912        0.900 to 0.925        "
        "  beside PCA 0.901, random encoder 0.803, raw features 0.957 (best)",
        "k-NN, all labels              0.912        0.900 to 0.925        "
        "  beside PCA 0.901, random encoder 0.803, raw features 0.957 (best)",
        "Refused: 1 of 2 bounds not met.",
        "  not met: elbo is -1,032.66, below the minimum 0",
        "  met: rate is 14.20, at or below the maximum 20",
    ]
    for part in ("14.20", "13.89 to 14.49", "PCA 0.901", "raw features 0.957, best", lines[6]):
        assert part in read.words


def test_the_best_encoder_is_said_to_be_best(evaluation):
    metrics = tuple(m for m in evaluation.metrics if m.representation != "raw")
    lines = console_summary(dataclasses.replace(evaluation, metrics=metrics))
    assert lines[4].endswith("  best, beside PCA 0.901, random encoder 0.803")


@pytest.mark.parametrize(
    ("oks", "sentence"),
    [
        ([], "Blessed: no bounds configured."),
        ([True], "Blessed: the bound is met."),
        ([True, True], "Blessed: all 2 bounds are met."),
        ([False], "Refused: 1 of 1 bound not met."),
        ([False, True, False], "Refused: 2 of 3 bounds not met."),
    ],
)
def test_the_verdict_is_one_sentence(evaluation, oks, sentence):
    bounds = tuple(dataclasses.replace(evaluation.bounds[0], ok=ok) for ok in oks)
    assert verdict(dataclasses.replace(evaluation, bounds=bounds, blessed=all(oks))) == sentence


def test_metrics_have_words_and_numbers_a_precision():
    assert in_words("probe/knn/1000") == "k-NN, 1,000 labels"
    assert [heading(name) for name in ("elbo", "active_units", "probe/linear/all", "probe/knn/10")] == [
        *("ELBO", "Active units", "Linear probe, all labels", "k-NN, 10 labels")
    ]
    assert [number(1234.567, unit) for unit in ("nats", "accuracy", "count")] == ["1,234.57", "1,234.567", "1,235"]
    assert beside(0.89996, 0.9, "accuracy") == "0.89996"
    assert beside(0.9, 0.9, "accuracy") == "0.900"


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_draws_every_plot(page, tmp_path):
    assert len(drawn(page, tmp_path)) == 7


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_draws_every_plot_of_every_kind(shown, tmp_path):
    page = render(reports.everything(), shown)
    figures = json.loads(Reader(page).raw["script"][0])
    assert drawn(page, tmp_path) == {f"plot-{name}" for name in figures}


def drawn(page: str, folder: Path) -> set[str]:
    """The plots that a browser has drawn, after a script that counts its own errors found none."""
    path = folder / "report.html"
    counter = "<script>addEventListener('error', (e) => (document.body.dataset.error = e.message))</script>"
    path.write_text(page.replace("<body>", f"<body>{counter}", 1))
    flags = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder / 'profile'}"),
        *("--virtual-time-budget=5000", "--window-size=820,2000", "--dump-dom"),
    ]
    done = subprocess.run([CHROMIUM, *flags, path.as_uri()], capture_output=True, text=True, timeout=60, check=True)
    assert "data-error" not in done.stdout.split("<body", 1)[1].split(">", 1)[0]
    return set(re.findall(r'id="(plot-[a-z0-9-]+)" class="[^"]*js-plotly-plot', done.stdout))

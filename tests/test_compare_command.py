"""The command `compare`: past runs on one page, in JSON, or a line about what is wrong."""

import dataclasses
import json

import pytest
import stores
from click.testing import CliRunner
from stores import COMPLETE

from components.evaluator.schema import read_evaluation, write_evaluation
from pipeline.cli.group import main

FIRST, SECOND = "20260701-100000", "20260704-100000"


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """The runs of `stores`, and a later one of a higher rate that was evaluated and trained for longer."""
    folder = tmp_path_factory.mktemp("compared") / "runs"
    store = stores.record(folder)
    path = store.root / "RepresentationEvaluator/evaluation/4/evaluation.json"
    evaluation = read_evaluation(path)
    for place, epochs, step in ((3, 5, 0.0), (9, 60, 2.0)):
        metrics = tuple(
            dataclasses.replace(m, value=m.value + step, interval=(m.value + step - 0.5, m.value + step + 0.5))
            for m in evaluation.metrics
        )
        write_evaluation(dataclasses.replace(evaluation, metrics=metrics), path.parent.with_name(str(place)))
        model = store.root / f"Trainer/model/{place}"
        model.mkdir(parents=True)
        sections = {"training": {"epochs": epochs}, "model": {"parameters": {}}, "seed": 0}
        (model / "configuration.json").write_text(json.dumps(sections))
    (path.parent.with_name("3") / "evaluation.json").rename(path)
    model = store.artifact("Model", "Trainer/model/9")
    measured = store.artifact("RepresentationEvaluation", "RepresentationEvaluator/evaluation/9")
    store.step(SECOND, "Trainer", COMPLETE, (), [("model", model)])
    store.step(SECOND, "RepresentationEvaluator", COMPLETE, [("model", model)], [("evaluation", measured)])
    return folder


def compare(output, *arguments: str):
    return CliRunner().invoke(main, ["compare", *arguments, "--runs", str(output)])


def test_two_runs_become_a_page_and_a_few_lines(output, tmp_path):
    page = tmp_path / "side.html"
    done = compare(output, FIRST, SECOND, "--output", str(page))
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "Intervals apart from the first run's:",
        f"  Rate                      6.50; 8.50 (+2.00) in {SECOND}",
        f"  ELBO                      -24.75; -22.75 (+2.00) in {SECOND}",
        f"  Linear probe, all labels  0.930; 2.930 (+2.000) in {SECOND}",
        f"Comparison: {page}",
    ]
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert "training.epochs" in page.read_text()


def test_the_page_is_beside_the_runs_by_default_and_a_name_finds_what_was_evaluated(output):
    done = compare(output, "20260701", "digits")
    assert done.output.splitlines()[-1] == f"Comparison: {output / 'comparison.html'}"
    assert (output / "comparison.html").is_file()


def test_json_has_stable_keys_and_writes_no_page(output):
    (output / "comparison.html").unlink(missing_ok=True)
    found = json.loads(compare(output, FIRST, SECOND, "--json").output)
    assert list(found) == ["runs", "notes", "differs", "metrics", "page"]
    assert [run["run"] for run in found["runs"]] == [FIRST, SECOND]
    assert found["differs"] == {"training.epochs": [5, 60]}
    assert found["metrics"][0] == {
        "name": "rate",
        "values": [
            {"value": 6.5, "interval": [6.0, 7.0], "unit": "nats", "difference": None, "beyond": None},
            {"value": 8.5, "interval": [8.0, 9.0], "unit": "nats", "difference": 2.0, "beyond": True},
        ],
    }
    assert found["page"] is None
    assert not (output / "comparison.html").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((FIRST,), f"{FIRST}: comparing takes two runs or more. `metaprior runs` lists them."),
        ((FIRST, FIRST), f"{FIRST}: named twice. Give different runs; `metaprior runs` lists them."),
        ((FIRST, "digit"), "digit: no such run below {output}. Did you mean digits?"),
        (
            (FIRST, "20260702"),
            "20260702-100000: this run was not evaluated, or not by this version. Give one that was.",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line(output, arguments, line):
    done = compare(output, *arguments)
    assert (done.exit_code, done.output) == (2, f"metaprior: {line.format(output=output)}\n")

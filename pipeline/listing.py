"""Past runs and the model catalogue as tables for people and as plain values for scripts."""

import dataclasses
import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from components.evaluator.names import Name
from components.evaluator.schema import Metric, largest_probe
from components.evaluator.wording import in_words, number, value_in_words
from models.recipes.wording import parameter_in_words
from pipeline.store import FRONTIER, Artifact, Run, Step


def facts(run: Run) -> dict[str, Any]:
    """Returns what is known of a run, in plain values with stable keys.

    Metrics are the encoder's, by name; what is not known (yet) is None.
    """
    evaluation = run.evaluation
    return {
        "run": run.id,
        "pipeline": run.pipeline,
        "when": _when(run).isoformat(timespec="seconds"),
        "state": run.state,
        "model": evaluation.recipe if evaluation else None,
        "parameters": evaluation.parameters if evaluation else None,
        "latent": evaluation.latent if evaluation else None,
        "space": evaluation.space if evaluation else None,
        "data": evaluation.data.name if evaluation else None,
        "metrics": {metric.name: metric.value for metric in _encoder(run)},
        "blessed": run.blessed,
        "version": run.version,
        "serving": str(run.serving) if run.serving else None,
        "report": str(run.report) if run.report else None,
    }


def steps(run: Run) -> list[dict[str, Any]]:
    """Returns the lineage of a run's version in plain values, data first; `origin` is for what read the data."""
    return [
        {
            "component": step.component,
            "state": step.state,
            "inputs": [_artifact(artifact) for artifact in step.inputs],
            "outputs": [_artifact(artifact) for artifact in step.outputs],
        }
        | ({"origin": dataclasses.asdict(step.origin)} if step.origin else {})
        for step in run.lineage()
    ]


def show_all(runs: list[Run], output: Path, console: Console | None = None) -> None:
    """Prints a line for each run."""
    console = console or Console()
    if not runs:
        _line(console, f"No runs below {output} yet. Start one with: metaprior run --data digits")
        return
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("run", "of", "state", "model", "ELBO", "probe", "blessed", "version"):
        drawn.add_column(heading, no_wrap=heading != "model", overflow="fold")
    for run in runs:
        elbo, probe = _one(run, "elbo"), _probe(run)
        numbers = (number(metric.value, metric.unit) if metric else "" for metric in (elbo, probe))
        cells = (run.id, run.pipeline, run.state, _model(run), *numbers, _yes(run.blessed), str(run.version or ""))
        drawn.add_row(*(Text(cell) for cell in cells))
    console.print(drawn)
    _line(console, "ELBO in nats per example; probe: accuracy of a linear probe with the most labels.")


def show_one(run: Run, console: Console | None = None) -> None:
    """Prints one run and the lineage of its version."""
    console = console or Console()
    particulars = list(_particulars(run))
    width = max(len(name) for name, _ in particulars)
    for name, value in particulars:
        _line(console, f"{name:<{width}}  {value}")
    _line(console, "")
    _line(console, f"Version {run.version} comes from" if run.version else "Steps")
    for step in run.lineage():
        _line(console, f"  {step.component} ({step.state}){_from(step)}")
        for artifact in step.outputs:
            _line(console, f"    #{artifact.id} {artifact.type}: {shown(artifact.uri)}")


def shown(path: Path | str) -> str:
    """Returns a path as a person would type it here: relative where it is below the current folder."""
    here = Path.cwd()
    absolute = Path(path).resolve()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _from(step: Step) -> str:
    if step.origin:
        return f" from {step.origin.source}, fingerprint {step.origin.fingerprint}"
    return " from " + ", ".join(f"#{artifact.id}" for artifact in step.inputs) if step.inputs else ""


def _particulars(run: Run) -> Iterable[tuple[str, str]]:
    evaluation = run.evaluation
    yield "run", f"{run.id} of {run.pipeline}, {run.state}, {_when(run):%Y-%m-%d %H:%M:%S}"
    if evaluation:
        counts = ", ".join(f"{count:,} {split}" for split, count in evaluation.data.counts.items())
        yield "data", f"{evaluation.data.name} ({counts})"
        yield "model", f"{_model(run)}, latent {evaluation.latent}, minimizes {evaluation.objective}"
        yield "space", evaluation.space
    whole = [metric for metric in _encoder(run) if Name.parse(metric.name).slice is None]
    for metric in whole:
        yield in_words(metric.name, explains=evaluation.data.explains if evaluation else "x"), value_in_words(metric)
    if len(_encoder(run)) > len(whole):
        yield "on slices", f"{len(_encoder(run)) - len(whole)} more numbers, in the report and with --json"
    yield "blessed", _yes(run.blessed) or "not evaluated"
    for bound in evaluation.bounds if evaluation else ():
        yield "", bound.reason
    if run.report:
        yield "report", shown(run.report)
    if run.serving:
        yield "served", f"version {run.version} in {shown(run.serving)}"


def _artifact(artifact: Artifact) -> dict[str, Any]:
    return {"id": artifact.id, "key": artifact.key, "type": artifact.type, "uri": artifact.uri}


def _encoder(run: Run) -> list[Metric]:
    metrics = run.evaluation.metrics if run.evaluation else ()
    return [metric for metric in metrics if metric.representation == "encoder"]


def _one(run: Run, name: str) -> Metric | None:
    return next((metric for metric in _encoder(run) if metric.name == name), None)


def _probe(run: Run) -> Metric | None:
    """Returns the linear probe with the most labels."""
    return largest_probe(run.evaluation.metrics, "linear") if run.evaluation else None


def _model(run: Run) -> str:
    if run.evaluation is None:
        return "(frontier)" if run.artifact(FRONTIER) else ""
    arguments = ", ".join(f"{name}={parameter_in_words(value)}" for name, value in run.evaluation.parameters.items())
    return f"{run.evaluation.recipe}({arguments})"


def _when(run: Run) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(run.when / 1000).astimezone()


def _yes(value: bool | None) -> str:
    return "" if value is None else ("yes" if value else "no")

"""Runs a configuration and tells a person about it: the live table, then what came out and what comes next."""

import shlex
import shutil
import signal
import sys
from pathlib import Path

from rich.console import Console

from components.evaluator.schema import Evaluation, read_evaluation
from components.pusher.versions import holding
from components.report.alignment import compatibility
from components.report.summary import console_summary
from pipeline import console as live
from pipeline import preflight
from pipeline.config import Config
from pipeline.events import Failed, Summary
from pipeline.ingestion.source import Description
from pipeline.launch import Worker
from pipeline.listing import shown
from pipeline.signals import end_by_interrupt

DONE, FAILED = 0, 1


def run(config: Config, *, heading: str, console: Console | None = None) -> int:
    """Runs a configuration in a worker process, shows how it goes, and returns the exit code.

    Ctrl-C, a closed terminal and SIGTERM end the worker before they end this process. A signal that this
    process was started to ignore stays ignored: `nohup` keeps its promise.

    Args:
        config: the configuration.
        heading: the first line.
        console: where to show it; the standard output by default.

    Returns:
        0 when the run is done (blessed or not), 2 when an input is at fault, 1 otherwise.

    Raises:
        InputError: if another run is at work in the same folder, or the folder cannot be written.
        KeyboardInterrupt: after the worker was ended.
    """
    console = console or Console()
    end_by_interrupt()
    with Worker(config) as worker:
        console.print(heading, markup=False, highlight=False)
        view = _follow(worker, console)
    code = worker.process.returncode
    for text in ending(view, code, config=config, log=worker.log):
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    return exit_code(view, code)


def heading(config: Config, description: Description) -> str:
    """Returns the first line of a run: which model, on which data."""
    return f"{config.model.recipe} on {preflight.in_words(description)}"


def _follow(worker: Worker, console: Console) -> live.View:
    try:
        return live.follow(worker.events(), console)
    except KeyboardInterrupt:
        console.print("Stopping the run; the same command resumes it.")
        raise


def ending(view: live.View, code: int, *, config: Config, log: Path) -> list[str]:
    """Returns the lines a run ends with.

    Args:
        view: the run's events, all of them.
        code: the worker's exit status; negative for the signal that killed it.
        config: the run's configuration.
        log: path of its log file.
    """
    where = f"Log: {shown(log)}"
    if view.summary:
        odd = ["", _after(view, code)] if code else []
        return [*_learned(view.summary, config.data.source), *_next(view.summary, config), *odd, where]
    if view.failure:
        return ["", _failed(view.failure), where]
    if code < 0:
        return ["", _death(view, -code), where]
    return ["", f"the run ended without saying why (exit status {code}); its log does", where]


def exit_code(view: live.View, code: int) -> int:
    """Returns the command's exit code for the worker's."""
    if code == 0:
        return DONE if view.summary else FAILED
    return code if code > 0 else FAILED


def _failed(failure: Failed) -> str:
    return f"{failure.component} failed: {failure.reason}" if failure.component else failure.reason


def _death(view: live.View, number: int) -> str:
    # The live table has marked the component failed by now; plain lines leave it running.
    at_work = (name for name, row in view.rows.items() if row.status in ("running", "failed"))
    who = next(at_work, "the run's process")
    death = f"{who} was killed (signal {number}); run the same command again to resume"
    if number != signal.SIGKILL:
        return death
    return f"{death}. If nobody killed it, memory ran out: close other programs first"


def _after(view: live.View, code: int) -> str:
    """Returns what became of the worker when the run itself was over."""
    if view.failure:
        return f"When all was done: {_failed(view.failure)}"
    how = f"was killed (signal {-code})" if code < 0 else f"ended with exit status {code}"
    return f"When all was done, the run's process {how}; its log may say why."


def _compatible(evaluation: Evaluation, summary: Summary, data: str) -> list[str]:
    space = evaluation.aligned_to.space if evaluation.aligned_to else ""
    return compatibility(evaluation, version=holding(Path(summary.serving), space), data=data)


def _learned(summary: Summary, data: str) -> list[str]:
    evaluation = read_evaluation(Path(summary.evaluation))
    lines = ["", "What was learned, by the test split:", *(f"  {line}" for line in console_summary(evaluation))]
    lines += [f"  Warning: {warning}" for warning in summary.warnings]
    lines += [f"  {reason}" for reason in summary.reasons if not any(reason in line for line in lines)]
    lines += [f"  {line}" for line in _compatible(evaluation, summary, data)]
    version = f"version {summary.version} in {shown(summary.serving)}"
    lines.append(f"Pushed: {version}" if summary.version else "Not pushed: only a blessed encoder is.")
    return [*lines, f"Report: {shown(summary.report)}"]


def _next(summary: Summary, config: Config) -> list[str]:
    metaprior = program()
    board = shlex.join([metaprior, "tensorboard", config.name, *output_flag(config)])
    if not summary.version:
        return ["", f"TensorBoard: {board}"]
    serve = shlex.join([metaprior, "serve", "--path", shown(summary.serving)])
    query = shlex.join([metaprior, "query", *_model_flag(config)])
    return ["", "Next:", f"  serve        {serve}", f"  query        {query}", f"  TensorBoard  {board}"]


def program() -> str:
    """Returns how a person can call the command here: by name where the shell finds it, else by its path."""
    installed = Path(sys.executable).with_name("metaprior")
    found = shutil.which("metaprior")
    return "metaprior" if found and Path(found).samefile(installed) else shown(installed)


def output_flag(config: Config) -> list[str]:
    """Returns the flag that a command needs here to find a configuration's runs; nothing where they are in `runs`."""
    return [] if config.output.resolve() == Path("runs").resolve() else ["--output", shown(config.output)]


def _model_flag(config: Config) -> list[str]:
    default = type(config.serving).model_fields["model"].default
    return [] if config.serving.model == default else ["--model", config.serving.model]

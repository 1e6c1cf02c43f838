"""Runs a sweep: trials until the budget is used up or nothing is left to try, then the frontier."""

import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

from rich.console import Console

from components.frontier.request import REQUEST, Measured, Request, better
from components.frontier.schema import FRONTIER_FILE, PAGE_FILE, Frontier, read_frontier
from pipeline import code, paths
from pipeline.config import Config
from pipeline.failures import unwritable
from pipeline.ingestion.source import Description
from pipeline.launch import write_settings
from pipeline.listing import shown
from pipeline.lock import locked
from pipeline.show import output_flag, program
from pipeline.signals import end_by_interrupt
from pipeline.sweep import grid
from pipeline.sweep.pool import Failed, Finished, Pool
from pipeline.sweep.schedule import Schedule
from pipeline.sweep.view import View
from pipeline.sweep.work import BLINK, Work, order_of

DONE, BROKEN, MENDABLE = 0, 1, 2
# What a trial's numbers depend on beside its configuration and the data: other code begins anew, from the cache.
TRAINED_BY = ("models", "components.embedder", "components.evaluator", "components.metrics")
SHOWN_BY = ("components.frontier", "components.report", "components.evaluator", "models.artifact")


def run(config: Config, description: Description, *, heading: str, console: Console | None = None) -> int:
    """Runs a sweep, shows how it goes, and returns the exit code.

    Args:
        config: the configuration; its sweep section and its data have been checked.
        description: what the data is.
        heading: the first line.
        console: where to show it; the standard output by default.

    Returns:
        0 with a frontier, 2 when an input is at fault, 1 otherwise.

    Raises:
        InputError: if another run is at work in the same folder, or the folder cannot be written.
        KeyboardInterrupt: after the trials were stopped.
    """
    console = console or Console()
    end_by_interrupt()
    with locked(paths.root(config)) as lock:
        folder = _folder(config)
        schedule = _schedule(config, description, folder)
        _say(console, heading)
        unit = "accuracy" if grid.usefulness(config).startswith("probe/") else ""
        view = View(console, grid.arms(config), unit, config.sweep.minutes)
        with Pool(folder, lock=lock) as pool:
            try:
                return _all(config, schedule, pool, view)
            except KeyboardInterrupt:
                _say(console, "Stopping the sweep; the same command goes on with it.")
                raise


def _all(config: Config, schedule: Schedule, pool: Pool, view: View) -> int:
    work, console = Work(config, schedule=schedule, pool=pool, view=view), view.console
    with view.live():
        work.train()
    log = f"Log: {shown(pool.log(0))}"
    if work.broken is not None:
        _say(console, "", _told(work.broken), log)
        return MENDABLE if work.broken.mendable else BROKEN
    left_out = [f"  {item.what}: {item.reason}" for item in work.left_out()]
    if not work.whole():
        _say(console, "", "No configuration is complete, so there is no frontier. Left out:", *left_out)
        _say(console, "The same command goes on; --set sweep.minutes=N gives it longer.")
        return BROKEN
    _say(console, "", "Laying the trials side by side.")
    ended = _frontier(config, schedule, work, pool)
    if isinstance(ended, Failed):
        _say(console, "", _told(ended), log)
        return MENDABLE if ended.mendable else BROKEN
    _say(console, *_learned(Path(ended.result["frontier"]), left_out, config))
    return DONE


def _frontier(config: Config, schedule: Schedule, work: Work, pool: Pool) -> Finished | Failed:
    results = list(schedule.results())
    request = Request(
        sweep=config.name,
        run=common(config),
        usefulness=grid.usefulness(config),
        seeds=config.sweep.seeds,
        trials=tuple(_measured(trial, result) for trial, result in results),
        left_out=tuple(work.left_out()),
        code=code.version(*SHOWN_BY),
    )
    run_id, _ = write_settings(config)
    text = REQUEST.dump_json(request).decode()
    pool.order(0, run=run_id, config=config.model_dump(mode="json"), request=text, ids=order_of(results))
    while True:
        heard = pool.next(BLINK)
        if heard is not None and isinstance(heard[1], Finished | Failed):
            return heard[1]


def _measured(trial: grid.Trial, result: dict[str, Any]) -> Measured:
    return Measured(
        recipe=trial.arm.recipe,
        parameters=dict(trial.arm.parameters),
        latent=trial.arm.latent,
        seed=trial.seed,
        rung=trial.rung,
        epochs=trial.epochs,
        evaluation=result["evaluation"]["uri"],
        model=result["model"]["uri"],
    )


def common(config: Config) -> dict[str, Any]:
    """Returns what the trials have in common, as a run configuration that means the same in every folder."""
    plain = config.model_dump(mode="json", exclude={"sweep", "choose"})
    plain["output"] = str(config.output.resolve())
    source = Path(config.data.source).expanduser()
    if source.exists():
        plain["data"]["source"] = str(source.resolve())
    if config.data.schema_path is not None:
        plain["data"]["schema"] = str(config.data.schema_path.resolve())
    if config.serving.path is not None:
        plain["serving"]["path"] = str(config.serving.path.resolve())
    return plain


def _folder(config: Config) -> Path:
    folder = paths.root(config) / "sweep"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def _schedule(config: Config, description: Description, folder: Path) -> Schedule:
    section = config.sweep
    left_out = {"output": True, "serving": True, "choose": True, "sweep": {"minutes", "jobs"}}
    plain = config.model_dump(mode="json", exclude=left_out)
    what = [plain, description.fingerprint, code.version(*TRAINED_BY)]
    return Schedule(
        grid.arms(config),
        rungs=grid.rungs(config),
        seeds=grid.seeds(config),
        factor=section.halving.factor,
        path=folder / "study.sqlite",
        key=hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12],
        lower=better(grid.usefulness(config)) == "lower",
    )


def _learned(place: Path, left_out: list[str], config: Config) -> list[str]:
    """Returns the lines that a sweep ends with."""
    frontier: Frontier = read_frontier(place / FRONTIER_FILE)
    advice = frontier.recommendation
    output = output_flag(config)
    choose = shlex.join([program(), "choose", config.name, "--task", frontier.usefulness.metric, *output])
    board = shlex.join([program(), "tensorboard", config.name, *output])
    lines = ["", f"Recommended: {advice.text}", *([f"  {advice.note}"] if advice.note else [])]
    lines += [f"Pareto set: {'; '.join(frontier.pareto)}"]
    lines += ["Left out:", *left_out, "The same command goes on with them."] if left_out else []
    lines += [f"Frontier: {shown(place / FRONTIER_FILE)}", f"Page: {shown(place / PAGE_FILE)}"]
    return [*lines, "", "Next:", f"  choose       {choose}", f"  TensorBoard  {board}"]


def _told(failed: Failed) -> str:
    return f"{failed.component} failed: {failed.reason}" if failed.component else failed.reason


def _say(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

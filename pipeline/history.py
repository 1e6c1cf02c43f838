"""Past runs: which there are, and where their reports, trainings and served versions lie."""

from dataclasses import dataclass
from pathlib import Path

from components.pusher.versions import versions
from models.errors import InputError
from pipeline.problems import closest
from pipeline.store import MODEL_RUN, Run, Store

STORE = "metadata.sqlite"


@dataclass(frozen=True)
class Pushed:
    """What is served of a folder of versions.

    Args:
        folder: the folder.
        version: the version that one run pushed; None for the newest.
    """

    folder: Path
    version: int | None = None


def runs(output: Path) -> list[Run]:
    """Returns every run below a folder, the latest first.

    Args:
        output: the folder that holds the pipelines' folders.

    Raises:
        InputError: if a store cannot be read.
    """
    stores = sorted(output.glob(f"*/{STORE}"))
    return sorted((run for path in stores for run in Store(path).runs()), key=lambda run: -run.when)


def find(output: Path, name: str) -> Run:
    """Returns one run.

    Args:
        output: the folder that holds the pipelines' folders.
        name: a run's id, the beginning of one, or a pipeline's name (its latest run).

    Raises:
        InputError: if there is no such run, or several.
    """
    return _named(output, name)[0]


def _named(output: Path, name: str) -> list[Run]:
    """Returns the runs a name stands for, the latest first: several only where it is a pipeline's."""
    known = runs(output)
    if not known:
        raise InputError(f"no runs below {output}. Start one with `metaprior run`.")
    exact = [run for run in known if name in (run.id, run.pipeline)]
    if exact:
        return exact
    begun = [run for run in known if run.id.startswith(name)]
    if len(begun) == 1:
        return begun
    if begun:
        raise InputError(f"{name}: the beginning of {len(begun)} runs. Give more of the id.")
    near = closest(name, [*(run.id for run in known), *{run.pipeline for run in known}])
    hint = f"Did you mean {near}?" if near else "`metaprior runs` lists them."
    raise InputError(f"{name}: no such run below {output}. {hint}")


def serving(output: Path, name: str | None = None) -> Pushed:
    """Returns the version that one run pushed, or the newest of the latest run that pushed one.

    A version that was since removed counts only where no other run's is left, and never for a run by its id.

    Args:
        output: the folder that holds the pipelines' folders.
        name: a run's id or the beginning of one (its own version), or a pipeline's name (its newest version).

    Raises:
        InputError: if there is no such run, it pushed nothing, or its version was removed.
    """
    candidates = runs(output) if name is None else _named(output, name)
    pushed = [(run.serving, run.version) for run in candidates if run.serving]
    there = [folder for folder, version in pushed if (folder / str(version)).is_dir()]
    folders = there or [folder for folder, _ in pushed]
    if folders and name not in (None, candidates[0].pipeline):
        return _own(candidates[0], *pushed[0])
    if folders:
        return Pushed(folders[0])
    if name is None:
        raise InputError(f"no encoder below {output} was pushed yet. Run `metaprior run`, or give --path.")
    if name == candidates[0].pipeline:
        raise InputError(f"{name}: none of its runs pushed an encoder. `metaprior runs {name}` shows the latest.")
    run = candidates[0].id
    raise InputError(f"{run}: this run pushed no encoder. `metaprior runs {run}` shows how it went.")


def _own(run: Run, folder: Path, version: int | None) -> Pushed:
    if version is None or version not in (there := versions(folder)):
        has = f"{folder} has {', '.join(map(str, there))}" if there else f"{folder} has none"
        raise InputError(f"{run.id}: the version that this run pushed, {version}, was removed since; {has}.")
    return Pushed(folder, version)


def report(output: Path, name: str | None = None) -> Path:
    """Returns the absolute path of one run's report, or of the latest run that has one.

    Args:
        output: the folder that holds the pipelines' folders.
        name: a run's id, the beginning of one, or a pipeline's name (its latest run that has one).

    Raises:
        InputError: if there is no such run, or it has no report.
    """
    candidates = runs(output) if name is None else _named(output, name)
    path = next((run.report for run in candidates if run.report and run.report.is_file()), None)
    if path is None:
        who = f"a run below {output}" if name is None else _who(candidates[0], name)
        raise InputError(f"no report of {who}: it is written when a run has been evaluated.")
    return path.resolve()


def _who(run: Run, name: str) -> str:
    return f"a run of {name}" if name == run.pipeline else f"the run {run.id}"


def training(output: Path, name: str | None = None) -> Path:
    """Returns TensorBoard's log folder of one run, or the folder above all of them.

    Args:
        output: the folder that holds the pipelines' folders.
        name: a run's id, the beginning of one, or a pipeline's name (its latest run that trained; all of them
            where it is a sweep's).

    Raises:
        InputError: if there is no such run, or nothing was trained.
    """
    candidates = runs(output) if name is None else _named(output, name)
    trainings = [found for run in candidates if (found := run.artifact(MODEL_RUN))]
    if not trainings:
        raise InputError(f"no training below {output} to show. Start one with `metaprior run`.")
    if name is None:
        return output
    latest = Path(trainings[0].uri)
    return latest.parent if name == candidates[0].pipeline and any(run.trial for run in candidates) else latest

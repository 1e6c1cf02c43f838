"""Past runs: which there are, and where their reports, trainings and served versions lie."""

from pathlib import Path

from models.errors import InputError
from pipeline.problems import closest
from pipeline.store import MODEL_RUN, Run, Store

STORE = "metadata.sqlite"


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
    known = runs(output)
    if not known:
        raise InputError(f"no runs below {output}. Start one with `metaprior run`.")
    exact = [run for run in known if name in (run.id, run.pipeline)]
    if exact:
        return exact[0]
    begun = [run for run in known if run.id.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise InputError(f"{name}: the beginning of {len(begun)} runs. Give more of the id.")
    near = closest(name, [*(run.id for run in known), *{run.pipeline for run in known}])
    hint = f"Did you mean {near}?" if near else "`metaprior runs` lists them."
    raise InputError(f"{name}: no such run below {output}. {hint}")


def serving(output: Path, name: str | None = None) -> Path:
    """Returns the folder of the served versions of one run, or of the latest that pushed one.

    Args:
        output: the folder that holds the pipelines' folders.
        name: as in `find`.

    Raises:
        InputError: if there is no such run, or it pushed nothing.
    """
    if name is not None:
        run = find(output, name)
        if run.serving is None:
            raise InputError(f"{run.id}: this run pushed no encoder. `metaprior runs {run.id}` shows how it went.")
        return run.serving
    folders = (run.serving for run in runs(output) if run.serving)
    folder = next(folders, None)
    if folder is None:
        raise InputError(f"no encoder below {output} was pushed yet. Run `metaprior run`, or give --path.")
    return folder


def report(output: Path, name: str | None = None) -> Path:
    """Returns the absolute path of one run's report, or of the latest run that has one.

    Args:
        output: the folder that holds the pipelines' folders.
        name: as in `find`.

    Raises:
        InputError: if there is no such run, or it has no report.
    """
    candidates = runs(output) if name is None else [find(output, name)]
    path = next((run.report for run in candidates if run.report and run.report.is_file()), None)
    if path is None:
        who = f"the run {candidates[0].id}" if name else f"a run below {output}"
        raise InputError(f"no report of {who}: it is written when a run has been evaluated.")
    return path.resolve()


def training(output: Path, name: str | None = None) -> Path:
    """Returns TensorBoard's log folder of one run, or the folder above all of them.

    Args:
        output: the folder that holds the pipelines' folders.
        name: as in `find`.

    Raises:
        InputError: if there is no such run, or nothing was trained.
    """
    candidates = runs(output) if name is None else [find(output, name)]
    trainings = [found for run in candidates if (found := run.artifact(MODEL_RUN))]
    if not trainings:
        raise InputError(f"no training below {output} to show. Start one with `metaprior run`.")
    return output if name is None else Path(trainings[0].uri)

"""What TensorBoard shows of a run: its training, and beside it what was measured."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.report import BOARD_FOLDER
from pipeline import history
from pipeline.store import EVALUATION, MODEL_RUN

MEASURED = "evaluation"


@contextmanager
def folder(output: Path, name: str | None) -> Iterator[Path]:
    """Gives TensorBoard's log folder of one run's training and evaluation, or of everything.

    A training and its evaluation have no folder in common that is theirs alone: where there are both, it is one of
    links, which is removed in the end.

    Args:
        output: the folder that holds the pipelines' folders.
        name: as of `history.training`.

    Raises:
        InputError: if there is no such run, or nothing was trained.
    """
    training = history.training(output, name)
    measured = None if name is None else _measured(output, training)
    if measured is None:
        yield training
        return
    with tempfile.TemporaryDirectory(prefix="metaprior-tensorboard-") as links:
        for part in sorted(training.iterdir()):
            Path(links, part.name).symlink_to(part.resolve())
        Path(links, MEASURED).symlink_to(measured.resolve())
        yield Path(links)


def reader(folder: Path) -> str:
    """Returns TensorBoard's choice of a reader for a log folder, `--load_fast`: its fast one, if it can.

    The fast one gives runs in any order. Where the folder declares the columns of all trainings below it
    (`models.board.declare`), that declaration has to be found before theirs.
    """
    return "false" if any(folder.glob("events.out.tfevents.*")) else "auto"


def _measured(output: Path, training: Path) -> Path | None:
    """Returns the folder with the latest evaluation of what one training made, None where there is none."""
    for run in history.runs(output):
        trained, evaluation = run.artifact(MODEL_RUN), run.artifact(EVALUATION)
        if trained and evaluation and Path(trained.uri) == training:
            found = Path(evaluation.uri, BOARD_FOLDER)
            return found if found.is_dir() else None
    return None

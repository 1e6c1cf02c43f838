"""What live embeddings are compared with: those of the test split of the run whose encoder is served."""

from dataclasses import dataclass
from pathlib import Path

from components.embedder.files import Embeddings, read, read_all
from components.pusher.versions import versions
from models.errors import InputError
from pipeline import history
from pipeline.store import Run

SPLIT = "Split-test"
EMBEDDINGS = "Embeddings"
FOLDER = "monitor"


@dataclass(frozen=True)
class Reference:
    """Embeddings to compare with.

    Args:
        embeddings: the embeddings.
        owner: whose they are, in words.
        folder: where the record of comparisons goes unless told otherwise.
    """

    embeddings: Embeddings
    owner: str
    folder: Path


def of_file(place: Path) -> Reference:
    """Returns a file's or a folder's embeddings as the reference.

    Raises:
        InputError: if there are none, or they are of several spaces.
    """
    return Reference(read(place), str(place), Path(FOLDER))


def of_run(output: Path, name: str | None) -> Reference:
    """Returns the test embeddings of a run as the reference.

    Args:
        output: the folder that holds the pipelines' folders.
        name: a run's id or the beginning of one; a pipeline's name, or None, stands for the run that pushed the
            newest version.

    Raises:
        InputError: if there is no such run, or its embeddings are gone.
    """
    run = _run(output, name)
    steps = (output for step in run.steps for output in step.outputs if output.type == EMBEDDINGS)
    found = next((artifact for artifact in steps if artifact.key == "embeddings"), None)
    if found is None:
        raise InputError(f"{run.id}: this run embedded nothing. `metaprior runs {run.id}` shows how it went.")
    return Reference(read(Path(found.uri, SPLIT)), f"run {run.id}", output / run.pipeline / FOLDER)


def matching(live: Path, reference: Reference) -> Embeddings:
    """Returns the live embeddings that are of the reference's space.

    A request log goes on through several versions: files of other spaces are passed over.

    Raises:
        InputError: if none are of that space.
    """
    found, space = read_all(live), reference.embeddings.space
    if space not in found:
        raise InputError(
            f"{live}: holds embeddings of {', '.join(sorted(found))}, and the reference ({reference.owner}) is of "
            f"{space}: they cannot be compared. Name the run of these embeddings (--run), or embed them again with "
            "this encoder."
        )
    return found[space]


def _run(output: Path, name: str | None) -> Run:
    if name is not None:
        found = history.find(output, name)
        if name != found.pipeline:
            return found
    folder = history.serving(output, name).folder
    newest = versions(folder)[-1:]
    pushed = (run for run in history.runs(output) if run.serving == folder and [run.version] == newest)
    run = next(pushed, None)
    if run is None:
        raise InputError(
            f"{folder}: its newest version was pushed by no run below {output}. Name what to compare with: --run or "
            "--reference."
        )
    return run

"""One look after another, and what is done when one finds drift."""

import contextlib
import datetime
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.drift.compare import Settings, compare
from components.drift.schema import DRIFT_FILE, Drift, read_drift
from models.errors import InputError
from pipeline.failures import disk
from pipeline.monitor import record
from pipeline.monitor.reference import Reference, matching

VARIABLE = "METAPRIOR_DRIFT"
"""Environment variable that tells a command where the record of the drift is."""


@dataclass(frozen=True)
class Look:
    """What one look found.

    Args:
        drift: the comparison.
        path: where its record is.
        begins: whether there is drift, and the record that was there before, of the same space, told of none.
    """

    drift: Drift
    path: Path
    begins: bool


@dataclass(frozen=True)
class Monitor:
    """What to look at, and where to write what was seen.

    Args:
        live: a file or a folder of live embeddings.
        reference: finds what they are compared with; a later look may find another encoder served.
        settings: how to compare.
        folder: where records go; None for the reference's own.
        textfile: Prometheus's file; None for one in the folder.
    """

    live: Path
    reference: Callable[[], Reference]
    settings: Settings
    folder: Path | None = None
    textfile: Path | None = None

    def look(self) -> Look:
        """Compares once and writes the record.

        Raises:
            InputError: if there is nothing to compare, or the record cannot be written.
        """
        reference = self.reference()
        live = matching(self.live, reference)
        now = datetime.datetime.now(datetime.UTC)
        drift = compare(reference.embeddings, live, self.settings, now=now)
        folder = self.folder or reference.folder
        begins = bool(drift.drifted) and not _drifted(folder, drift.space)
        try:
            return Look(drift, record.write(drift, folder, textfile=self.textfile), begins)
        except OSError as error:
            remedy = (disk(error) or ("", "make it writable"))[1]
            raise InputError(
                f"{folder}: cannot write there: {error.strerror}. Choose another with --folder, or {remedy}."
            ) from error

    def watch(self, seconds: float, *, tell: Callable[[Look], None], refuse: Callable[[InputError], None]) -> None:
        """Looks again and again, until it is interrupted.

        Args:
            seconds: pause between two looks.
            tell: is given what each look found.
            refuse: is given what kept a look from finding anything; the next may find more.
        """
        while True:
            try:
                tell(self.look())
            except InputError as error:
                refuse(error)
            time.sleep(seconds)


def _drifted(folder: Path, space: str) -> bool:
    """Returns whether the record in a folder tells of drift in a space; one that cannot be read tells nothing."""
    with contextlib.suppress(InputError, OSError):
        last = read_drift(folder / DRIFT_FILE)
        return last.space == space and bool(last.drifted)
    return False


@dataclass(frozen=True)
class Hook:
    """A command that is run when drift begins, and not again before a look without.

    The record of the last look is its memory, so that it does not matter whether one process looks or many.

    Args:
        command: the command and its arguments.
    """

    command: Sequence[str]

    @classmethod
    def parse(cls, text: str) -> "Hook":
        """Returns the hook of a command line.

        Raises:
            InputError: if it is not one, or there is no such command.
        """
        try:
            command = shlex.split(text)
        except ValueError as error:
            raise InputError(f"--on-drift: not a command: {error}. Received: {text}") from error
        if not command:
            raise InputError("--on-drift: must be a command, such as 'metaprior run --config digits.yaml'.")
        if shutil.which(command[0]) is None:
            raise InputError(f"--on-drift: no such command: {command[0]}. Check its path; no shell looks at it.")
        return cls(command)

    def after(self, look: Look) -> int | None:
        """Runs the command if drift began with this look; returns its exit code, None where it was not run."""
        return _run(self.command, {VARIABLE: str(look.path.resolve())}) if look.begins else None


def _run(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Runs a command, which ends in its own time when Ctrl-C interrupts both."""
    with subprocess.Popen(command, env=os.environ | variables) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise

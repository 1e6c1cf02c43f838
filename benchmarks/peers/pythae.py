"""pythae as a peer: its environment, made at the first use, and the process that runs its models on command."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "pythae.txt"
PROCESS = HERE / "pythae_process.py"
ENVIRONMENT = HERE.parents[1] / ".runtime" / "peers" / "pythae"
LOG = ENVIRONMENT.with_suffix(".log")


class Unavailable(Exception):
    """The peer cannot be had on this machine: one line that says why and what to do."""


class Peer:
    """A process that trains pythae's models when told to.

    Args:
        process: `pythae_process.py` with pipes for its input and output.

    Raises:
        Unavailable: if it does not start.
    """

    def __init__(self, process: subprocess.Popen):
        self._process: Any = process
        self._ask({})

    def build(self, case: dict[str, Any]) -> dict[str, int]:
        """Makes a model and its trainer and returns the numbers of parameters of `model` and `critic`.

        Args:
            case: name, recipe, network, shape, hidden, latent, batch, steps, learning_rate, epsilon, parameters
                and, where the recipe has one, critic: hidden, learning_rate and betas.
        """
        return self._ask({"build": case})

    def run(self, name: str) -> tuple[float, float]:
        """Trains a case for one epoch and returns wall-clock and CPU seconds."""
        seconds = self._ask({"run": name})
        return seconds["wall"], seconds["cpu"]

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Unavailable(f"pythae's process ended; the reason is at the end of {LOG}.")
        return json.loads(line)


@contextlib.contextmanager
def peer(threads: int) -> Iterator[Peer]:
    """Starts the process, in an environment that is made first where there is none.

    Raises:
        Unavailable: if the environment cannot be made or the process does not start.
    """
    python = environment()
    command = [str(python), "-I", str(PROCESS), str(threads)]
    pipe = subprocess.PIPE
    with (
        LOG.open("w") as log,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True, env=_variables()) as process,
    ):
        yield Peer(process)  # at the end its input is closed, which it takes for the end


def environment() -> Path:
    """Returns the environment's Python; installs what `pythae.txt` pins where that has not been done.

    Raises:
        Unavailable: if it cannot be installed.
    """
    python, stamp = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "stamp"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"Installing pythae in {ENVIRONMENT}, once: a few minutes, 1.2 GB.", flush=True)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    ENVIRONMENT.parent.mkdir(parents=True, exist_ok=True)
    # The Python that this project's environment was made of: the project's own may have been given another C library.
    host = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "-r", REQUIREMENTS]
    with LOG.open("w") as log:
        try:
            for command in ([host, "-m", "venv", ENVIRONMENT], pip):
                subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT, env=_variables())
        except (OSError, subprocess.CalledProcessError) as error:
            raise Unavailable(
                f"pythae could not be installed; the reason is at the end of {LOG}. It needs Python's venv with pip, "
                "and torch's build for CPUs where pip looks (PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL)."
            ) from error
    stamp.write_text(wanted)
    return python


def _variables() -> dict[str, str]:
    """The environment variables without those that would lead another Python to this project's packages."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}

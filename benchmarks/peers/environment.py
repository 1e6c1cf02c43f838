"""An environment of its own for each peer, made at the first use, and a process in it that answers in JSON."""

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
ENVIRONMENTS = HERE.parents[1] / ".runtime" / "peers"


class Unavailable(Exception):
    """The peer cannot be had on this machine: one line that says why and what to do."""


class Peer:
    """A process that answers each line of JSON with another.

    Args:
        name: the peer, which has `NAME.txt` with pinned requirements and `NAME_process.py` beside this module.
        process: its process, with pipes for its input and output.

    Raises:
        Unavailable: if it does not start.
    """

    def __init__(self, name: str, process: subprocess.Popen):
        self._name, self._process = name, process
        self.ask({})

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Returns the answer to a request.

        Raises:
            Unavailable: if the process has ended.
        """
        pipes: Any = self._process
        with contextlib.suppress(BrokenPipeError):
            pipes.stdin.write(json.dumps(request) + "\n")
            pipes.stdin.flush()
        line = pipes.stdout.readline()
        if not line:
            raise Unavailable(f"{self._name}'s process ended; the reason is at the end of {log(self._name)}.")
        return json.loads(line)


@contextlib.contextmanager
def process(name: str, *arguments: str) -> Iterator[subprocess.Popen]:
    """Starts the peer's process, in an environment that is made first where there is none.

    Args:
        name: the peer.
        arguments: what its process is called with.

    Raises:
        Unavailable: if the environment cannot be made.
    """
    command = [str(environment(name)), "-I", str(HERE / f"{name}_process.py"), *arguments]
    pipe = subprocess.PIPE
    with (
        log(name).open("w") as errors,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True, env=_variables()) as started,
    ):
        yield started  # at the end its input is closed, which it takes for the end


def environment(name: str) -> Path:
    """Returns the peer's Python; installs what its requirements pin where that has not been done.

    Raises:
        Unavailable: if it cannot be installed.
    """
    folder, requirements = ENVIRONMENTS / name, HERE / f"{name}.txt"
    python, stamp = folder / "bin" / "python", folder / "stamp"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"Installing {name} in {folder}, once.", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The Python that this project's environment was made of: the project's own may have been given another C library.
    host = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "-r", requirements]
    with log(name).open("w") as errors:
        try:
            for command in ([host, "-m", "venv", folder], pip):
                subprocess.run(command, check=True, stdout=errors, stderr=subprocess.STDOUT, env=_variables())
        except (OSError, subprocess.CalledProcessError) as error:
            raise Unavailable(
                f"{name} could not be installed; the reason is at the end of {log(name)}. It needs Python's venv with "
                "pip, and the pinned versions where pip looks (PIP_INDEX_URL, PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL)."
            ) from error
    stamp.write_text(wanted)
    return python


def log(name: str) -> Path:
    """Returns where the installation and the process write what goes wrong."""
    return ENVIRONMENTS / f"{name}.log"


def _variables() -> dict[str, str]:
    """The environment variables without those that would lead another Python to this project's packages."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}

"""What every test shares: the Keras of the process, quiet logs, and one whole run of the pipeline."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import pytest

import models  # noqa: F401  (first: it fixes which Keras TensorFlow brings)

# A shell's background job ignores Ctrl-C and hands that on; the processes that tests start must not.
signal.signal(signal.SIGINT, signal.default_int_handler)

METAPRIOR = Path(sys.executable).with_name("metaprior")
DIGITS = """
name: digits
data: {source: digits}
model: {recipe: beta_vae, latent: 8, parameters: {beta: 0.5}}
training: {epochs: 12, patience: 12, checkpoint_every: 5}
evaluation:
  labels: [10, 100, all]
  seeds: 2
  measure: [probes, density] # the others have tests of their own
  bless:
    probe/linear/all: {min: 0.5}
    active_units: {min: 2}
"""

# What several files share and nobody wants to make twice.
SHARED = ("finished", "exported", "target")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps a file on one of several workers, and files that share something expensive together, which come first.

    By itself the plugin would begin with what has many tests, and whole runs of the pipeline would be left for last.
    """
    makers: dict[Path, str] = {}
    for item in items:
        for name in SHARED:
            if name in getattr(item, "fixturenames", ()):
                makers.setdefault(item.path, name)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(makers.get(item.path, item.path.stem)))
    items.sort(key=lambda item: item.path not in makers)


@dataclass(frozen=True)
class Run:
    """A run of the command, finished.

    Args:
        folder: the folder it ran in.
        output: what it printed, both streams.
        code: its exit code.
    """

    folder: Path
    output: str
    code: int

    @property
    def root(self) -> Path:
        """The pipeline's folder."""
        return self.folder / "runs" / "digits"


def metaprior(folder: Path, *arguments: str) -> Run:
    """Runs the command in a folder, as a person without a terminal would."""
    command = [str(METAPRIOR), *arguments]
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=550, check=False
    )
    return Run(folder, done.stdout, done.returncode)


def digits_folder(folder: Path) -> Path:
    """Returns the folder with the small digits configuration in it."""
    (folder / "digits.yaml").write_text(DIGITS)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Run:
    """One whole run on the digits, shared by the suite; tests must leave its folder as it is."""
    folder = digits_folder(tmp_path_factory.mktemp("finished"))
    run = metaprior(folder, "run", "--config", "digits.yaml")
    assert run.code == 0, run.output
    return run


@dataclass(frozen=True)
class Disk:
    """A file system of its own, in memory.

    Args:
        folder: where it is mounted.
    """

    folder: Path

    def set(self, option: str) -> None:
        """Changes a mount option, such as `size=1m`, `ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{option}", self.folder], check=True)

    def fill(self) -> Path:
        """Leaves not a byte; returns the file to remove to get the room back."""
        path = self.folder / "filler"
        with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        return path


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    """A disk to fill or to make read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "metaprior-tests", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a disk of its own takes the right to mount: {done.stderr.strip()}")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Lets this process and those it starts write no file beyond `size` bytes, as `ulimit -f` does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

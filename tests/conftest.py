"""What every test shares: the Keras of the process, quiet logs, and one whole run of the pipeline."""

import os
import signal
import subprocess
import sys
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
  bless:
    probe/linear/all: {min: 0.5}
    active_units: {min: 2}
"""


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

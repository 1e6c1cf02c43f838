"""The set-up scripts, as far as they can be run without installing three gigabytes again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def checkout(tmp_path):
    """A copy of what set-up reads, with nothing installed."""
    shutil.copytree(ROOT / "bootstrap", tmp_path / "bootstrap")
    for name in ("requirements.lock", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def set_up(checkout: Path, **environment: str) -> subprocess.CompletedProcess:
    env = os.environ | environment
    command = ["bash", "bootstrap/setup.sh"]
    return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, timeout=120)


def test_a_finished_set_up_returns_at_once_and_says_nothing(checkout):
    # The stamp that a finished set-up leaves, made here by the same rule.
    rule = "cat requirements.lock setup.py bootstrap/*.sh bootstrap/*.lock | sha256sum | cut -d' ' -f1"
    digest = subprocess.run(["bash", "-c", rule], cwd=checkout, capture_output=True, text=True).stdout.strip()
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / ".stamp").write_text(f"{digest}-{checkout}")
    done = set_up(checkout, METAPRIOR_PYTHON="/nowhere/python3.11")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_changed_lock_is_noticed(checkout):
    test_a_finished_set_up_returns_at_once_and_says_nothing(checkout)
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert set_up(checkout, METAPRIOR_PYTHON="/nowhere/python3.11").returncode == 2


def test_without_python_the_way_out_is_named(checkout):
    done = set_up(checkout, METAPRIOR_PYTHON="/nowhere/python3.11")
    assert done.returncode == 2
    expected = "setup: METAPRIOR_PYTHON: there is no program /nowhere/python3.11. Set it to a Python 3.11.\n"
    assert done.stderr == expected


def test_another_python_is_refused(checkout):
    other = checkout / "python3"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    done = set_up(checkout, METAPRIOR_PYTHON=str(other))
    assert done.returncode == 2
    assert done.stderr == (
        f"setup: needs Python 3.11, and {other} is another version. Set METAPRIOR_PYTHON to a Python 3.11.\n"
    )


def test_every_locked_package_has_a_hash_and_no_index_is_named():
    lock = (ROOT / "requirements.lock").read_text()
    entries = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(entries) > 100
    assert lock.count("--hash=sha256:") >= len(entries)
    assert "://" not in lock


def test_the_lock_satisfies_what_the_distribution_asks_for():
    import importlib.metadata

    from packaging.requirements import Requirement

    for text in importlib.metadata.requires("metaprior") or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": "dev"}):
            assert importlib.metadata.version(requirement.name) in requirement.specifier


def test_a_host_that_cannot_be_helped_gets_one_line(checkout, tmp_path):
    # An interpreter that reports an old C library, on a release without a successor in the list.
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 2.31\n")
    old.chmod(0o755)
    script = (checkout / "bootstrap" / "runtime.sh").read_text().replace("/etc/os-release", str(tmp_path / "os"))
    (tmp_path / "os").write_text("VERSION_CODENAME=ancient\n")
    (checkout / "bootstrap" / "runtime.sh").write_text(script)
    command = ["bash", "bootstrap/runtime.sh", str(tmp_path / "venv"), str(tmp_path), str(old)]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "setup: the C library here is 2.31 and 2.38 is needed. "
        "Use Debian 13, Ubuntu 24.04 or the container image (docker build .).\n"
    )


def test_the_interpreter_runs_on_a_new_enough_c_library():
    assert tuple(map(int, os.confstr("CS_GNU_LIBC_VERSION").split()[1].split("."))) >= (2, 38)
    assert sys.version_info[:2] == (3, 11)

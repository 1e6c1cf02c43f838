"""The set-up scripts, as far as they can be run without installing three gigabytes again."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
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


# Small programs in the places of Python and the installer: all that the scripts ask of them.
PYTHON = """#!/bin/sh
case "$*" in
  *ensurepip*) exit 0 ;;
  *-m\\ venv*) for folder; do :; done; mkdir -p "$folder/bin"; cp "$0" "$folder/bin/python" ;;
  *confstr*) echo 2.41 ;;
  *include*) dirname "$0" ;;
  *sys.executable*) echo "$0" ;;
esac
"""
UV = """#!/bin/sh
echo "$*" >>"$(dirname "$0")/asked"
exit $(cat "$(dirname "$0")/fails" 2>/dev/null || echo 0)
"""


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def host(checkout) -> dict[str, str]:
    """A host that has all the checkout needs, its installer included; returns the environment."""
    python = program(checkout / "host" / "python", PYTHON)
    program(checkout / "host" / "df", "#!/bin/sh\nprintf 'head\\n/ 0 0 99999999 0 /\\n'\n")
    program(checkout / ".runtime/tools/bin/uv", UV)
    (checkout / ".runtime/tools/.stamp").write_text(f"{digest(checkout / 'bootstrap/tools.lock')}-{python}-{checkout}")
    path = f"{checkout / 'host'}{os.pathsep}{os.environ['PATH']}"
    return {"METAPRIOR_PYTHON": str(python), "CXX": "true", "PATH": path}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("# changed\n")


@pytest.fixture
def ready(checkout, host) -> Path:
    """A checkout whose set-up is finished; returns a file of its environment."""
    done = set_up(checkout, **host)
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("setup: ready: .venv/bin/metaprior\n")
    mark = checkout / ".venv" / "mark"
    mark.touch()
    return mark


def test_a_finished_set_up_returns_at_once_and_says_nothing(checkout, ready):
    begun = time.monotonic()
    done = set_up(checkout, METAPRIOR_PYTHON="/nowhere/python3.11")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - begun < 2
    assert ready.exists()


@pytest.mark.parametrize("changed", ["requirements.lock", "setup.py", "bootstrap/compiler.lock", "bootstrap/setup.sh"])
def test_what_changed_is_noticed(checkout, ready, changed):
    append(checkout / changed)
    assert set_up(checkout, METAPRIOR_PYTHON="/nowhere/python3.11").returncode == 2
    assert ready.exists()


def test_other_packages_are_installed_into_the_environment_there_is(checkout, host, ready):
    append(checkout / "requirements.lock")
    done = set_up(checkout, **host)
    assert (done.returncode, ready.exists()) == (0, True)
    assert "preparing Python" not in done.stderr


def test_other_scripts_make_a_new_environment(checkout, host, ready):
    append(checkout / "bootstrap" / "runtime.sh")
    assert (set_up(checkout, **host).returncode, ready.exists()) == (0, False)


def test_another_python_makes_a_new_environment(checkout, host, ready):
    append(checkout / "requirements.lock")
    other = program(checkout / "other" / "python", PYTHON)
    stamp = f"{digest(checkout / 'bootstrap/tools.lock')}-{other}-{checkout}"
    (checkout / ".runtime/tools/.stamp").write_text(stamp)
    done = set_up(checkout, **host | {"METAPRIOR_PYTHON": str(other)})
    assert (done.returncode, ready.exists()) == (0, False)


def test_an_environment_whose_installation_was_cut_off_is_made_anew(checkout, host, ready):
    append(checkout / "requirements.lock")
    fails = checkout / ".runtime/tools/bin/fails"
    fails.write_text("1")
    assert set_up(checkout, **host).returncode == 2
    assert ready.exists()
    fails.unlink()
    assert (set_up(checkout, **host).returncode, ready.exists()) == (0, False)


def test_a_half_installed_compiler_is_installed_again(checkout, host):
    (checkout / "host" / "Python.h").touch()
    tools = checkout / ".runtime" / "tools"
    rest = [tools / "lib/python3.11/site-packages" / name for name in ("ziglang", "ziglang-0.1.dist-info")]
    for folder in rest:
        folder.mkdir(parents=True)
    command = ["bash", "bootstrap/compiler.sh", str(tools.parent), host["METAPRIOR_PYTHON"]]

    def compiler() -> tuple[int, int]:
        env = os.environ | host | {"CXX": "false"}
        done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True)
        assert done.returncode or "export CC=" in done.stdout
        return done.returncode, len((tools / "bin" / "asked").read_text().splitlines())

    (tools / "bin" / "fails").write_text("1")
    assert compiler() == (2, 1)
    assert not any(folder.exists() for folder in rest)
    (tools / "bin" / "fails").unlink()
    assert [compiler(), compiler()] == [(0, 2), (0, 2)]
    append(checkout / "bootstrap" / "compiler.lock")
    assert compiler() == (0, 3)


def test_the_image_runs_as_whoever_calls_it():
    text = (ROOT / "Dockerfile").read_text()
    assert "mkdir -p runs\n" in text
    assert 'docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/runs:/app/runs"' in text
    assert re.search(r"^ENV .*HOME=/tmp", text, re.MULTILINE)


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
    version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()[-1]
    assert tuple(map(int, version.split("."))) >= (2, 38)
    assert sys.version_info[:2] == (3, 11)

"""`metaprior doctor`: each check finds what is right and what is wrong, and says how to mend it."""

import importlib.metadata
import json
import socket
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline import doctor
from pipeline.cli.group import main
from pipeline.doctor import Check

PRIVATE = (
    "2.38 is needed: run `make setup`, which brings a private one on Debian 12 and Ubuntu 22.04; elsewhere "
    "use Debian 13, Ubuntu 24.04 or the container image."
)


@pytest.mark.parametrize(("version", "ok"), [((3, 11, 7), True), ((3, 12, 0), False), ((3, 10, 1), False)])
def test_only_python_three_eleven_is_right(version, ok):
    check = doctor.python(version)
    assert (check.ok, check.found) == (ok, "Python " + ".".join(map(str, version)))
    assert check.fix == "Install Python 3.11 and run `make setup` again."


@pytest.mark.parametrize(
    ("name", "ok"),
    [("glibc 2.41", True), ("glibc 2.38", True), ("glibc 2.36", False), ("musl 1.2.4", False), ("", False)],
)
def test_the_c_library_must_be_new_enough(name, ok):
    assert doctor.c_library(name) == Check("c library", ok, name or "unknown", PRIVATE)


def test_packages_are_held_against_the_lock(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("click==0.1 \\\n    --hash=sha256:00\nno-such-package==1.0\n")
    check = doctor.packages(lock)
    installed = importlib.metadata.version("click")
    assert check == Check(
        "packages",
        False,
        f"click is {installed} instead of 0.1, no-such-package 1.0 is missing",
        "Run `make setup` in the checkout.",
    )
    lock.write_text(f"click=={installed}\n")
    assert doctor.packages(lock) == Check("packages", True, "1 packages as locked")


def test_many_wrong_packages_are_told_in_one_line(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("".join(f"missing-{place}==1\n" for place in range(5)))
    assert doctor.packages(lock).found == (
        "missing-0 1 is missing, missing-1 1 is missing, missing-2 1 is missing, and 2 more"
    )


def test_a_missing_lock_is_told(tmp_path):
    assert doctor.packages(tmp_path / "none").found == f"{tmp_path / 'none'} is not there"


def test_a_port_in_use_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert doctor.port(number, "TensorBoard") == Check(
            f"port {number}",
            False,
            "TensorBoard: Address already in use",
            "End what uses it, or give TensorBoard another port.",
        )
    assert doctor.port(number, "TensorBoard").found == "TensorBoard: free"


def test_too_little_memory_is_told():
    assert doctor.memory(2**30) == Check(
        "memory", False, "1.0 GiB available", "Close other programs: a run needs about 3.0 GiB."
    )
    assert doctor.memory(2**33).ok


def test_disk_is_looked_at_where_runs_will_be(tmp_path, monkeypatch):
    asked = []
    little = types.SimpleNamespace(free=2**30)
    monkeypatch.setattr("shutil.disk_usage", lambda path: asked.append(path) or little)
    assert doctor.disk(tmp_path / "runs" / "later").fix == (
        "Make room: 2.0 GiB at least, or keep runs elsewhere: --set output=FOLDER."
    )
    assert asked == [tmp_path]


def test_a_folder_that_cannot_be_written_is_told():
    assert doctor.writable(Path("/proc/metaprior")) == Check(
        "write access",
        False,
        "/proc: No such file or directory",
        "Make it writable, or keep runs elsewhere: --set output=FOLDER.",
    )


def test_the_command_prints_a_line_for_each_check_and_fails_if_one_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda folder: [Check("a", True, "fine"), Check("bb", False, "bad", "Fix.")])
    done = CliRunner().invoke(main, ["doctor", "--output", str(tmp_path)])
    assert done.output.splitlines() == ["ok    a   fine", "wrong bb  bad. Fix."]
    assert done.exit_code == 1


def test_the_command_speaks_json(tmp_path):
    done = CliRunner().invoke(main, ["doctor", "--json", "--output", str(tmp_path)])
    checks = json.loads(done.output)
    assert [set(check) for check in checks] == [{"name", "ok", "found", "fix"}] * len(checks)
    names = [check["name"] for check in checks]
    assert names == [
        "python",
        "c library",
        "packages",
        "port 8500",
        "port 8501",
        "port 6006",
        "disk",
        "memory",
        "write access",
    ]
    assert all(bool(check["fix"]) != check["ok"] for check in checks)
    assert done.exit_code == (0 if all(check["ok"] for check in checks) else 1)

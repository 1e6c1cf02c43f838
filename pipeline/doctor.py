"""Looks whether this machine and this environment can do the work; each check is one line, with its fix."""

import importlib.metadata
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from pipeline import ports

CHECKOUT = Path(__file__).resolve().parents[1]
LOCK = CHECKOUT / "requirements.lock"
PYTHON = (3, 11)
GLIBC = (2, 38)
PORTS = {8500: "gRPC serving", 8501: "REST serving", 6006: "TensorBoard"}
GIB = 2**30
DISK, MEMORY = 2 * GIB, 3 * GIB
AGAIN = "Run `make setup` in the checkout."


@dataclass(frozen=True)
class Check:
    """One finding; `fix` says what to do where `ok` is false."""

    name: str
    ok: bool
    found: str
    fix: str = ""


def examine(folder: Path, *, lock: Path = LOCK) -> Iterator[Check]:
    """Yields every check.

    Args:
        folder: where runs are kept; it need not be there yet.
        lock: the file with the exact version of every package.
    """
    checks = (
        python(sys.version_info[:3]),
        c_library(os.confstr("CS_GNU_LIBC_VERSION") or ""),
        packages(lock),
        *(port(number, use) for number, use in PORTS.items()),
        disk(folder),
        memory(psutil.virtual_memory().available),
        writable(folder),
    )
    yield from (replace(check, fix="") if check.ok else check for check in checks)


def python(version: tuple[int, ...]) -> Check:
    """Checks the interpreter's version."""
    found = ".".join(str(part) for part in version)
    fix = f"Install Python {PYTHON[0]}.{PYTHON[1]} and run `make setup` again."
    return Check("python", version[:2] == PYTHON, f"Python {found}", fix)


def c_library(name: str) -> Check:
    """Checks the C library's version; `name` is such as `glibc 2.41`."""
    version = tuple(int(part) for part in re.findall(r"\d+", name)[:2])
    fix = (
        f"{GLIBC[0]}.{GLIBC[1]} is needed: run `make setup`, which brings a private one on Debian 12 and "
        "Ubuntu 22.04; elsewhere use Debian 13, Ubuntu 24.04 or the container image."
    )
    return Check("c library", name.startswith("glibc") and version >= GLIBC, name or "unknown", fix)


def packages(lock: Path) -> Check:
    """Checks the installed packages against the lock file."""
    if not lock.is_file():
        return Check("packages", False, f"{lock} is not there", AGAIN)
    wanted = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))
    wrong = [line for name, version in wanted.items() if (line := _difference(name, version))]
    if not wrong:
        return Check("packages", True, f"{len(wanted)} packages as locked")
    more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return Check("packages", False, ", ".join(wrong[:3]) + more, AGAIN)


def port(number: int, use: str) -> Check:
    """Checks that nothing listens on a port of loopback."""
    reason = ports.problem("127.0.0.1", number)
    fix = f"End what uses it, or give {use} another port."
    return Check(f"port {number}", reason is None, f"{use}: {reason or 'free'}", fix)


def disk(folder: Path) -> Check:
    """Checks the free space where runs are kept."""
    free = shutil.disk_usage(_nearest(folder)).free
    fix = f"Make room: {_gib(DISK)} at least, or keep runs elsewhere: --set output=FOLDER."
    return Check("disk", free >= DISK, f"{_gib(free)} free", fix)


def memory(available: int) -> Check:
    """Checks the free memory, in bytes."""
    fix = f"Close other programs: a run needs about {_gib(MEMORY)}."
    return Check("memory", available >= MEMORY, f"{_gib(available)} available", fix)


def writable(folder: Path) -> Check:
    """Checks that a run could write its folder."""
    there = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        fix = "Make it writable, or keep runs elsewhere: --set output=FOLDER."
        return Check("write access", False, f"{there}: {error.strerror}", fix)
    return Check("write access", True, f"{there} is writable")


def _difference(name: str, version: str) -> str | None:
    try:
        installed = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"{name} {version} is missing"
    return None if installed == version else f"{name} is {installed} instead of {version}"


def _nearest(folder: Path) -> Path:
    """Returns the folder, or the nearest above it that is there."""
    path = folder.resolve()
    return next(place for place in (path, *path.parents) if place.is_dir())


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"

"""The one line a person reads of what was raised, wherever it was raised."""

import errno
import os
from pathlib import Path

import pytest

from models.errors import InputError
from pipeline.failures import disk, reason, unwritable

ELSEWHERE = "or choose another folder: --set output=FOLDER."
FULL = f"the disk is full. Free some space and run the same command again, {ELSEWHERE}"
QUOTA = f"the disk quota is used up. Free some space and run the same command again, {ELSEWHERE}"
LIMIT = (
    "the shell (ulimit -f) or the file system allows no larger file. Raise the limit and run the same command "
    f"again, {ELSEWHERE}"
)
READ_ONLY = f"the file system is read-only. Make it writable and run the same command again, {ELSEWHERE}"


def system(number: int) -> OSError:
    """What the operating system says, in its own words."""
    return OSError(number, os.strerror(number), "a")


def fault(cause: Exception, outer: Exception) -> Exception:
    try:
        try:
            raise cause
        except type(cause) as inner:
            raise outer from inner
    except type(outer) as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InputError("x: wrong. Do y."), ("x: wrong. Do y.", True)),
        (fault(InputError("deep"), RuntimeError("outer")), ("deep", True)),
        (
            RuntimeError("Traceback ...\nmodels.errors.InputError: a.png: broken. [while running 'Read']"),
            ("a.png: broken.", True),
        ),
        (KeyError("k"), ("KeyError: 'k'", False)),
        (ValueError("first\nsecond"), ("ValueError: first", False)),
        (fault(system(errno.ENOSPC), RuntimeError("write failed")), (FULL, True)),
        (RuntimeError("UNKNOWN: a/b; No space left on device [while running 'Write']"), (FULL, True)),
        (RuntimeError("Error when executing query: database or disk is full query: INSERT"), (FULL, True)),
        (system(errno.EDQUOT), (QUOTA, True)),
        (system(errno.EFBIG), (LIMIT, True)),
        (system(errno.EROFS), (READ_ONLY, True)),
        (fault(system(errno.ENOSPC), InputError("says it better")), ("says it better", True)),
        (system(errno.EIO), ("OSError: [Errno 5] Input/output error: 'a'", False)),
    ],
)
def test_the_reason_is_one_line(error, expected):
    assert reason(error) == expected


def test_only_a_disk_that_takes_no_more_is_the_disks_fault():
    assert disk(fault(system(errno.ENOSPC), RuntimeError("write failed"))) == ("the disk is full", "free some space")
    assert disk(fault(system(errno.EIO), RuntimeError("write failed"))) is None


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (errno.ENOSPC, "No space left on device. Choose another folder: --set output=FOLDER, or free some space."),
        (errno.EROFS, "Read-only file system. Choose another folder: --set output=FOLDER, or make it writable."),
        (errno.EACCES, "Permission denied. Choose another folder: --set output=FOLDER, or make this one writable."),
    ],
)
def test_an_output_folder_that_cannot_be_written_is_refused_with_what_helps(number, line):
    assert str(unwritable(Path("runs/x"), system(number))) == f"output: cannot write runs/x: {line}"

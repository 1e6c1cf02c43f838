"""What is known of a version, and when it is tried."""

import enum
import math
from dataclasses import dataclass

from serving.servable import Servable
from serving.status import ServingError


class State(enum.IntEnum):
    """Where a version is in its life, as GetModelStatus reports it."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class Version:
    """What is known of one version; those that ended are remembered.

    Attributes:
        number: its folder's name.
        state: where it is in its life.
        error: why it ended, if it failed.
        servable: what answers, while it may.
        stamp: the files that the last attempt failed on; empty where nothing keeps the next one away.
        failures: attempts that failed so far.
        retry_at: `time.monotonic()` of the next attempt, while one is due.
    """

    number: int
    state: State
    error: ServingError | None = None
    servable: Servable | None = None
    stamp: tuple[int, ...] = ()
    failures: int = 0
    retry_at: float = math.inf


@dataclass(frozen=True)
class Rhythm:
    """When a folder is looked at and a load is tried.

    Attributes:
        poll_seconds: pause between two looks at the folder; 0 looks once.
        retries: further attempts to load a version that fails.
        retry_seconds: pause between two attempts.
    """

    poll_seconds: float = 1.0
    retries: int = 0
    retry_seconds: float = 60.0

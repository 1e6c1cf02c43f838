"""What is known of a version, and when it is tried."""

import enum
import math
import time
from dataclasses import dataclass, replace

from serving.folders import Stamp
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


@dataclass(frozen=True)
class Version:
    """What is known of one version; those that ended are remembered.

    Attributes:
        number: its folder's name.
        state: where it is in its life.
        error: why it ended, if it failed; of one that serves, why its new folder does not take over.
        servable: what answers, or still did when the version was retired; none before and after.
        stamp: the folder that the last attempt failed on; empty where nothing keeps the next one away.
        failures: attempts that failed so far.
        retry_at: `time.monotonic()` of the next attempt, while one is due.
    """

    number: int
    state: State
    error: ServingError | None = None
    servable: Servable | None = None
    stamp: Stamp = ()
    failures: int = 0
    retry_at: float = math.inf

    @property
    def serves(self) -> bool:
        """Whether requests may be answered by it: those to a version that is unloading are only finished."""
        return self.state is State.AVAILABLE

    def failed(self, error: ServingError, stamp: Stamp, rhythm: Rhythm) -> "Version":
        """Returns what is known after an attempt that failed: what serves goes on.

        Args:
            error: why.
            stamp: the folder, as it was before the attempt.
            rhythm: when there is another.
        """
        failures = self.failures + 1 if self.stamp == stamp else 1
        again = failures <= rhythm.retries
        state = self.state if self.serves or again else State.END
        return replace(
            self,
            state=state,
            # TF Serving tells no error of a version that it will try again.
            error=None if state is State.LOADING else error,
            stamp=stamp,
            failures=failures,
            retry_at=time.monotonic() + rhythm.retry_seconds if again else math.inf,
        )

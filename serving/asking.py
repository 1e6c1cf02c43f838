"""What both clients do, without the waiting.

Each operation is a generator that yields the calls it needs next and is sent their results; a client only
sends calls, on a thread or on an event loop.
"""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import tenacity

from serving.answer import Answer, join
from serving.errors import NotFound, RequestError, Unavailable, Untrusted, late, unfit
from serving.inputs import signature_for, to_arrays
from serving.pieces import Batching, split
from serving.status import ServingError
from serving.wire import Arrays, Call, Calls, Metadata, SignatureInfo, Target, VersionStatus

T = TypeVar("T")
Steps = Generator[Sequence[Call[Any]], list[Any], T]


class Deadline:
    """The end of a wait.

    Args:
        seconds: from now; None for no end.
        address: what messages call the server.
    """

    def __init__(self, seconds: float | None, address: str):
        self._seconds, self._address = seconds, address
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Returns the seconds that are left, None where there is no end.

        Raises:
            DeadlineExceeded: none are.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise late(self._address, self._seconds)
        return left

    def allows(self, pause: float) -> bool:
        """Whether there is time for a pause and something after it."""
        return self._end is None or time.monotonic() + pause < self._end


def retries(attempts: int | None) -> dict[str, Any]:
    """Returns the arguments of a tenacity loop around a function of a call and a deadline.

    Every call may be repeated: none of them changes anything. It is repeated where no server answers, where it
    is busy, and where it says when to come back; never for a fault of the request, and never past the deadline.

    Args:
        attempts: how often a call is tried in all, None for as often as its deadline allows.
    """
    pause = tenacity.wait_random_exponential(multiplier=0.1, max=2.0) + tenacity.wait_fixed(0.05)

    def wait(state: tenacity.RetryCallState) -> float:
        error: Any = state.outcome and state.outcome.exception()
        return max(pause(state), error.retry_after or 0.0)

    def stop(state: tenacity.RetryCallState) -> bool:
        _, deadline = state.args
        return state.attempt_number == attempts or not deadline.allows(state.upcoming_sleep)

    return {"retry": tenacity.retry_if_exception(_passing), "wait": wait, "stop": stop, "reraise": True}


def _passing(error: BaseException) -> bool:
    if isinstance(error, Untrusted):
        return False
    return isinstance(error, Unavailable) or (isinstance(error, RequestError) and error.retry_after is not None)


@dataclass(frozen=True)
class Prepared:
    """Inputs as arrays of a signature's types, in pieces that one request can hold."""

    signature: str
    info: SignatureInfo
    pieces: list[Arrays]

    @property
    def rows(self) -> list[int]:
        """Number of rows of each piece."""
        return [len(array) if array.ndim else 0 for array in (next(iter(piece.values())) for piece in self.pieces)]


@dataclass(frozen=True)
class Plan:
    """How to ask a model whose signatures are known.

    Attributes:
        calls: the protocol.
        target: model and version; without a signature, what the inputs are decides between those that embed.
        metadata: the signatures.
        limits: what one request may hold.
    """

    calls: Calls
    target: Target
    metadata: Metadata
    limits: Batching

    def pinned(self) -> "Plan":
        """Returns the plan for the very version that was seen, whatever version is the newest by then."""
        return replace(self, target=replace(self.target, version=self.metadata.version, label=None))

    def prepare(self, inputs: Any) -> Prepared:
        """Returns inputs as what requests hold; reads files where inputs are paths.

        Raises:
            InvalidRequest: there is no such signature, or the inputs do not fit it.
        """
        name, known = self.target.signature or signature_for(inputs), self.metadata.signatures
        if name not in known:
            raise unfit(f"model {self.target.model} has no signature {name}; it has {', '.join(sorted(known))}.")
        arrays = to_arrays(inputs, name, known[name])
        return Prepared(name, known[name], split(arrays, known[name], self.limits))

    def requests(self, prepared: Prepared) -> list[Call[Answer]]:
        """Returns a call for each piece."""
        target = replace(self.target, signature=prepared.signature)
        return [self.calls.predict(target, piece, prepared.info) for piece in prepared.pieces]


class Asking:
    """The operations on one model.

    Args:
        calls: the protocol.
        model: name of the model.
        limits: what one request may hold.
    """

    def __init__(self, calls: Calls, model: str, limits: Batching):
        self._calls, self._model, self._limits = calls, model, limits
        self._known: dict[tuple[int | None, str | None], Metadata] = {}

    def target(self, version: int | None = None, label: str | None = None, signature: str | None = None) -> Target:
        """Returns what a request is for.

        Raises:
            InvalidRequest: both a version and a label.
        """
        if version is not None and label is not None:
            raise unfit(f"a request is for a version or for a label. Received: version={version}, label={label}.")
        return Target(self._model, version, label, signature or "")

    def status(self) -> Steps[list[VersionStatus]]:
        """Asks for the state of the model's versions."""
        (states,) = yield [self._calls.status(self.target())]
        return states

    def metadata(self, target: Target) -> Steps[Metadata]:
        """Asks for the signatures of a version."""
        (found,) = yield [self._calls.metadata(target)]
        return found

    def plan(self, target: Target, *, fresh: bool = False) -> Steps[Plan]:
        """Learns the signatures, once.

        Args:
            target: what will be asked.
            fresh: whether to look again.
        """
        key = target.version, target.label
        known = None if fresh else self._known.get(key)
        if known is None:
            known = self._known[key] = yield from self.metadata(target)
        return Plan(self._calls, target, known, self._limits)

    def predict(self, inputs: Any, target: Target) -> Steps[Answer]:
        """Runs a signature, in pieces where the inputs are large, all of one version."""
        plan = yield from self.plan(target)
        try:
            prepared = plan.prepare(inputs)
            if len(prepared.pieces) > 1:
                return (yield from self._in_pieces(prepared, target))
            (answer,) = yield plan.requests(prepared)
        except ServingError:
            # Perhaps the model has changed: the next call looks again.
            self._known.clear()
            raise
        if answer.version not in (None, plan.metadata.version):
            self._known.clear()
        return answer

    def in_turn(self, plan: Plan, prepared: Prepared) -> Steps[Answer]:
        """Sends pieces one after another."""
        answers = []
        for call in plan.requests(prepared):
            answers += yield [call]
        return join(answers, prepared.rows)

    def _in_pieces(self, prepared: Prepared, target: Target) -> Steps[Answer]:
        try:
            return (yield from self._at_once(prepared, target))
        except NotFound:
            if target.version is not None:
                raise
            # Since the look at the model a newer version took its place: once more, with that.
            return (yield from self._at_once(prepared, target))

    def _at_once(self, prepared: Prepared, target: Target) -> Steps[Answer]:
        plan = (yield from self.plan(target, fresh=True)).pinned()
        answers = yield plan.requests(prepared)
        return join(answers, prepared.rows)

"""What both clients do, without the waiting.

Each operation is a generator that yields the calls it needs next and is sent their results; a client only
sends calls, on a thread or on an event loop.
"""

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import tenacity

from serving.answer import Answer, join
from serving.errors import (
    Exhausted,
    NotFound,
    RequestError,
    TooLarge,
    Unavailable,
    Untrusted,
    error,
    late,
    too_large,
    unfit,
)
from serving.inputs import signature_for, to_arrays
from serving.pieces import Batching, split
from serving.status import Code, ServingError
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
    Pauses are random below a bound that doubles ("full jitter"), and as long as the server asks for at least.

    Args:
        attempts: how often a call is tried in all, None for as often as its deadline allows.
    """
    pause = tenacity.wait_random_exponential(multiplier=0.1, max=2.0) + tenacity.wait_fixed(0.05)

    def wait(state: tenacity.RetryCallState) -> float:
        refusal: Any = state.outcome and state.outcome.exception()
        return max(pause(state), refusal.retry_after or 0.0)

    def stop(state: tenacity.RetryCallState) -> bool:
        _, deadline = state.args
        return state.attempt_number == attempts or not deadline.allows(state.upcoming_sleep)

    return {"retry": tenacity.retry_if_exception(_passing), "wait": wait, "stop": stop, "reraise": True}


def _passing(refusal: BaseException) -> bool:
    if not isinstance(refusal, RequestError) or isinstance(refusal, Untrusted | TooLarge):
        return False
    if refusal.retry_after is not None:
        return refusal.retry_after < math.inf
    return isinstance(refusal, Unavailable | Exhausted)


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
        independent: whether each row is known to be answered by itself, so that inputs may be cut.
    """

    calls: Calls
    target: Target
    metadata: Metadata
    limits: Batching
    independent: bool

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
        pieces: list[Arrays] = split(arrays, known[name], self.limits) if self.independent else [arrays]
        return Prepared(name, known[name], pieces)

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
        independent_rows: whether the model answers each row by itself; None: as the server, or `embed`, says.
    """

    def __init__(self, calls: Calls, model: str, limits: Batching, independent_rows: bool | None = None):
        self._calls, self._model, self._limits = calls, model, limits
        self._independent_rows = independent_rows
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
        return Plan(self._calls, target, known, self._limits, self._are_independent(target, known))

    def stream(self, target: Target) -> Steps[Plan]:
        """Learns the signatures anew, for many requests to the version that is seen.

        Raises:
            InvalidRequest: the model's rows are known to belong together.
        """
        if self._independent_rows is False:
            raise unfit(
                "embed_many has each example answered by itself, and this client's independent_rows=False says that "
                f"{self._model} cannot. Send the rows together, by predict."
            )
        plan = yield from self.plan(target, fresh=True)
        return replace(plan.pinned(), independent=True)

    def _are_independent(self, target: Target, metadata: Metadata) -> bool:
        if self._independent_rows is not None:
            return self._independent_rows
        # Shapes do not tell: x - mean(x) has a row for each row, too. Only an encoder embeds, and only one has a space.
        return not target.signature or metadata.space is not None

    def predict(self, inputs: Any, target: Target) -> Steps[Answer]:
        """Runs a signature, in pieces where the inputs are large and may be cut, all of one version."""
        plan = yield from self.plan(target)
        try:
            prepared = plan.prepare(inputs)
            if len(prepared.pieces) > 1:
                return (yield from self._in_pieces(prepared, target))
            try:
                (answer,) = yield plan.requests(prepared)
            except TooLarge as refusal:
                raise refusal if plan.independent else self._uncut(refusal, prepared) from None
        except ServingError:
            # Perhaps the model has changed: the next call looks again.
            self._known.clear()
            raise
        if answer.version not in (None, plan.metadata.version):
            self._known.clear()
        return answer

    def _uncut(self, refusal: TooLarge, prepared: Prepared) -> TooLarge:
        (rows,) = prepared.rows
        return too_large(
            f"{refusal.message.rstrip('.')}. The {rows} rows travel in one request, because nothing says that "
            f"{self._model} answers each of them by itself. If it does, give the client independent_rows=True; if not, "
            "send fewer, or have the server take larger requests."
        )

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
        if not plan.independent:
            raise error(Code.ABORTED, f"{self._model} is another model than before. Ask again.")
        answers = yield plan.requests(prepared)
        return join(answers, prepared.rows)

"""The REST API v1 of TF Serving: two patterns route every request, one function turns errors to HTTP."""

import asyncio
import contextlib
import re
import threading
import zlib
from collections import deque
from concurrent.futures import Future
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from serving import codec
from serving.batching import Batcher
from serving.nests import shown
from serving.service import DEFAULT_SIGNATURE, Service
from serving.status import Code, ServingError, guarded, http_status, invalid

# Applied to the path with its query string, so that a query makes a prediction malformed, as in TF Serving.
VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
FLAGS = re.IGNORECASE | re.ASCII
PREDICTION = re.compile(rf"/v1/models/(?P<name>[^/:]+){VERSION}:(?P<verb>classify|regress|predict)", FLAGS)
STATUS = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{VERSION}(?:/(?P<part>metadata))?", FLAGS)
API = re.compile(r"/v1/.*", re.IGNORECASE | re.DOTALL)
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
LARGEST_VERSION = 2**63 - 1
GZIP = 16 + zlib.MAX_WBITS


class BodyTooLarge(ServingError):
    """A body over the limit: the one refusal whose HTTP status is not that of its code."""

    def __init__(self, limit: int):
        super().__init__(Code.RESOURCE_EXHAUSTED, f"Request body is larger than the limit of {limit} bytes.")


class Mailbox:
    """Brings results from the batching thread to the event loop, with one wake-up for a whole batch.

    A wake-up for every result, as asyncio's own bridge does it, has the two threads take turns at the
    interpreter lock, and costs more than the rest of the request.
    """

    def __init__(self, batcher: Batcher):
        self._loop = asyncio.get_running_loop()
        self._done: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        batcher.after_batch(self._wake)

    async def result(self, future: Future[Any]) -> Any:
        """Waits for a future of the batcher; cancelling the wait cancels the request if it has not begun."""
        waiter: asyncio.Future[Any] = self._loop.create_future()
        future.add_done_callback(lambda done: self._done.append((waiter, done)))
        if future.done():
            # It may have been done before the callback was there, and its batch has had its wake-up.
            self._deliver()
        try:
            return await waiter
        except asyncio.CancelledError:
            future.cancel()
            raise

    def _wake(self) -> None:
        # A closed loop has nobody waiting any more: the server has stopped, the batch was its last.
        with contextlib.suppress(RuntimeError):
            if self._done:
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        while self._done:
            waiter, done = self._done.popleft()
            if waiter.done():
                continue
            if error := done.exception():
                waiter.set_exception(error)
            else:
                waiter.set_result(done.result())


class Rest:
    """The HTTP server, on a thread of its own.

    Args:
        service: answers the requests.
        cors: whether every answer allows scripts of other origins.
        max_requests: most requests at a time; more are refused with 503.
        grace: seconds that running requests have left when the server stops.
    """

    def __init__(self, service: Service, *, cors: bool = False, max_requests: int = 1024, grace: float = 10.0):
        self._service, self._headers = service, CORS if cors else {}
        self._max_requests, self._grace = max_requests, grace
        self._running = 0
        self._port: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="rest", daemon=True)

    def start(self, host: str, port: int) -> int:
        """Starts to listen.

        Args:
            host: address to bind.
            port: TCP port, 0 for any free one.

        Returns:
            The port.

        Raises:
            ServingError: UNAVAILABLE, the address cannot be bound.
        """
        self._address = host, port
        self._thread.start()
        try:
            return self._port.result()
        except OSError as error:
            raise ServingError(
                Code.UNAVAILABLE,
                f"REST cannot listen on {host}:{port}: {error.strerror}. Free the port or choose another.",
            ) from None

    def stop(self) -> None:
        """Stops listening, waits for running requests, and ends the thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._mailbox = Mailbox(self._service.batcher)
        # Compressed bodies are unpacked here, by TF Serving's rules and within the limit.
        server = web.Server(self._handle, auto_decompress=False, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=self._grace)
        await runner.setup()
        try:
            await web.TCPSite(runner, *self._address).start()
        except OSError as error:
            self._port.set_exception(error)
        else:
            self._port.set_result(runner.addresses[0][1])
            await self._stopping.wait()
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        if request.method == "OPTIONS":
            allowed = re.match("https?://", request.headers.get("Origin", ""))
            return web.Response(status=200 if allowed else 400, headers=self._headers)
        status, body = 200, b""
        self._running += 1
        try:
            body = await self._answer(request)
        except ServingError as error:
            status, body = _http_error(error)
        finally:
            self._running -= 1
        return web.Response(status=status, body=body, content_type="application/json", headers=self._headers)

    async def _answer(self, request: web.BaseRequest) -> bytes:
        if self._running > self._max_requests:
            raise ServingError(Code.UNAVAILABLE, f"More than {self._max_requests} requests at a time.")
        path = request.raw_path
        if not API.fullmatch(path):
            raise ServingError(Code.NOT_FOUND, f"Not found: {path}")
        try:
            async with asyncio.timeout(self._service.limits.seconds):
                if request.method == "POST" and (match := PREDICTION.fullmatch(path)):
                    return await self._predict(match, await self._read(request))
                if request.method == "GET" and (match := STATUS.fullmatch(path)):
                    return guarded(self._describe, match)
        except TimeoutError:
            raise ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification") from None
        raise invalid(f"Malformed request: {request.method} {path}")

    async def _read(self, request: web.BaseRequest) -> bytes:
        limit = self._service.limits.request_bytes
        if (request.content_length or 0) > limit:
            raise BodyTooLarge(limit)
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise BodyTooLarge(limit)
        if "gzip" in request.headers.get("Content-Encoding", ""):
            return _gunzip(bytes(body), limit)
        return bytes(body)

    async def _predict(self, match: re.Match[str], body: bytes) -> bytes:
        spec = _model_spec(match)
        if match["verb"].lower() != "predict":
            raise ServingError(Code.UNIMPLEMENTED, f"{match['verb'].lower()} is not supported by this server.")
        document = codec.loads(body)
        name = _signature_name(document)
        with self._service.lease(spec) as (_, servable):
            signature = servable.signatures.get(name)
            if signature is None:
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            kinds = {alias: tensor.kind for alias, tensor in signature.inputs.items()}
            rows, inputs = guarded(codec.decode_inputs, document, kinds)
            outputs = await self._mailbox.result(self._service.submit(servable, signature, inputs))
        return guarded(codec.encode_outputs, outputs, rows=rows)

    def _describe(self, match: re.Match[str]) -> bytes:
        if not match["name"]:
            raise invalid("Missing model name in request.")
        spec = _model_spec(match)
        if match["part"]:
            request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
            return _metadata_json(self._service.metadata(request))
        # Status knows no labels: as in TF Serving, all versions are returned.
        spec.ClearField("version_label")
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        return codec.dumps(_plain(self._service.status(request)))


def _http_error(error: ServingError) -> tuple[int, bytes]:
    status = 413 if isinstance(error, BodyTooLarge) else http_status(error.code)
    # A message may repeat what a client sent, and that need not be Unicode.
    return status, codec.dumps({"error": error.message.encode("utf-8", "replace").decode()})


def _model_spec(match: re.Match[str]) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=unquote(match["name"]))
    if match["version"]:
        # The length first: Python refuses to read numbers of many thousand digits.
        if len(match["version"]) > 19 or int(match["version"]) > LARGEST_VERSION:
            raise invalid(f"Failed to convert version: {match['version']} to numeric.")
        spec.version.value = int(match["version"])
    if match["label"]:
        spec.version_label = unquote(match["label"])
    return spec


def _signature_name(document: object) -> str:
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {shown(document)} Is not object")
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        reason = "not formatted correctly. 'signature_name' key must be a string value."
        raise invalid(f"JSON Value: {shown(document)} {reason}")
    return name or DEFAULT_SIGNATURE


def _metadata_json(response: get_model_metadata_pb2.GetModelMetadataResponse) -> bytes:
    definitions = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(definitions)
    # Not the Any's own JSON, which would add a type: TF Serving nests the map by hand.
    document = {
        "model_spec": _plain(response.model_spec),
        "metadata": {"signature_def": _plain(definitions)},
    }
    return codec.dumps(document)


def _plain(message) -> dict:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _gunzip(body: bytes, limit: int) -> bytes:
    """Returns the unpacked body; an undecodable one counts as empty, as in TF Serving."""
    unpacker = zlib.decompressobj(GZIP)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error:
        return b""
    if len(unpacked) > limit:
        raise BodyTooLarge(limit)
    return unpacked if unpacker.eof else b""

"""The REST API v1 of TF Serving: two patterns route every request, one function turns errors to HTTP."""

import asyncio
import re
import threading
import time
from concurrent.futures import Future
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from serving import bodies, codec, documents, examples, metrics
from serving.access import Access
from serving.aside import LONG, Aside
from serving.callers import origin
from serving.describing import metadata_json, status_json
from serving.http_server import Connections, encryption
from serving.inference import CLASSIFY, INPUT, REGRESS, Arrays
from serving.mailbox import Mailbox
from serving.servable import Servable
from serving.service import Service
from serving.signature import Signature
from serving.status import Code, ServingError, guarded, guarded_wait, http_status, invalid
from serving.textproto import SSLConfig

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
METHODS = frozenset(("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"))
INFERENCE = {"classify": CLASSIFY, "regress": REGRESS}
LARGEST_VERSION = 2**63 - 1
MANY = 256  # examples whose results take long to write
ORIGIN = web.RequestKey("origin", dict)  # of an answer, kept with the request until its headers are written
REMEDIES = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}, 503: {"Retry-After": "1"}}


class Rest:
    """The HTTP server, on a thread of its own.

    Args:
        service: answers the requests.
        cors: whether every answer allows scripts of other origins.
        max_requests: most requests at a time; more are refused with 503.
        grace: seconds that running requests have left when the server stops.
        metrics_path: where Prometheus finds the service's metrics; None hides them.
        access: who may ask.
        connections: most connections at a time.
        idle_seconds: longest time that a connection may stay without a request.
        unread_seconds: longest time that a client may take nothing of its answer.
    """

    def __init__(
        self,
        service: Service,
        *,
        cors: bool = False,
        max_requests: int = 1024,
        grace: float = 10.0,
        metrics_path: str | None = None,
        access: Access | None = None,
        connections: int = 1024,
        idle_seconds: float = 75.0,
        unread_seconds: float = 30.0,
    ):
        self._service, self._headers = service, CORS if cors else {}
        self._max_requests, self._grace = max_requests, grace
        self._metrics_path, self._access = metrics_path, access or Access()
        self._connections, self._idle_seconds, self._unread_seconds = connections, idle_seconds, unread_seconds
        self._running = 0
        self._port: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="rest", daemon=True)

    def start(self, host: str, port: int, ssl: SSLConfig | None = None) -> int:
        """Starts to listen.

        Args:
            host: address to bind.
            port: TCP port, 0 for any free one.
            ssl: keys and certificates; the port is not encrypted without.

        Returns:
            The port.

        Raises:
            ServingError: UNAVAILABLE, the address cannot be bound; INVALID_ARGUMENT, the keys cannot be used.
        """
        self._address, self._encryption = (host, port), encryption(ssl) if ssl else None
        self._thread.start()
        try:
            return self._port.result()
        except OSError as error:
            raise ServingError(
                Code.UNAVAILABLE,
                f"REST cannot listen on {host}:{port}: {error.strerror}. Free the port or choose another.",
            ) from None

    def stop(self) -> None:
        """Stops listening at once; running requests have the grace to end, then their connections are closed."""
        self._loop.call_soon_threadsafe(self._stopping.set)

    def wait(self, timeout: float) -> bool:
        """Waits for the end; False where it takes longer than `timeout` seconds."""
        self._thread.join(max(timeout, 0.0))
        return not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._mailbox, self._aside = Mailbox(self._service.batcher), Aside()
        server = Connections(
            self._handle,
            most=self._connections,
            idle_seconds=self._idle_seconds,
            unread_seconds=self._unread_seconds,
            refused=self._service.metrics.refused,
        )
        runner = web.ServerRunner(server, shutdown_timeout=self._grace)
        await runner.setup()
        try:
            shared = self._service.shares_ports
            await web.TCPSite(runner, *self._address, ssl_context=self._encryption, reuse_port=shared).start()
        except OSError as error:
            self._port.set_exception(error)
        else:
            self._port.set_result(runner.addresses[0][1])
            await self._stopping.wait()
        await runner.cleanup()
        self._aside.close()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        path = request.raw_path
        if self._metrics_path is not None and path.partition("?")[0] == self._metrics_path:
            return await self._scrape(request, path)
        status, body = 404, documents.dumps({"error": f"Not found: {path}"})
        if API.fullmatch(path):
            if request.method == "OPTIONS":
                allowed = re.match("https?://", request.headers.get("Origin", ""))
                return web.Response(status=200 if allowed else 400, headers=self._headers)
            status, body = await self._counted(request, path)
        headers = self._headers | request.get(ORIGIN, {}) | REMEDIES.get(status, {})
        return web.Response(status=status, content_type="application/json", **bodies.sent(body, headers))

    def _admit(self, request: web.BaseRequest) -> None:
        if not self._access.open:
            self._access.admit(request.headers.get("Authorization"), request.remote or "")

    async def _scrape(self, request: web.BaseRequest, path: str) -> web.Response:
        try:
            self._admit(request)
        except ServingError as error:
            status, body = _http_error(error)
            return web.Response(status=status, body=body, headers=REMEDIES.get(status))
        if path == self._metrics_path:
            body = await asyncio.to_thread(self._service.exposition)
            return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})
        text = f"Unexpected path: {path}. Should be {self._metrics_path}"
        return web.Response(status=400, text=text, content_type="text/plain")

    async def _counted(self, request: web.BaseRequest, path: str) -> tuple[int, bytes]:
        """Returns status and body of an answer, after it has been counted."""
        prediction = PREDICTION.fullmatch(path) if request.method == "POST" else None
        question = STATUS.fullmatch(path) if request.method == "GET" else None
        match = prediction or question
        counters, start = self._service.metrics, time.perf_counter()
        counters.in_flight.add(id(request))
        self._running += 1
        code, status = Code.OK, 200
        try:
            body = await guarded_wait(self._answer(request, prediction, question))
        except ServingError as error:
            code = error.code
            status, body = _http_error(error)
        finally:
            self._running -= 1
            counters.in_flight.discard(id(request))
        model, api = (unquote(match["name"] or ""), prediction["verb"] if prediction else "") if match else ("", "")
        counters.answered(model, api, "REST", code, time.perf_counter() - start)
        return status, body

    async def _answer(
        self, request: web.BaseRequest, prediction: re.Match[str] | None, question: re.Match[str] | None
    ) -> bytes:
        if request.method not in METHODS:
            raise ServingError(Code.UNIMPLEMENTED, f"Not implemented: {request.method}")
        if prediction and self._running > self._max_requests:
            raise ServingError(Code.UNAVAILABLE, f"More than {self._max_requests} requests at a time.")
        self._admit(request)
        try:
            async with asyncio.timeout(self._service.limits.seconds):
                # The pattern takes the verb in any case, TF Serving's code below it does not.
                if prediction and prediction["verb"].islower():
                    return await self._infer(request, prediction)
                if question:
                    return guarded(self._describe, request, question)
        except TimeoutError:
            raise ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification") from None
        raise invalid(f"Malformed request: {request.method} {request.raw_path}")

    async def _infer(self, request: web.BaseRequest, match: re.Match[str]) -> bytes:
        spec, limit = _model_spec(match), self._service.limits.request_bytes
        if "Expect" in request.headers:
            with self._service.lease(spec):
                await bodies.invite(request, limit)
        body = await bodies.read(request, limit, self._aside)
        is_long = len(body) > LONG
        document = await self._aside.run(is_long, documents.loads, body)
        try:
            return await self._predict(request, spec, match["verb"], document, is_long)
        finally:
            if is_long:
                self._aside.let_go(document)

    async def _predict(
        self, request: web.BaseRequest, spec: model_pb2.ModelSpec, verb: str, document: Any, is_long: bool
    ) -> bytes:
        name = bodies.signature_name(document)
        if method := INFERENCE.get(verb):
            given = await self._aside.run(is_long, examples.read, document)
            with self._service.lease(spec) as (number, servable):
                request[ORIGIN] = origin(number, servable)
                signature = method.signature(servable, name, strict=self._service.strict)
                outputs = await self._run(request, servable, signature, {INPUT: given}, (spec.name, method.api))
            return await self._aside.run(len(given) > MANY, examples.write, method, outputs, len(given))
        with self._service.lease(spec) as (number, servable):
            signature = _signature(servable, name)
            request[ORIGIN] = origin(number, servable, name)
            kinds = {alias: tensor.kind for alias, tensor in signature.inputs.items()}
            rows, inputs = await self._aside.run(is_long, codec.decode_inputs, document, kinds)
            outputs = await self._run(request, servable, signature, inputs, (spec.name, "Predict"))
            if self._service.log:
                self._service.log.record(spec.name, number, servable, signature, inputs, outputs)
        return await self._aside.run(codec.is_long(outputs), codec.encode_outputs, outputs, rows)

    async def _run(
        self,
        request: web.BaseRequest,
        servable: Servable,
        signature: Signature,
        inputs: Arrays,
        label: tuple[str, str],
    ) -> Arrays:
        """Returns the outputs of a leased servable; the label is what they are counted as."""
        start = time.perf_counter()
        # The transport is gone with the connection.
        future = self._service.submit(servable, signature, inputs, lambda: request.transport is not None)
        outputs = await self._mailbox.result(future)
        self._service.metrics.ran(*label, time.perf_counter() - start)
        return outputs

    def _describe(self, asked: web.BaseRequest, match: re.Match[str]) -> bytes:
        if not match["name"]:
            raise invalid("Missing model name in request.")
        spec = _model_spec(match)
        if match["part"]:
            request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
            return metadata_json(self._service.metadata(request, lambda facts: asked.update({ORIGIN: facts})))
        # Status knows no labels: as in TF Serving, all versions are returned.
        spec.ClearField("version_label")
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        return status_json(self._service.status(request))


def _http_error(error: ServingError) -> tuple[int, bytes]:
    status = error.status if isinstance(error, bodies.BodyRefused) else http_status(error.code)
    # A message may repeat what a client sent, and that need not be Unicode.
    return status, documents.dumps({"error": error.message.encode("utf-8", "replace").decode()})


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


def _signature(servable: Servable, name: str) -> Signature:
    if name in servable.definitions and not servable.definitions[name].inputs:
        raise invalid(f"Failed to get input map for signature: {name}")
    if name in servable.signatures:
        return servable.signatures[name]
    raise invalid(f'Serving signature name: "{name}" not found in signature def')

"""A client of TF Serving, embedded or real, that needs no TensorFlow.

    with Client(grpc_port=8500, model="encoder") as client:
        client.embed(images)["embedding"]

Importing this module is cheap; the protocol's libraries come with the first client.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tenacity

from serving.status import Code, ServingError

if TYPE_CHECKING:
    import numpy as np

    from serving.tensors import Kind
    from serving.wire import Metadata, SignatureInfo, VersionStatus

REST_PORT = 8501


class Client:
    """Speaks to one model of a server.

    Requests that find no server, or one that is too busy, are repeated with growing pauses.

    Args:
        host: name or address of the server.
        rest_port: port of the REST API; 8501 where neither port is given.
        grpc_port: port of the gRPC API; preferred where both are given.
        model: name of the model.
        timeout: seconds until an answer.
        attempts: how often a request is tried in all.

    Example:
        >>> with Client(model="encoder") as client:
        ...     client.embed([open("digit.png", "rb").read()])["embedding"].shape
        (1, 10)
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
        rest_port: int | None = None,
        grpc_port: int | None = None,
        model: str = "encoder",
        timeout: float = 30.0,
        attempts: int = 4,
    ):
        self._model = model
        self._known: dict[int | None, Metadata] = {}
        if grpc_port is not None:
            from serving.grpc_transport import GrpcTransport

            self._transport = GrpcTransport(f"{host}:{grpc_port}", timeout=timeout)
        else:
            from serving.rest_transport import RestTransport

            port = REST_PORT if rest_port is None else rest_port
            self._transport = RestTransport(f"{host}:{port}", timeout=timeout)
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_unavailable),
            wait=tenacity.wait_exponential_jitter(initial=0.1, max=2.0, jitter=0.1),
            stop=tenacity.stop_after_attempt(attempts),
            reraise=True,
        )

    def predict(
        self, inputs: Any, *, signature: str = "serving_default", version: int | None = None
    ) -> dict[str, "np.ndarray"]:
        """Runs a signature.

        Args:
            inputs: a value by input name, or the value of the only input. Values are arrays or nested
                lists, rows first; strings are bytes or str.
            signature: the signature's name.
            version: version of the model, the newest by default.

        Returns:
            Arrays by output name; strings as bytes objects.

        Raises:
            ServingError: the server's refusal, or inputs that do not fit the signature.
        """
        from serving.wire import Target

        info = self._signature(signature, version)
        arrays = _arrays(inputs, signature, info)
        try:
            return self._try(self._transport.predict, Target(self._model, version, signature), arrays, info)
        except ServingError:
            # Perhaps the model has changed: the next call looks again.
            self._known.clear()
            raise

    def embed(self, inputs: Any, *, version: int | None = None) -> dict[str, "np.ndarray"]:
        """Embeds raw examples, or images from the bytes of their files.

        Args:
            inputs: a list of encoded image files as bytes; or what the signature `embed` takes: an array of
                images or vectors, or a list of values by column name.
            version: version of the model, the newest by default.

        Returns:
            `embedding` [batch, latent], `stddev` [batch, latent] and `rate` [batch] in nats.

        Raises:
            ServingError: the server's refusal, or inputs that do not fit.
        """
        files = isinstance(inputs, list | tuple) and bool(inputs) and isinstance(inputs[0], bytes)
        return self.predict(inputs, signature="embed_bytes" if files else "embed", version=version)

    def status(self) -> list["VersionStatus"]:
        """Returns the state of every version the server knows of, the newest first.

        Raises:
            ServingError: NOT_FOUND for an unknown model, UNAVAILABLE without a server.
        """
        from serving.wire import Target

        return self._try(self._transport.status, Target(self._model))

    def metadata(self, *, version: int | None = None) -> "Metadata":
        """Returns a version's number and signatures.

        Args:
            version: version of the model, the newest by default.

        Raises:
            ServingError: NOT_FOUND where it is not served, UNAVAILABLE without a server.
        """
        from serving.wire import Target

        return self._try(self._transport.metadata, Target(self._model, version))

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _signature(self, name: str, version: int | None) -> "SignatureInfo":
        if version not in self._known:
            self._known[version] = self.metadata(version=version)
        signatures = self._known[version].signatures
        if name not in signatures:
            self._known.clear()
            raise _unfit(f"model {self._model} has no signature {name}; it has {', '.join(sorted(signatures))}.")
        return signatures[name]

    def _try(self, function: Any, *args: Any) -> Any:
        return self._retrying(function, *args)


def _is_unavailable(error: BaseException) -> bool:
    return isinstance(error, ServingError) and error.code is Code.UNAVAILABLE


def _arrays(inputs: Any, signature: str, info: "SignatureInfo") -> dict[str, "np.ndarray"]:
    if not isinstance(inputs, Mapping):
        if len(info.inputs) != 1:
            raise _unfit(f"signature {signature} has several inputs, by name: {', '.join(info.inputs)}.")
        inputs = {next(iter(info.inputs)): inputs}
    if inputs.keys() != info.inputs.keys():
        raise _unfit(f"signature {signature} takes {', '.join(info.inputs)}. Received: {', '.join(map(str, inputs))}.")
    return {alias: _array(alias, inputs[alias], tensor.kind) for alias, tensor in info.inputs.items()}


def _array(alias: str, value: Any, kind: "Kind") -> "np.ndarray":
    """Returns a value as an array of a type, refusing what the type cannot hold."""
    import numpy as np

    if kind.name == "string":
        return _strings(alias, np.array(value, np.object_))
    try:
        given = np.asarray(value)
    except ValueError as error:
        raise _unfit(f"input {alias} is not an array: {error}.") from None
    with np.errstate(invalid="ignore", over="ignore"):
        array = given.astype(kind.numpy, order="C") if given.dtype.kind in "biuf" else None
    # Floats may lose digits, as everywhere; integers must be what was given.
    if array is None or (kind.numpy.kind != "f" and not np.array_equal(array, given)):
        raise _unfit(f"input {alias} takes values of type {kind.name}. Received: {given.dtype} values that do not fit.")
    return array


def _strings(alias: str, array: "np.ndarray") -> "np.ndarray":
    import numpy as np

    flat = [value.encode() if isinstance(value, str) else value for value in array.ravel().tolist()]
    if not all(isinstance(value, bytes) for value in flat):
        raise _unfit(f"input {alias} takes bytes or str.")
    return np.array(flat, np.object_).reshape(array.shape)


def _unfit(message: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, message)

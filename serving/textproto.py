"""The configuration files of TF Serving: protocol buffers as text.

Four of their message types are missing from tensorflow-serving-api. They are built here under their real names,
in a pool of their own, so that one file feeds this server and TF Serving's. Reading them imports no TensorFlow.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message

from serving.status import Code, ServingError, invalid

M = TypeVar("M", bound=Message)

FIELD = descriptor_pb2.FieldDescriptorProto
PACKAGE = "tensorflow.serving"
SCALARS = {"int64": FIELD.TYPE_INT64, "string": FIELD.TYPE_STRING, "bool": FIELD.TYPE_BOOL}
METRICS_PATH = "/monitoring/prometheus/metrics"

# Name, number and type of every field; "*" repeats it.
MESSAGES = {
    "BatchingParameters": (
        "max_batch_size 1 .google.protobuf.Int64Value, batch_timeout_micros 2 .google.protobuf.Int64Value, "
        "max_enqueued_batches 3 .google.protobuf.Int64Value, num_batch_threads 4 .google.protobuf.Int64Value, "
        "thread_pool_name 5 .google.protobuf.StringValue, allowed_batch_sizes 6 *int64, "
        "pad_variable_length_inputs 7 bool, enable_large_batch_splitting 8 .google.protobuf.BoolValue, "
        "max_execution_batch_size 9 .google.protobuf.Int64Value"
    ),
    "PrometheusConfig": "enable 1 bool, path 2 string",
    "MonitoringConfig": "prometheus_config 1 .tensorflow.serving.PrometheusConfig",
    "SSLConfig": "server_key 1 string, server_cert 2 string, custom_ca 3 string, client_verify 4 bool",
}


@dataclass(frozen=True)
class BatchingParameters:
    """How TF Serving batches requests; a field that the file lacks has TF Serving's default.

    Attributes:
        max_batch_size: most rows of a batch, and of a request unless it is split.
        batch_timeout_micros: longest wait of a request for others, in microseconds.
        max_enqueued_batches: how many batches may wait; times max_batch_size it is the most requests that wait.
        num_batch_threads: batches run at a time.
        allowed_batch_sizes: numbers of rows that a batch is padded up to; none pads nothing.
        pad_variable_length_inputs: whether inputs of different shapes are padded to one.
        enable_large_batch_splitting: whether a request larger than `max_batch_size` is split instead of refused.
        max_execution_batch_size: most rows of one run; differs from `max_batch_size` only with splitting.
        thread_pool_name: the batching threads' name in the metrics.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 1000
    thread_pool_name: str = ""


@dataclass(frozen=True)
class MonitoringConfig:
    """Where Prometheus reads the metrics.

    Attributes:
        enable: whether it may.
        path: path on the REST port.
    """

    enable: bool = False
    path: str = METRICS_PATH


@dataclass(frozen=True)
class SSLConfig:
    """Keys and certificates of the gRPC port, as PEM text.

    Attributes:
        server_key: the server's private key.
        server_cert: the server's certificate, with its chain.
        custom_ca: certificates of the authorities that sign clients' certificates.
        client_verify: whether a client must have a certificate.
    """

    server_key: str
    server_cert: str
    custom_ca: str = ""
    client_verify: bool = False


def parse(path: Path, message: M, *, is_secret: bool = False) -> M:
    """Reads a text file into a message.

    Args:
        path: the file.
        message: an empty message of the type that the file holds.
        is_secret: whether errors must not repeat what is in the file: one of another kind may have been named.

    Returns:
        The message.

    Raises:
        ServingError: NOT_FOUND for a file that cannot be read, INVALID_ARGUMENT for one that does not parse.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise ServingError(Code.NOT_FOUND, f"Could not read '{path}': {error.strerror}.") from None
    except UnicodeDecodeError:
        raise invalid(f"Invalid protobuf file: '{path}': it is not UTF-8 text.") from None
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        place = f"line {error.GetLine()}: it is not an {message.DESCRIPTOR.name}." if is_secret else _place(error)
        raise invalid(f"Invalid protobuf file: '{path}', {place}") from None


def read_batching(path: Path) -> BatchingParameters:
    """Reads a file of BatchingParameters.

    Args:
        path: the file, as of `--batching_parameters_file`.

    Raises:
        ServingError: the file cannot be read, or holds what batching cannot do.
    """
    message = parse(path, _new("BatchingParameters"))
    given = {field.name: _value(field, value) for field, value in message.ListFields()}
    parameters = replace(BatchingParameters(), **given)
    if not (parameters.enable_large_batch_splitting and "max_execution_batch_size" in given):
        parameters = replace(parameters, max_execution_batch_size=parameters.max_batch_size)
    _check(path, parameters)
    return parameters


def read_monitoring(path: Path) -> MonitoringConfig:
    """Reads a file of MonitoringConfig.

    Args:
        path: the file, as of `--monitoring_config_file`.

    Raises:
        ServingError: the file cannot be read, or the path in it does not begin with a slash.
    """
    config = parse(path, _new("MonitoringConfig")).prometheus_config
    monitoring = MonitoringConfig(enable=config.enable, path=config.path or METRICS_PATH)
    if not monitoring.path.startswith("/"):
        raise invalid(f"Invalid protobuf file: '{path}': path must begin with /. Received: {monitoring.path}.")
    return monitoring


def read_ssl(path: Path) -> SSLConfig:
    """Reads a file of SSLConfig.

    Args:
        path: the file, as of `--ssl_config_file`.

    Raises:
        ServingError: the file cannot be read, or lacks what the server needs.
    """
    message = parse(path, _new("SSLConfig"), is_secret=True)
    needed = ["server_key", "server_cert", *(["custom_ca"] if message.client_verify else [])]
    for name in needed:
        if "-----BEGIN " not in getattr(message, name):
            raise invalid(f"Invalid protobuf file: '{path}': {name} must hold PEM text, not a path.")
    return SSLConfig(**{field.name: value for field, value in message.ListFields()})


def _check(path: Path, parameters: BatchingParameters) -> None:
    sizes, largest = parameters.allowed_batch_sizes, parameters.max_execution_batch_size
    least = {"max_batch_size": 1, "batch_timeout_micros": 0, "max_enqueued_batches": 1, "num_batch_threads": 1}
    for name, low in least.items():
        if (value := getattr(parameters, name)) < low:
            raise invalid(f"Invalid protobuf file: '{path}': {name} must be at least {low}. Received: {value}.")
    if not 0 < largest <= parameters.max_batch_size:
        raise invalid(f"Invalid protobuf file: '{path}': max_execution_batch_size must be 1 to max_batch_size.")
    if sizes and (sizes[0] < 1 or any(a >= b for a, b in zip(sizes, sizes[1:], strict=False))):
        raise invalid(f"Invalid protobuf file: '{path}': allowed_batch_sizes entries must be monotonically increasing")
    if sizes and sizes[-1] != largest:
        name = "max_execution_batch_size" if parameters.enable_large_batch_splitting else "max_batch_size"
        raise invalid(
            f"Invalid protobuf file: '{path}': Last entry in allowed_batch_sizes must match {name}; last entry was "
            f"{sizes[-1]}; expected {largest}"
        )


def _value(field: Any, value: Any) -> Any:
    if field.message_type:
        return value.value
    return value if isinstance(value, bool) else tuple(value)


def _place(error: text_format.ParseError) -> str:
    line, column = error.GetLine(), error.GetColumn()
    reason = str(error).removeprefix(f"{line}:{column} : ")
    return f"line {line}, column {column}: {reason}"


def _build() -> dict[str, type]:
    file = descriptor_pb2.FileDescriptorProto(name="serving/textproto.proto", package=PACKAGE, syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for text in fields.split(", "):
            _add_field(message, *text.split())
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in MESSAGES}


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, number: str, kind: str) -> None:
    field = message.field.add(name=name, number=int(number))
    field.label = FIELD.LABEL_REPEATED if kind.startswith("*") else FIELD.LABEL_OPTIONAL
    kind = kind.removeprefix("*")
    if kind in SCALARS:
        field.type = SCALARS[kind]
    else:
        field.type, field.type_name = FIELD.TYPE_MESSAGE, kind


def _new(name: str) -> Any:
    return _CLASSES[name]()


_CLASSES = _build()

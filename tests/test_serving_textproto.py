"""TF Serving's configuration files: what they hold, and one line for what is wrong with them."""

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.status import ServingError
from serving.textproto import (
    BatchingParameters,
    MonitoringConfig,
    SSLConfig,
    parse,
    read_batching,
    read_monitoring,
    read_ssl,
)

KEY, CERT = "-----BEGIN PRIVATE KEY-----\nA\n", "-----BEGIN CERTIFICATE-----\nB\n"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "file.txt"


def refusal(read, file, text):
    file.write_text(text)
    with pytest.raises(ServingError) as caught:
        read(file)
    return str(caught.value)


def test_batching_parameters_have_tf_servings_fields_and_defaults(file):
    file.write_text("")
    assert read_batching(file) == BatchingParameters()
    file.write_text(
        """
        max_batch_size { value: 128 } batch_timeout_micros { value: 1000 } max_enqueued_batches { value: 100 }
        num_batch_threads { value: 8 } thread_pool_name { value: "x" }  # a comment
        allowed_batch_sizes: 32 allowed_batch_sizes: 64 pad_variable_length_inputs: true
        enable_large_batch_splitting { value: true } max_execution_batch_size { value: 64 }
        """
    )
    assert read_batching(file) == BatchingParameters(
        max_batch_size=128,
        batch_timeout_micros=1000,
        max_enqueued_batches=100,
        num_batch_threads=8,
        allowed_batch_sizes=(32, 64),
        pad_variable_length_inputs=True,
        enable_large_batch_splitting=True,
        max_execution_batch_size=64,
        thread_pool_name="x",
    )
    file.write_text("max_batch_size { value: 16 } max_execution_batch_size { value: 4 }")
    assert read_batching(file).max_execution_batch_size == 16, "it has a meaning only with splitting"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("max_batch_size: 3", ", line 1, column 17: 'max_batch_size: 3': Expected"),
        ("\n bogus: 3", ', line 2, column 2: Message type "tensorflow.serving.BatchingParameters" has no field named'),
        ("max_batch_size { value: 0 }", ": max_batch_size must be at least 1. Received: 0."),
        ("num_batch_threads { value: -1 }", ": num_batch_threads must be at least 1. Received: -1."),
        ("allowed_batch_sizes: 8 allowed_batch_sizes: 8", ": allowed_batch_sizes entries must be monotonically incr"),
        (
            "allowed_batch_sizes: 8",
            ": Last entry in allowed_batch_sizes must match max_batch_size; last entry was 8; expected 1000",
        ),
        (
            "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 1001 }",
            ": max_execution_batch_size must be 1 to max_batch_size.",
        ),
    ],
)
def test_batching_parameters_are_refused_with_the_place(file, text, reason):
    message = f"INVALID_ARGUMENT: Invalid protobuf file: '{file}'{reason}"
    assert refusal(read_batching, file, text)[: len(message)] == message


def test_monitoring_names_the_path(file):
    file.write_text("prometheus_config { enable: true }")
    assert read_monitoring(file) == MonitoringConfig(enable=True, path="/monitoring/prometheus/metrics")
    file.write_text('prometheus_config { path: "/m" }')
    assert read_monitoring(file) == MonitoringConfig(enable=False, path="/m")
    assert refusal(read_monitoring, file, "prometheus_config { path: 'm' }") == (
        f"INVALID_ARGUMENT: Invalid protobuf file: '{file}': path must begin with /. Received: m."
    )


def test_keys_are_text_not_paths(file):
    pair = f"server_key: {KEY!r} server_cert: {CERT!r}"
    file.write_text(pair)
    assert read_ssl(file) == SSLConfig(KEY, CERT)
    begin = f"INVALID_ARGUMENT: Invalid protobuf file: '{file}': "
    assert refusal(read_ssl, file, "server_key: '/etc/key.pem'") == begin + "server_key must hold PEM text, not a path."
    assert refusal(read_ssl, file, f"{pair} client_verify: true") == begin + "custom_ca must hold PEM text, not a path."


def test_a_file_of_keys_that_is_something_else_is_not_repeated(file):
    for secret in ("0123456789abcdef0123", "server_key: 0123456789abcdef0123", f"server_key: {KEY!r} 0123456789abcdef"):
        told = refusal(read_ssl, file, secret)
        assert told == f"INVALID_ARGUMENT: Invalid protobuf file: '{file}', line 1: it is not an SSLConfig."


def test_files_that_cannot_be_read_are_told(file):
    with pytest.raises(ServingError, match=f"^NOT_FOUND: Could not read '{file}': No such file or directory.$"):
        read_batching(file)
    file.write_bytes(b"\xff")
    with pytest.raises(ServingError, match=f"^INVALID_ARGUMENT: Invalid protobuf file: '{file}': it is not UTF-8"):
        read_batching(file)


def test_the_pool_is_private(file):
    """Messages of the wheel are read by the same function, and its own names stay free."""
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(name="m", base_path="/m")
    file.write_text(text_format.MessageToString(config))
    assert parse(file, model_server_config_pb2.ModelServerConfig()) == config

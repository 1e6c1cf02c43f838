"""The command line takes TF Serving's flags, in its spellings, and refuses by name what it cannot follow."""

import re
from pathlib import Path

import pytest

from serving import flags, server
from serving.options import NO_MODEL, Options

BASE = "--model_base_path=/models/toy"


def read(*arguments):
    """Returns the options that a command line amounts to."""
    with server.command.make_context("serving.server", [BASE, *arguments]) as context:
        return flags.options(context.params)


def refusal(capsys, *arguments):
    """Returns exit code and the one line of a command line that is refused."""
    code = server.main(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    return code, line


def test_defaults_are_tf_servings():
    options = read()
    assert (options.model_name, options.model_base_path) == ("default", Path("/models/toy"))
    assert (options.port, options.rest_api_port, options.rest_api_timeout_in_ms) == (8500, 0, 30_000)
    assert (options.max_num_load_retries, options.load_retry_interval_micros) == (5, 60_000_000)
    assert (options.file_system_poll_wait_seconds, options.saved_model_tags) == (1.0, "serve")
    assert options.enable_model_warmup
    off = ["enable_grpc_healthcheck_service", "xla_cpu_compilation_enabled", "rest_api_enable_cors_support"]
    off += ["enable_signature_method_name_check", "enable_serialization_as_tensor_content"]
    assert not any(getattr(options, name) for name in off)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--port=1", "--rest_api_port=2"], {"port": 1, "rest_api_port": 2}),
        (["--port", "1", "--rest_api_port", "any"], {"port": 1, "rest_api_port": "any"}),
        (["--enable_batching", "--port", "1"], {"enable_batching": True, "port": 1}),
        (["--enable_batching=true"], {"enable_batching": True}),
        (["--enable_batching=false"], {"enable_batching": False}),
        (["--enable_model_warmup", "false"], {"enable_model_warmup": False}),
        (["--ssl_config_file=", "--grpc_socket_path="], {"ssl_config_file": None, "grpc_socket_path": ""}),
        (["--tensorflow_session_parallelism=3"], {"threads": (3, 3)}),
        (["--tensorflow_inter_op_parallelism=2"], {"threads": (0, 2)}),
        (["--grpc_channel_arguments=grpc.a=1,grpc.b=x"], {"channel_arguments": [("grpc.a", 1), ("grpc.b", "x")]}),
        (["--saved_model_tags=serve,tpu"], {"tags": ("serve", "tpu")}),
        (["--rest_api_num_threads=8", "--num_unload_threads=1", "--flush_filesystem_caches=false"], {}),
        (["--prefer_tflite_model=false", "--per_process_gpu_memory_fraction=0", "--platform_config_file="], {}),
    ],
)
def test_values_are_given_in_tf_servings_spellings(arguments, expected):
    options = read(*arguments)
    assert {name: getattr(options, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], f"error: {NO_MODEL}"),
        ([BASE, "--bogus=1"], "error: No such option '--bogus'."),
        ([BASE, "--port=-3"], "error: --port: Input should be greater than or equal to 0. Received: -3"),
        ([BASE, "--enable_batching=maybe"], "error: --enable_batching: Input should be a valid boolean, unable to"),
        ([BASE, "--port=0"], "error: There is no port to serve on. Set port or rest_api_port; any takes a free one."),
        ([BASE, "--rest_api_port=8500"], "error: rest_api_port must differ from port."),
        ([BASE, "--batching_parameters_file=x"], "error: batching_parameters_file needs enable_batching."),
        (
            [BASE, "--tensorflow_session_parallelism=1", "--tensorflow_intra_op_parallelism=1"],
            "error: tensorflow_session_parallelism excludes tensorflow_intra_op_parallelism and tensorflow_inter_op",
        ),
        ([BASE, "--grpc_channel_arguments=x"], "error: grpc_channel_arguments must be k=v,k=v. Received: x."),
        (
            [BASE, "--prefer_tflite_model"],
            "error: --prefer_tflite_model is not supported here: only SavedModels are served. Leave it out.",
        ),
        (
            [BASE, "--per_process_gpu_memory_fraction=0.5"],
            "error: --per_process_gpu_memory_fraction is not supported here: TensorFlow decides how much memory it",
        ),
        (
            [BASE, "--platform_config_file=x"],
            "error: --platform_config_file is not supported here: there is one platform, and flags configure it.",
        ),
    ],
)
def test_what_it_cannot_follow_is_refused_in_one_line(capsys, arguments, line):
    code, found = refusal(capsys, *arguments)
    assert (code, found[: len(line)]) == (2, line)


def test_every_refused_flag_has_a_default_that_is_taken():
    given = [f"--{name}={str(default).lower()}" for name, (default, _) in flags.REFUSED.items()]
    assert read(*given) == read()
    assert not flags.REFUSED.keys() & Options.model_fields.keys()


def test_a_server_that_cannot_start_says_so_as_tf_serving_does(capsys):
    assert refusal(capsys, "--model_base_path=/nowhere", "--xla_cpu_compilation_enabled") == (
        1,
        "Failed to start server. Error: NOT_FOUND: Could not find base path /nowhere. Create it or correct it.",
    )
    assert refusal(capsys, "--model_config_file=/nowhere", "--xla_cpu_compilation_enabled") == (
        1,
        "Failed to start server. Error: NOT_FOUND: Could not read '/nowhere': No such file or directory.",
    )


def test_the_help_names_every_flag_that_is_not_refused(capsys):
    assert server.main(["--help"]) == 0
    named = set(re.findall(r"^  --(\w+)", capsys.readouterr().out, re.MULTILINE))
    assert named == Options.model_fields.keys() | flags.WITHOUT_EFFECT.keys() | {"help", "version"}


def test_the_version_names_both_halves(capsys):
    assert server.main(["--version"]) == 0
    assert re.fullmatch(r"metaprior [\d.]+, TensorFlow [\d.]+\n", capsys.readouterr().out)

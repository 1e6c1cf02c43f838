"""The command line: TF Serving's flags, by their names.

Values are given as `--flag=value` or `--flag value`; a switch may stand alone. A flag that changes nothing here is
accepted, one that this server cannot follow is refused unless it has its default value.
"""

import importlib.metadata
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args

import click
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from serving.options import Options

# Of these, any value will do.
WITHOUT_EFFECT: dict[str, tuple[Any, str]] = {
    "rest_api_num_threads": (0, "one event loop reads every request; max_requests limits them"),
    "num_unload_threads": (0, "unloading keeps nobody waiting"),
    "flush_filesystem_caches": (True, "local files have no cache of TensorFlow's"),
    "enable_profiler": (True, "there is no profiler service"),
}
# Of these, only the default will do.
REFUSED: dict[str, tuple[Any, str]] = {
    "enable_per_model_batching_parameters": (False, "batching is configured for all models together"),
    "mixed_precision": ("", "a model runs in the precision it was exported with"),
    "per_process_gpu_memory_fraction": (0.0, "TensorFlow decides how much memory it takes"),
    "platform_config_file": ("", "there is one platform, and flags configure it"),
    "prefer_tflite_model": (False, "only SavedModels are served"),
    "tensorflow_session_config_file": ("", "sessions are configured by the tensorflow_* flags"),
    "thread_pool_factory_config_file": ("", "TensorFlow's own thread pools are used"),
    "xla_gpu_compilation_enabled": (False, "XLA is switched on by xla_cpu_compilation_enabled"),
}


def add(command: Any, *, without: Collection[str] = (), hidden: bool = False) -> Any:
    """Gives a click command one flag for each field of Options, and the flags that only TF Serving has.

    Args:
        command: takes the values by name, as strings, None for what was not given.
        without: fields that the command has options of its own for.
        hidden: whether its help is silent about them.
    """
    for name, (default, reason) in reversed((REFUSED | WITHOUT_EFFECT).items()):
        refused = name in REFUSED
        kind: dict[str, Any] = {"type": type(default), "expose_value": False, **_switch(type(default) is bool)}
        kind |= {"callback": _refuse(default, reason)} if refused else {"help": f"Changes nothing: {reason}."}
        command = click.option(f"--{name}", hidden=hidden or refused, **kind)(command)
    for name, field in reversed(Options.model_fields.items()):
        if name not in without:
            command = click.option(f"--{name}", help=_help(field), hidden=hidden, **_switch(_is_switch(field)))(command)
    return command


def options(values: Mapping[str, Any]) -> Options:
    """Makes Options of a command's values; what was not given has its default.

    Args:
        values: by name, None for what was not given.

    Raises:
        click.UsageError: a value does not fit; one line that names its flag.
    """
    try:
        return Options.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if first["loc"]:
            message = f"--{first['loc'][0]}: {message}. Received: {first['input']}"
        raise click.UsageError(message) from None


def version() -> str:
    """Returns the versions of this server and of its TensorFlow, without importing it."""
    ours, theirs = (importlib.metadata.version(name) for name in ("metaprior", "tensorflow"))
    return f"metaprior {ours}, TensorFlow {theirs}"


def _switch(is_switch: bool) -> dict[str, Any]:
    return {"is_flag": False, "flag_value": "true"} if is_switch else {}


def _is_switch(field: FieldInfo) -> bool:
    kind = field.annotation
    return kind is bool or (isinstance(kind, types.UnionType) and bool in get_args(kind))


def _help(field: FieldInfo) -> str:
    text = field.description or ""
    return text if field.default in (None, "") else f"{text}  [default: {_written(field.default)}]"


def _written(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def _refuse(default: Any, reason: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def check(_: click.Context, flag: click.Parameter, value: Any) -> None:
        if value is not None and value != default:
            raise click.UsageError(f"--{flag.name} is not supported here: {reason}. Leave it out.")

    return check

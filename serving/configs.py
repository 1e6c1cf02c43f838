"""Which models are served, from where, in which versions, under which labels."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tensorflow_serving.config import model_server_config_pb2

from serving.status import Code, ServingError, invalid
from serving.textproto import parse

PLATFORM = "tensorflow"


@dataclass(frozen=True)
class Policy:
    """Which of the versions that are there are to be served.

    Attributes:
        most: how many of the newest that load; None for all.
        only: the versions that may be served at all; None for all.
    """

    most: int | None = 1
    only: frozenset[int] | None = None

    def candidates(self, found: Iterable[int]) -> list[int]:
        """Returns the versions that may be served, the newest first."""
        return sorted((n for n in found if self.only is None or n in self.only), reverse=True)


NOTHING = Policy(only=frozenset())


@dataclass(frozen=True)
class ModelConfig:
    """One model of a server.

    Attributes:
        name: the name clients ask for.
        base_path: folder of the version folders.
        policy: which versions are served.
        labels: versions by the labels that clients may ask for.
    """

    name: str
    base_path: Path
    policy: Policy = Policy()
    labels: Mapping[str, int] = field(default_factory=dict)


def read(path: Path) -> model_server_config_pb2.ModelServerConfig:
    """Reads a file of ModelServerConfig.

    Args:
        path: the file, as of `--model_config_file`.

    Raises:
        ServingError: the file cannot be read or does not parse.
    """
    return parse(path, model_server_config_pb2.ModelServerConfig())


def models(config: model_server_config_pb2.ModelServerConfig, known: Collection[str] = ()) -> list[ModelConfig]:
    """Checks a configuration as TF Serving does.

    Args:
        config: what the server is to serve.
        known: names of the models that it serves already.

    Returns:
        A ModelConfig for each model.

    Raises:
        ServingError: INVALID_ARGUMENT in TF Serving's words.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise invalid(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported"
        )
    listed = config.model_config_list.config
    names: set[str] = set()
    for model in listed:
        if model.name in names:
            raise invalid(f"Illegal to list model {model.name} multiple times in config list")
        names.add(model.name)
    return [_model(model, known) for model in listed]


def _model(model: Any, known: Collection[str]) -> ModelConfig:
    if not model.name:
        raise invalid("A model of the config list has no name.")
    _check_platform(model, known)
    if model.HasField("logging_config"):
        raise invalid(
            f"No request-logger-creator provided. Take logging_config from model {model.name}; the server's own "
            "request_log_folder logs requests."
        )
    return ModelConfig(model.name, _base_path(model), _policy(model), dict(model.version_labels))


def _check_platform(model: Any, known: Collection[str]) -> None:
    # The deprecated type is a number: 1 is TensorFlow.
    if model.model_type and model.model_platform:
        raise invalid(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform, "
            f"model name is {model.name}"
        )
    if not model.model_type and not model.model_platform:
        raise invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            f"model name is {model.name}"
        )
    platform = model.model_platform or (PLATFORM if model.model_type == 1 else "other")
    if platform != PLATFORM and model.name in known:
        raise invalid(
            f"Illegal to change a model's platform. For model {model.name} platform was {PLATFORM} and new platform "
            f"requested is {platform}"
        )
    if platform != PLATFORM:
        raise invalid(f"Model {model.name} requests unsupported platform {platform}")


def local(name: str, base_path: str) -> Path:
    """Returns the path that a base path or file: URI stands for.

    Args:
        name: the model's name.
        base_path: as the user has written it.

    Raises:
        ServingError: INVALID_ARGUMENT, it is a URI of another kind.
    """
    try:
        uri = urlsplit(base_path)
    except ValueError:  # such as gs://[, which is no address
        return Path(base_path)
    if not base_path.lower().startswith(f"{uri.scheme}:/"):
        return Path(base_path)
    if uri.scheme != "file":
        # What has been a Path has lost a slash.
        written = base_path if "://" in base_path else base_path.replace(":/", "://", 1)
        raise invalid(f"Model {name}: {written} is not on a local file system; mount it.")
    return Path(uri.path)


def _base_path(model: Any) -> Path:
    path = local(model.name, model.base_path)
    if not path.is_absolute():
        raise invalid(f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}")
    return path


def _policy(model: Any) -> Policy:
    policy = model.model_version_policy
    chosen = policy.WhichOneof("policy_choice")
    if chosen == "all":
        return Policy(most=None)
    if chosen == "specific":
        return Policy(most=None, only=frozenset(policy.specific.versions))
    # TF Serving reads a number of zero as one, too.
    return Policy(most=max(policy.latest.num_versions, 1))


def require_folder(config: ModelConfig) -> None:
    """Refuses a model without a folder: waiting for its versions would have no end.

    Raises:
        ServingError: NOT_FOUND.
    """
    # Not the path's own method, which raises for a name that no file system takes.
    if not os.path.isdir(config.base_path):
        raise ServingError(Code.NOT_FOUND, f"Could not find base path {config.base_path}. Create it or correct it.")

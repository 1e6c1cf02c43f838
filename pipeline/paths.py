"""Where a run keeps its things: one folder per pipeline."""

from pathlib import Path

from pipeline.config import Config


def root(config: Config) -> Path:
    """Returns the pipeline's folder, absolute: `<output>/<name>`."""
    return (config.output / config.name).resolve()


def metadata(config: Config) -> Path:
    """Returns the path of the pipeline's ML Metadata store (SQLite)."""
    return root(config) / "metadata.sqlite"


def serving(config: Config) -> Path:
    """Returns the folder of the served model's versions, absolute: TF Serving's base path."""
    base = config.serving.path or root(config) / "serving"
    return (base / config.serving.model).resolve()


def checkpoints(config: Config) -> Path:
    """Returns the folder that holds the checkpoints of an unfinished training."""
    return root(config) / "checkpoints"


def trainings(config: Config) -> Path:
    """Returns the folder that holds TensorBoard's files of every training, a folder each."""
    return root(config) / "Trainer" / "model_run"


def schemas(config: Config) -> Path:
    """Returns the folder of the user's own schemas, as runs took them."""
    return root(config) / "schemas"


def logs(config: Config) -> Path:
    """Returns the folder of the runs' log files."""
    return root(config) / "logs"

"""Whether the data has what every configuration of a sweep needs."""

from models.errors import InputError
from pipeline import preflight
from pipeline.config import Config
from pipeline.ingestion.source import Description
from pipeline.sweep import grid


def check(config: Config) -> Description:
    """Returns what the data is, where every configuration of a sweep fits it; loads nothing heavy.

    Raises:
        InputError: if the data cannot be used, or a configuration asks for what it has not.
    """
    source = preflight.look(config)
    for arm in grid.arms(config):
        try:
            preflight.fits(grid.run_of(config, grid.Trial(arm, config.seed, 0, config.training.epochs)), source)
        except InputError as error:
            raise InputError(f"sweep.recipes: {arm.name}: {error}") from None
    metric, description = grid.usefulness(config), source.describe()
    if metric.startswith("probe/") and description.spec.label is None:
        raise InputError(
            f"sweep.usefulness: {metric} needs a label, and {config.data.source} has none. Name one with data.label, "
            "or another metric, such as active_units."
        )
    return description

"""The last look before a run: the data is opened and described, and the configuration held against it."""

from components.serving_check import servers
from models import recipes
from models.errors import InputError
from models.features.beside import slice_columns
from models.recipes import needs, units
from models.recipes.choices import likelihood_for, network_for
from pipeline import offers, rules, schema
from pipeline.config import Config
from pipeline.ingestion.kinds import open_source
from pipeline.ingestion.source import Description, Source, suggestion


def check(config: Config) -> Description:
    """Returns what the data is; reads as little of it as that takes, and loads nothing heavy.

    Args:
        config: the run's configuration.

    Raises:
        InputError: if the data cannot be used, or the configuration asks for what this data or this machine has not.
    """
    servers.choose(config.serving.validate_with)
    return fits(config, look(config))


def fits(config: Config, source: Source) -> Description:
    """Returns what the data is, where a configuration fits it.

    Args:
        config: the run's configuration.
        source: its data, looked at.

    Raises:
        InputError: if the configuration asks for what this data has not.
    """
    description = source.describe()
    _recipe(config, source)
    parameters = recipes.validate(config.model.recipe, config.model.parameters)
    units.check(description.spec.factors, config.model.latent, parameters)
    network_for(description.spec, config.model.network)
    likelihood_for(description.spec, config.model.likelihood)
    if description.spec.label is None:
        _without_label(config)
    return description


def look(config: Config) -> Source:
    """Returns the opened and described source of a configuration.

    Raises:
        InputError: if the data cannot be used as configured.
    """
    source = open_source(config.data, seed=config.seed)
    unsuited = list(rules.unsuited(config.data, source.kind))
    if unsuited:
        raise InputError("\n".join(unsuited))
    if config.data.schema_path is not None:
        schema.read(config.data.schema_path)
    _slices(config, source.describe())
    return source


def _slices(config: Config, description: Description) -> None:
    known = slice_columns(description.spec)
    for name in config.evaluation.slices:
        if name not in known:
            hint = suggestion(name, known) if known else "Leave it out."
            raise InputError(
                f"evaluation.slices: {description.name} has no column {name!r} of one value an example among its "
                f"inputs, label, sensitive attribute, factors and targets. {hint}"
            )


def in_words(description: Description) -> str:
    """Returns what the data is, for the head of a run."""
    spec = description.spec
    size = " x ".join(str(side) for side in spec.shape)
    count = f"{description.count:,} " if description.count is not None else ""
    what = {
        "image": f"images of {size}",
        "vector": f"vectors of {size} values",
        "table": f"rows of {size} columns",
    }
    label = f", labeled by {spec.label}" if spec.label else ", without a label"
    targets = "".join(f", {target.name} to predict ({target.kind})" for target in spec.targets)
    return f"{description.name}: {count}{what[spec.kind]}{label}{targets}"


def _recipe(config: Config, source: Source) -> None:
    recipe = recipes.find(config.model.recipe)
    for role in needs.missing(recipe.needs, source.spec):
        raise InputError(f"model.recipe: `{recipe.name}` needs {needs.ROLES[role]}. {offers.advice(source, role)}")


def _without_label(config: Config) -> None:
    for metric in config.evaluation.bless:
        if metric.startswith("probe/"):
            raise InputError(
                f"evaluation.bless.{metric}: a probe needs a label, and {config.data.source} has none. Name one "
                "with data.label, or leave the bound out."
            )

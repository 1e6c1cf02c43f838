"""`metaprior run`: the main job."""

import click

from pipeline.cli import options

EXAMPLES = """\b
Examples:
  metaprior run --config configs/digits.yaml
  metaprior run --data photos/ --model vae --set training.epochs=20
"""


@click.command("run", epilog=EXAMPLES)
@options.configuration
def command(path: str | None, **flags) -> int:
    """Turn data into a measured and, if it meets its bounds, served encoder.

    Everything is checked first. What an earlier run did already is taken from its cache; a run that was
    killed resumes where it was. Flags win over the file, and --set over the other flags; a --model other
    than the file's takes its own parameters' defaults. With choose.task, the model is the one that the
    frontier of the sweep of the same name gives.
    """
    if path is None and flags["data"] is None and not flags["sets"]:
        raise click.UsageError("give --config FILE or --data PATH.", click.get_current_context())

    from pipeline import loading

    config = loading.load(path, **flags)
    if config.choose.task is not None:
        config = _chosen(config, flags)

    from pipeline import preflight

    description = preflight.check(config)

    from pipeline import show

    return show.run(config, heading=show.heading(config, description))


TAKEN = ("seed", "training.epochs", "model", "model.recipe", "model.latent", "model.parameters")
PARAMETERS = "model.parameters."


def _chosen(config, flags):
    """Returns the configuration with the model that the sweep's frontier gives, and says which."""
    from models.errors import InputError
    from pipeline import loading
    from pipeline.sweep import choose

    if flags["model"] is not None:
        raise InputError("--model: choose.task takes the model from the frontier. Leave one of them out.")
    for pair in flags["sets"]:
        key = next((key for key in loading.keys_of(*pair) if key in TAKEN or key.startswith(PARAMETERS)), None)
        if key is not None:
            raise InputError(f"--set {key}: choose.task takes it from the frontier. Leave one of them out.")
    config, lines = choose.chosen(config)
    click.echo("\n".join([*lines, ""]))
    return config

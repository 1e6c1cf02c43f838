"""`metaprior sweep`: recipes side by side, and the frontier they make."""

import click

from pipeline.cli import options

EXAMPLES = """\b
Examples:
  metaprior sweep --config configs/digits_sweep.yaml
  metaprior sweep --config configs/digits_sweep.yaml --set sweep.minutes=60 --set sweep.jobs=2
"""


@click.command("sweep", epilog=EXAMPLES)
@options.data
def command(path: str | None, **flags) -> int:
    """Train recipes side by side and lay out what rate, distortion and usefulness they trade for one another.

    The configuration is a run's, with a section `sweep`: recipes and their parameters, latents, seeds, minutes.
    Configurations that do worse stop early. The same command goes on where an earlier one ended, however it
    ended. `metaprior choose` names the encoder to take.
    """
    if path is None and flags["data"] is None and not flags["sets"]:
        raise click.UsageError("give --config FILE with a section `sweep`.", click.get_current_context())

    from pipeline import loading
    from pipeline.sweep import grid

    config = loading.load(path, **flags)
    grid.check(config)

    from pipeline import preflight
    from pipeline.sweep import fit

    description = fit.check(config)

    from pipeline.sweep import run

    return run.run(config, description, heading=heading(grid, config, preflight.in_words(description)))


def heading(grid, config, data: str) -> str:
    """Returns the first line: how much there is to try."""
    arms = len(grid.arms(config))
    seeds, epochs = config.sweep.seeds, ", ".join(str(epochs) for epochs in grid.rungs(config))
    return (
        f"{arms} configuration{'s' * (arms != 1)} x {seeds} seed{'s' * (seeds != 1)}, rungs of {epochs} epochs, "
        f"{config.sweep.minutes:g} minutes, on {data}"
    )

"""`metaprior choose`: the encoder of a sweep to bless."""

from pathlib import Path

import click

from pipeline.cli import options

EXAMPLES = """\b
Examples:
  metaprior choose digits_sweep --task probe/linear/100
  metaprior choose digits_sweep --task label --max-rate 12 --max-distortion 25
  metaprior choose digits_sweep --task label --max-rate 12 --push
"""


@click.command("choose", epilog=EXAMPLES)
@click.argument("name")
@click.option("--task", required=True, metavar="METRIC|COLUMN", help="What it shall be best at: a metric or a column.")
@click.option("--max-rate", type=float, metavar="NATS", help="The most a code may say.")
@click.option("--max-distortion", type=float, metavar="NATS", help="The most a code may leave out.")
@click.option("--max-leakage", type=float, metavar="SCORE", help="The most it may give away of data.sensitive.")
@click.option("--push", is_flag=True, help="Run its pipeline through evaluation, gate and push, now.")
@options.output
@options.as_json
def command(name: str, task: str, output: Path, as_json: bool, push: bool, **most: float | None) -> int:
    """Name the encoder of the sweep NAME to bless, and the command that blesses and pushes it, or push it.

    It has the best mean of the task over its seeds, within the bounds. For a column, the task is the linear
    probe with the most labels. What was trained comes from the cache; a pushed encoder meets the bounds of the
    evaluation, too.
    """
    if push and as_json:
        raise click.UsageError("give --push or --json, not both.", click.get_current_context())

    from pipeline.sweep import choice, choose

    bounds = choose.Bounds(rate=most["max_rate"], distortion=most["max_distortion"], leakage=most["max_leakage"])
    found = choose.choose(choose.latest(output, name), task=task, bounds=bounds)
    if as_json:
        options.print_json(choice.facts(found))
        return 0
    click.echo("\n".join(choice.words(found) if push else choice.lines(found)))
    if not push:
        return 0

    from pipeline import preflight, show

    config = found.run
    description = preflight.check(config)
    click.echo()
    return show.run(config, heading=show.heading(config, description))

"""`metaprior monitor`: whether live embeddings drift from those the encoder was evaluated on."""

from pathlib import Path

import click

from pipeline.cli import options

DRIFT = 1
EXAMPLES = """\b
Examples:
  metaprior monitor requests/                       a server's request log
  metaprior monitor today.parquet --run digits      what `metaprior embed` wrote
  metaprior monitor requests/ --hours 24 --watch 3600
  metaprior monitor requests/ --on-drift 'metaprior run --config digits.yaml'
"""


@click.command("monitor", epilog=EXAMPLES)
@click.argument("live", type=click.Path(path_type=Path))
@click.option("--run", help="The run to compare with; the one that pushed the newest version by default.")
@click.option("--reference", type=click.Path(path_type=Path), help="A file of embeddings to compare with instead.")
@click.option("--hours", type=click.FloatRange(0, min_open=True), help="Of a request log, look only at the last hours.")
@click.option(
    "--sample",
    type=click.IntRange(30, 5000),  # the memory and time of the kernel test are quadratic in it
    default=1000,
    show_default=True,
    help="Most examples of each side.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Probability of a false alarm of one look.",
)
@click.option("--permutations", type=click.IntRange(1), default=499, show_default=True, help="Of the test of MMD.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the permutations.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where records go.  [default: monitor/ of the pipeline; with --reference, ./monitor]",
)
@click.option("--textfile", type=click.Path(path_type=Path), help="Prometheus's file.  [default: one in that folder]")
@click.option("--watch", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Look again, so often.")
@click.option("--on-drift", metavar="COMMAND", help="Run a command when drift begins; no shell looks at it.")
@options.output
@options.as_json
def command(live: Path, watch: float | None, on_drift: str | None, as_json: bool, **asked) -> None:
    """Compare LIVE embeddings with those of the test split that the served encoder was evaluated on.

    LIVE is a server's request log, or any Parquet file or folder of embeddings of the same space. Whole codes (MMD),
    each dimension (Kolmogorov-Smirnov) and the mean rate are tested. The exit code is 1 where there is drift.
    """
    import os

    from pipeline.quiet import native_noise

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with native_noise():
        from pipeline.monitor.watch import Hook, Look

    hook = Hook.parse(on_drift) if on_drift is not None else None
    monitor = _monitor(live, **asked)

    def tell(look: Look) -> None:
        from components.drift.schema import plain
        from components.drift.wording import in_words

        if as_json:
            options.print_json(plain(look.drift) | {"record": str(look.path)})
        else:
            click.echo(f"{look.drift.when}  {in_words(look.drift)}" if watch else in_words(look.drift))
        code = hook.after(look) if hook else None
        if code is not None:
            click.echo(f"on drift: {on_drift} ended with code {code}", err=True)

    if watch is not None:
        monitor.watch(watch, tell=tell, refuse=lambda error: click.echo(f"metaprior: {error}", err=True))
    with native_noise():
        look = monitor.look()
    tell(look)
    if not as_json:
        click.echo(f"Record: {look.path}")
    raise SystemExit(DRIFT if look.drift.drifted else 0)


def _monitor(live: Path, *, run: str | None, reference: Path | None, output: Path, **asked):
    import functools

    from components.drift.compare import Settings
    from models.errors import InputError
    from pipeline.monitor import reference as references
    from pipeline.monitor.watch import Monitor

    if run is not None and reference is not None:
        raise InputError("--run and --reference: name one of them to compare with.")
    known = (
        functools.partial(references.of_run, output, run)
        if reference is None
        else functools.partial(references.of_file, reference)
    )
    places = {name: asked.pop(name) for name in ("folder", "textfile")}
    return Monitor(live, known, Settings(**asked), **places)

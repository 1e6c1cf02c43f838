"""`metaprior tensorboard`: the trainings' curves, images and projections, and what was measured."""

import os
from pathlib import Path

import click

from pipeline.cli import options


@click.command("tensorboard")
@click.argument("run", required=False)
@click.option("--port", type=click.IntRange(1, 65535), default=6006, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@options.output
def command(run: str | None, port: int, host: str, output: Path) -> None:
    """Start TensorBoard on a run's training and evaluation, or on all of them.

    RUN is a run's id, its beginning, or a pipeline's name.
    """
    from pipeline import boards, history, ports, quiet

    training = history.training(output, run)
    ports.require(host, {"--port": port})
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet.native_noise():
        import tensorflow  # noqa: F401  (here, where what it says of the machine is kept from the terminal)
        from tensorboard import default, program

        board = program.TensorBoard(plugins=default.get_plugins())
    with boards.folder(output, run) as folder:
        flags = [f"--logdir={folder}", f"--port={port}", f"--host={host}", f"--load_fast={boards.reader(folder)}"]
        board.configure(["tensorboard", *flags])
        click.echo(f"TensorBoard on {training}: http://{host}:{port} (Ctrl-C stops it)")
        raise SystemExit(board.main())

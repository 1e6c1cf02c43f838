"""`metaprior deploy`: production files for TensorFlow Serving."""

import ipaddress
import shlex
from pathlib import Path
from typing import Any

import click

from pipeline.cli import options


class Label(options.Pair):
    """A `label=version` pair."""

    name = "label=version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Returns (label, version).

        Raises:
            click.UsageError: if it is not a label, an equals sign and a number.
        """
        label, _, version = value.partition("=")
        plain = label.replace("_", "").replace("-", "")
        if not (plain.isascii() and plain.isalnum() and version.isdecimal()):
            self.fail(f"must be LABEL=VERSION, such as stable=3. Received: {value}.", param, ctx)
        return label, int(version)


class Address(click.ParamType):
    """An IPv4 address."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the address as text.

        Raises:
            click.UsageError: if it is none; Compose takes no names.
        """
        try:
            return str(ipaddress.IPv4Address(value))
        except ipaddress.AddressValueError:
            self.fail(f"must be an IPv4 address, such as 0.0.0.0 for all. Received: {value}.", param, ctx)


@click.command("deploy")
@click.argument("run", required=False)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write; a new one.")
@click.option("--path", type=click.Path(path_type=Path), help="The folder of versions to deploy instead.")
@click.option(
    "--label",
    "labels",
    type=Label(),
    multiple=True,
    help="A name for a version, such as stable=3. With labels, their versions are loaded and no others. "
    "May be repeated.",
)
@click.option("--latest", type=click.IntRange(1), default=1, show_default=True, help="Newest versions to load.")
@click.option("--replicas", type=click.IntRange(1), default=2, show_default=True, help="Kubernetes: fewest servers.")
@click.option("--cpus", type=click.IntRange(1), default=2, show_default=True, help="Cores of one server.")
@click.option(
    "--host", type=Address(), default="127.0.0.1", show_default=True, help="Compose: the address to publish ports on."
)
@options.output
def command(run: str | None, out: Path, path: Path | None, output: Path, labels: tuple, **choices: Any) -> None:
    """Write what runs an encoder in production on TensorFlow Serving: Compose, Kubernetes, alerts, a dashboard.

    RUN is a run's id, its beginning, or a pipeline's name; the latest run that pushed an encoder by default.
    Nothing is started. The folder's README.md has the commands.
    """
    from pipeline import history
    from pipeline.deployment import deploy
    from pipeline.listing import shown

    folder = (path or history.serving(output, run)).resolve()
    deployed = deploy(folder, out, labels=dict(labels), **choices)
    model, plan = deployed.plan.model, deployed.plan
    click.echo(f"{len(deployed.files)} files in {shown(out)}, for {model.name} in {shown(folder)}")
    loaded = ", ".join(f"{label}={version}" for label, version in plan.labels.items()) or f"{plan.latest} newest"
    click.echo(f"  versions  {loaded}, of {len(model.versions)} there")
    if plan.batched:
        click.echo(f"  batching  on, up to {plan.batch_sizes[-1]} rows: every signature has the batch first")
    else:
        click.echo(f"  batching  off: the batch is not first in {'; '.join(model.faults)}")
    compose = shlex.join(["docker", "compose", "--file", str(out / "compose.yaml"), "up", "--detach"])
    click.echo(f"\nNext:\n  METAPRIOR_MODELS={shlex.quote(str(folder.parent))} GRAFANA_PASSWORD=... {compose}")
    click.echo(f"  {shlex.join(['kubectl', 'apply', '-k', str(out)])}")

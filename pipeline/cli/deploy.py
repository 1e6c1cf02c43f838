"""`metaprior deploy`: production files for TensorFlow Serving."""

import ipaddress
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli import options

if TYPE_CHECKING:
    from serving.deploy.plan import Plan


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

    RUN is a pipeline's name, or a run's id or its beginning: then the version that this run pushed is loaded, and no
    other. By default it is the pipeline of the latest run that pushed an encoder. Nothing is started. The folder's
    README.md has the commands.
    """
    from pipeline import history
    from pipeline.deployment import deploy
    from pipeline.listing import shown

    if run and path:
        raise click.UsageError("RUN and --path: name one of them to deploy.")
    pushed = history.Pushed(path) if path else history.serving(output, run)
    if pushed.version is not None and labels:
        raise click.UsageError(f"--label: the run {run} is one version. Name the pipeline to label several.")
    folder = pushed.folder.resolve()
    deployed = deploy(folder, out, labels=dict(labels), only=pushed.version, **choices)
    model, plan = deployed.plan.model, deployed.plan
    click.echo(f"{len(deployed.files)} files in {shown(out)}, for {model.name} in {shown(folder)}")
    click.echo(f"  versions  {_loaded(plan)}")
    if plan.batched:
        click.echo(f"  batching  on, up to {plan.batch_sizes[-1]} rows: every signature has the batch first")
    else:
        click.echo(f"  batching  off: the batch is not first in {'; '.join(model.faults)}")
    compose = shlex.join(["docker", "compose", "--file", str(out / "compose.yaml"), "up", "--detach"])
    click.echo(f"\nNext:\n  METAPRIOR_MODELS={shlex.quote(str(folder.parent))} GRAFANA_PASSWORD=... {compose}")
    click.echo(f"  {shlex.join(['kubectl', 'apply', '-k', str(out)])}")


def _loaded(plan: "Plan") -> str:
    there = len(plan.model.versions)
    if plan.only is not None:
        return f"{plan.only}, which the run pushed, and no other"
    if plan.labels:
        return f"{', '.join(f'{label}={version}' for label, version in plan.labels.items())}, of {there} there"
    return (
        f"{plan.latest} newest, of {there} there" if plan.latest < there else f"the {plan.latest} newest, {there} there"
    )

"""`metaprior doctor`: is everything here that the work needs?"""

from pathlib import Path

import click

from pipeline.cli import options


@click.command("doctor")
@options.output
@options.as_json
def command(output: Path, as_json: bool) -> int:
    """Check this machine: Python, C library, packages, ports, disk, memory, write access.

    A line for each check, with the fix where one is needed. Exits with 1 if something is wrong.
    """
    import dataclasses

    from pipeline import doctor

    checks = list(doctor.examine(output))
    if as_json:
        options.print_json([dataclasses.asdict(check) for check in checks])
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            click.echo(_line(check.name.ljust(width), check))
    return 0 if all(check.ok for check in checks) else 1


def _line(name: str, check) -> str:
    if check.ok:
        return f"{click.style('ok   ', fg='green')} {name}  {check.found}"
    return f"{click.style('wrong', fg='red')} {name}  {check.found}. {check.fix}"

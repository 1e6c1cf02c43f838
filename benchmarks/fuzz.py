"""Coverage-guided fuzzing of the embedded server, over real sockets: gRPC messages, REST bodies, bytes on the port.

    python -m benchmarks.fuzz [--inputs 200000] [--seconds 3600]

Each of the three targets gets a process of its own, with a server and atheris (libFuzzer) in it: what reaches new
code of `serving` is kept and changed further. An input fails that is answered with a code which blames the server,
that is not answered within twenty seconds, or after which the server has gone. Printed are the codes, the code that
was reached, and the memory at the first and the last tenth of the way. atheris is installed at the first use.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click

HERE = Path(__file__).parent
RUNTIME = HERE.parent / ".runtime"
FOLDER = RUNTIME / "peers" / "atheris"
REQUIREMENT = "atheris==3.0.0"
TARGETS = {"grpc": 0.45, "rest": 0.45, "tcp": 0.1}  # and their shares of the inputs


def install() -> None:
    """Puts atheris where only this benchmark finds it."""
    if FOLDER.is_dir():
        return
    print(f"Installing atheris in {FOLDER}, once.", flush=True)
    uv = RUNTIME / "tools" / "bin" / "uv"
    place = ["--python", sys.executable, "--no-deps", "--target", FOLDER]
    subprocess.run([uv, "pip", "install", "-q", *place, REQUIREMENT], check=True)


def fuzz(target: str, inputs: int, seconds: int, folder: Path) -> bool:
    """Runs one target and prints what came of it; whether nothing failed."""
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent), str(FOLDER)])}
    limits = [f"-runs={inputs}", f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=6000", "-max_len=2000"]
    command = [sys.executable, "-m", "benchmarks.peers.fuzz_target", target, str(folder), *limits]
    log = folder / f"{target}.log"
    with log.open("w") as output:
        code = subprocess.run(command, cwd=folder, stdout=output, stderr=output, env=variables, check=False).returncode
    found = json.loads((folder / f"{target}.json").read_text())
    codes = ", ".join(f"{name} {count:,}" for name, count in sorted(found["codes"].items()))
    reached = [line for line in log.read_text(errors="replace").splitlines() if " cov: " in line][-1:]
    coverage = reached[0].split(" cov: ")[1].split()[0] if reached else "?"
    memory = found["memory"]
    click.echo(f"{target}: {found['inputs']:,} inputs; {codes}; {coverage} edges of serving reached")
    click.echo(f"  memory {memory[len(memory) // 10]:,.0f} MB after a tenth, {memory[-1]:,.0f} MB at the end")
    if code:
        click.echo("\n".join(log.read_text(errors="replace").splitlines()[-40:]))
    return not code


@click.command()
@click.option("--inputs", default=200_000, show_default=True, help="how many, over all targets")
@click.option("--seconds", default=3600, show_default=True, help="at most, for each target")
@click.option("--only", type=click.Choice(list(TARGETS)), help="one target, for all inputs")
def main(inputs: int, seconds: int, only: str | None) -> None:
    """Fuzzes the server; exit code 1 where something failed."""
    install()
    shares = {only: 1.0} if only else TARGETS
    with tempfile.TemporaryDirectory() as folder:
        passed = [fuzz(target, int(share * inputs), seconds, Path(folder)) for target, share in shares.items()]
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()

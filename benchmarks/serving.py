"""Examples per second of the embedded server, client included, relative to calling the signature in-process.

    python -m benchmarks.serving [--rounds 9] [--seconds 0.5] [--only 'mlp 1 64' ...] [--all] [--no-peer]

A case is a network, the rows of a request, and the callers that call at a time. Servers and callers share the
machine, one thread an operation everywhere. Every figure is the median over short alternating rounds of the ratio to
the in-process call, by one caller, of the same round and rows; quartiles in brackets. `cpu` is the same ratio by
processor time of the server alone, the steadier figure on a busy machine.

`gRPC, no batching` is the same server without batching: one run for each request on the thread that took it.
FastAPI and BentoML serve the same network in torch, with nested numbers as `REST JSON` does, in an environment that
is made at the first use.

    python -m benchmarks.serving --workers [--rounds 9] [--seconds 2]

Examples per second of two workers relative to one, one thread an operation in each, callers in processes of their
own. All share the cores: where one worker and its callers keep so many of them busy, more workers gain no more than
what is left, which is the `bound` (cores of the machine over cores in use). `cpu` is the ratio by processor time of
the servers alone: near 1, it takes only more cores to get more.
"""

import contextlib
import itertools
import os
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np
import psutil
import tensorflow as tf

from benchmarks.embedding.callers import b64_body, grpc_call, json_body, tasks, threads
from benchmarks.embedding.encoders import Encoder, Running, server
from benchmarks.embedding.processes import Callers
from benchmarks.peers.services import SERVICES, Services, Unavailable, services
from serving.client import Client

NETWORKS, ROWS, CALLERS = ("mlp", "conv"), (1, 32, 256), (1, 8, 64, 256)
EVERY = [f"{network} {rows} {callers}" for network, rows, callers in itertools.product(NETWORKS, ROWS, CALLERS)]
CASES = ["mlp 1 1", "mlp 1 8", "mlp 1 64", "mlp 1 256", "mlp 32 8", "mlp 256 8"]
CASES += ["conv 1 1", "conv 1 64", "conv 32 8", "conv 256 8"]
WORKER_CASES = ["conv 32 8", "mlp 1 64"]
CLIENT_CALLERS = 8  # the synchronous client is measured with at most so many threads
Way = Callable[[], list[float]]


@dataclass(frozen=True)
class Run:
    """What one measurement of a way to call found: latencies and the processor seconds that served them."""

    latencies: list[float]
    cpu: float


@dataclass(frozen=True)
class Case:
    """Rows of a request and callers at a time, of one network, and for how long each way is measured."""

    network: str
    rows: int
    callers: int
    seconds: float

    @staticmethod
    def parse(text: str, seconds: float) -> "Case":
        """Reads `network rows callers`."""
        network, rows, callers = text.split()
        return Case(network, int(rows), int(callers), seconds)


def measured(pid: int | None, way: Way) -> Run:
    process = psutil.Process(pid)
    before = sum(process.cpu_times()[:2])
    latencies = way()
    return Run(latencies, sum(process.cpu_times()[:2]) - before)


def ways(case: Case, ours: Running, plain: Running, x: np.ndarray, stack: ExitStack) -> dict[str, tuple[int, Way]]:
    """Returns each way to call, with the process that serves it."""
    url, few = f"http://127.0.0.1:{ours.rest_port}/v1/models/m:predict", min(case.callers, CLIENT_CALLERS)
    call, plain_call = grpc_call(ours.grpc_port, x), grpc_call(plain.grpc_port, x)
    found: dict[str, tuple[int, Way]] = {
        "gRPC": (ours.process, lambda: threads(case.callers, case.seconds, call)),
        "gRPC, no batching": (plain.process, lambda: threads(case.callers, case.seconds, plain_call)),
        "REST JSON": (ours.process, lambda: tasks(case.callers, case.seconds, url, lambda: json_body(x))),
        "REST b64": (ours.process, lambda: tasks(case.callers, case.seconds, url, lambda: b64_body(x))),
    }
    for protocol, port in (("grpc", ours.grpc_port), ("rest", ours.rest_port)):
        client = stack.enter_context(Client(model="m", **{f"{protocol}_port": port}))
        way: Way = lambda client=client: threads(few, case.seconds, lambda: client.predict(x))  # noqa: E731
        found[f"Client {protocol} ({few})"] = ours.process, way
    return found


def in_process(signature, case: Case, x: np.ndarray) -> Run:
    def call() -> None:
        signature(x=tf.constant(x))["embedding"].numpy()

    return measured(None, lambda: threads(1, case.seconds, call))


def rounds_of(case: Case, number: int, signature, ours: Running, plain: Running, x: np.ndarray) -> list[dict[str, Run]]:
    found = []
    with ExitStack() as stack:
        calls = ways(case, ours, plain, x, stack)
        for _ in range(number):
            one = {"in-process": in_process(signature, case, x)}
            found.append(one | {name: measured(pid, way) for name, (pid, way) in calls.items()})
    return found


def peer_rounds(case: Case, number: int, signature, url: str, service: str, x: np.ndarray) -> list[dict[str, Run]]:
    def way() -> list[float]:
        return tasks(case.callers, case.seconds, url, lambda: json_body(x, "x"))

    # Its work is done in several processes, so the processor time is left out.
    return [
        {"in-process": in_process(signature, case, x), service: Run(measured(None, way).latencies, float("nan"))}
        for _ in range(number)
    ]


def report(case: Case, rounds: list[dict[str, Run]]) -> None:
    for name in list(rounds[0])[1:]:
        ratios = [len(r[name].latencies) / len(r["in-process"].latencies) for r in rounds]
        cpu = [ratio * r["in-process"].cpu / r[name].cpu for ratio, r in zip(ratios, rounds, strict=True)]
        low, middle, high = np.percentile(ratios, [25, 50, 75])
        latencies = np.concatenate([r[name].latencies for r in rounds])
        p50, p95, p99 = np.percentile(latencies, [50, 95, 99]) * 1000
        speed = case.rows * len(latencies) / case.seconds / len(rounds)
        click.echo(
            f"  {name:<18} {middle:5.2f} [{low:.2f}-{high:.2f}]  cpu {statistics.median(cpu):5.2f}  {speed:9,.0f}/s  "
            f"p50 {p50:6.1f}  p95 {p95:6.1f}  p99 {p99:6.1f} ms"
        )


def title(case: Case, rounds: list[dict[str, Run]]) -> None:
    speed = statistics.median(case.rows * len(r["in-process"].latencies) / case.seconds for r in rounds)
    click.echo(f"{case.network}, {case.rows} rows, {case.callers} callers: in-process {speed:,.0f} examples per second")


def compare(network: str, cases: list[Case], rounds: int, folder: Path, peers: Services | None) -> None:
    """Measures one network in all its cases."""
    encoder, base = Encoder(network), folder / network
    encoder.save(str(base / "1"))
    signature = tf.saved_model.load(str(base / "1")).signatures["serving_default"]
    data = {case: np.random.default_rng(0).normal(size=[case.rows, *encoder.shape]).astype("f") for case in cases}
    with server(base) as ours, server(base, "--enable_batching=false") as plain:
        for case, x in data.items():
            found = rounds_of(case, rounds, signature, ours, plain, x)
            title(case, found)
            report(case, found)
    for service in SERVICES if peers is not None else ():
        url = peers.serve(service, network)
        for case, x in data.items():
            found = peer_rounds(case, rounds, signature, url, service, x)
            title(case, found)
            report(case, found)


def spent(pids: list[int]) -> float:
    """Returns the processor seconds of processes and of those that they started."""
    trees = [process for pid in pids for process in (psutil.Process(pid), *psutil.Process(pid).children(True))]
    return sum(sum(process.cpu_times()[:2]) for process in trees)


def several(case: Case, rounds: int, folder: Path) -> None:
    """Measures two workers against one."""
    encoder, base = Encoder(case.network), folder / case.network
    encoder.save(str(base / "1"))
    cores, ratios, found = len(os.sched_getaffinity(0)), [], {1: [], 2: []}
    with ExitStack() as stack:
        both = {}
        for workers in found:
            running = stack.enter_context(server(base, f"--workers={workers}", "--tensorflow_inter_op_parallelism=1"))
            both[workers] = (
                running,
                stack.enter_context(Callers(running.grpc_port, case.callers, case.rows, encoder.shape)),
            )
        for _ in range(rounds):
            for workers, (running, callers) in both.items():
                before = spent([running.process]), spent(callers.processes)
                calls = callers.measure(case.seconds)
                after = spent([running.process]), spent(callers.processes)
                busy = [(b - a) / case.seconds for a, b in zip(before, after, strict=True)]
                found[workers].append((case.rows * calls / case.seconds, *busy))
            (one, one_cores, _), (two, two_cores, _) = found[1][-1], found[2][-1]
            ratios.append((two / one, two / two_cores / (one / one_cores)))
    click.echo(f"{case.network}, {case.rows} rows, {case.callers} callers")
    for workers, rows in found.items():
        speed, serving, calling = np.median(rows, axis=0)
        click.echo(f"  {workers} workers {speed:9,.0f}/s  cores in use: serving {serving:.2f}, calling {calling:.2f}")
    (low, middle, high), (_, cpu, _) = np.percentile(ratios, [25, 50, 75], axis=0).T
    bound = statistics.median(cores / (serving + calling) for _, serving, calling in found[1])
    click.echo(f"  two over one {middle:.2f} [{low:.2f}-{high:.2f}]  cpu {cpu:.2f}  bound {bound:.2f} of {cores} cores")


@click.command()
@click.option("--seconds", default=0.5, show_default=True, help="length of one measurement")
@click.option("--rounds", default=9, show_default=True, help="alternating rounds of every case")
@click.option("--only", multiple=True, type=click.Choice(EVERY), help="a case; several may be given")
@click.option("--all", "everything", is_flag=True, help="all cases")
@click.option("--no-peer", is_flag=True, help="leave FastAPI and BentoML out")
@click.option("--workers", is_flag=True, help="two workers against one instead")
def main(seconds: float, rounds: int, only: tuple[str, ...], everything: bool, no_peer: bool, workers: bool) -> None:
    """Measures the server on a dense and a convolutional encoder."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    usual = WORKER_CASES if workers else CASES
    chosen = [Case.parse(text, seconds) for text in (EVERY if everything else only or usual)]
    if workers:
        for case in chosen:
            with tempfile.TemporaryDirectory() as folder:
                several(case, rounds, Path(folder))
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        peers = None
        if not no_peer:
            try:
                peers = stack.enter_context(services())
            except Unavailable as error:
                click.echo(f"Without peers: {error}")
        for network in NETWORKS:
            if cases := [case for case in chosen if case.network == network]:
                compare(network, cases, rounds, Path(folder), peers)


if __name__ == "__main__":
    main()

"""How a run's worker is started, listened to and ended: with small programs in its place."""

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from models.errors import InputError
from pipeline import launch, loading, lock, paths
from pipeline.events import Done, Failed, Run, Start

WORKER = """
import json, os, signal, subprocess, sys, time
pipe = os.fdopen(int(sys.argv[2]), "w")
def tell(**event):
    print(json.dumps(event), file=pipe, flush=True)
tell(event="run", run=os.path.basename(sys.argv[1])[:-5], components=["Trainer"])
tell(event="start", component="Trainer", time=1.0)
"""


@pytest.fixture
def config(tmp_path):
    return loading.load(data="digits", sets=[("output", str(tmp_path / "runs"))])


def start(config, program: str) -> launch.Worker:
    return launch.Worker(config, command=(sys.executable, "-c", WORKER + textwrap.dedent(program)))


def test_a_worker_gets_the_configuration_and_tells_its_events(config):
    worker = start(config, 'print("noise"); tell(event="done", component="Trainer", time=2.0)')
    found = list(worker.events())
    assert found == [Run(worker.run_id, ["Trainer"]), Start("Trainer", 1.0), Done("Trainer", 2.0)]
    assert worker.process.returncode == 0
    assert worker.log.read_text() == "noise\n"
    written = worker.log.with_suffix(".json").read_text()
    assert type(config).model_validate_json(written) == config


def test_a_killed_worker_ends_the_events_with_its_signal(config):
    worker = start(config, "os.kill(os.getpid(), signal.SIGKILL)")
    assert list(worker.events())[-1] == Start("Trainer", 1.0)
    assert worker.process.returncode == -signal.SIGKILL


def test_stopping_a_worker_stops_its_children_too(config):
    program = """
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        tell(event="failed", component=None, reason=str(child.pid), time=2.0)
        time.sleep(600)
    """
    worker = start(config, program)
    child = next(int(event.reason) for event in worker.events() if isinstance(event, Failed))
    worker.stop()
    assert worker.process.returncode == -signal.SIGTERM
    psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=30)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_worker_that_will_not_end_is_made_to(config, monkeypatch):
    monkeypatch.setattr(launch, "GRACE", 0.1)
    program = """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        tell(event="done", component="Trainer", time=2.0)
        time.sleep(600)
    """
    worker = start(config, program)
    next(event for event in worker.events() if isinstance(event, Done))
    worker.stop()
    assert worker.process.returncode == -signal.SIGKILL


def test_runs_within_one_second_get_ids_of_their_own(config, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda form: "20260701-100000")
    workers = [start(config, "") for _ in range(2)]
    assert [worker.run_id for worker in workers] == ["20260701-100000", "20260701-100000-2"]
    for worker in workers:
        list(worker.events())


def test_starts_at_the_same_moment_get_ids_of_their_own(config, monkeypatch):
    together = threading.Barrier(8)

    def second(form: str) -> str:
        together.wait(10)
        return "20260701-100000"

    monkeypatch.setattr(time, "strftime", second)
    with ThreadPoolExecutor(8) as starts:
        found = list(starts.map(launch.write_settings, [config] * 8))
    ids = {"20260701-100000", *(f"20260701-100000-{count}" for count in range(2, 9))}
    assert {run_id for run_id, _ in found} == ids
    assert all(type(config).model_validate_json(path.read_text()) == config for _, path in found)


def test_an_id_in_use_is_passed_over_where_one_before_it_is_free(config, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda form: "20260701-100000")
    folder = paths.logs(config)
    folder.mkdir(parents=True)
    taken = [folder / "20260701-100000.json", folder / "20260701-100000-3.json"]
    for path in taken:
        path.write_text("an earlier run's")
    worker = start(config, "")
    list(worker.events())
    assert worker.run_id == "20260701-100000-2"
    assert [path.read_text() for path in taken] == ["an earlier run's"] * 2


@pytest.fixture
def signals():
    """Gives the signals back to whom they had before."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_under_nohup_a_closed_terminal_does_not_end_a_run(config, monkeypatch):
    from rich.console import Console

    from pipeline import show

    program = textwrap.dedent("""
        os.kill(os.getppid(), signal.SIGHUP)
        tell(event="failed", component=None, reason="the end", time=2.0)
    """)
    command = (sys.executable, "-c", WORKER + program)
    monkeypatch.setattr(show, "Worker", partial(launch.Worker, command=command))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    out = Console(file=io.StringIO(), width=100)
    try:
        show.run(config, heading="digits", console=out)
    except KeyboardInterrupt:
        pytest.fail("the closed terminal ended the run")
    assert "the end" in out.file.getvalue()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with pytest.raises(KeyboardInterrupt):
        show.run(config, heading="digits", console=out)


def test_a_second_run_on_the_same_folder_is_refused(config):
    with lock.locked(paths.root(config)), pytest.raises(InputError) as caught:
        launch.Worker(config)
    assert str(caught.value) == (
        f"{paths.root(config)}: another run (process {os.getpid()}) is at work here. Wait for it, or give this "
        "run a name of its own: --set name=NAME."
    )
    assert not paths.logs(config).exists()


def test_the_lock_goes_with_its_holder(config):
    program = f"""
        import sys, os; sys.path.insert(0, {str(Path.cwd())!r})
        from pathlib import Path; from pipeline import lock
        with lock.locked(Path({str(paths.root(config))!r})):
            print(os.getpid(), flush=True); os.kill(os.getpid(), 9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (paths.root(config) / ".lock").read_text() == done.stdout.strip()
    assert not lock.busy(paths.root(config))
    lock.check(paths.root(config))


def test_a_folder_that_cannot_be_written_is_told():
    config = loading.load(data="digits", sets=[("output", "/proc/here")])
    with pytest.raises(InputError) as caught:
        launch.Worker(config)
    assert str(caught.value) == (
        "output: cannot write /proc/here/digits: No such file or directory. Choose another folder: "
        "--set output=FOLDER, or make this one writable."
    )

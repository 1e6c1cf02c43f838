"""The `metaprior` command: what it loads, how it fails, how it starts and stops a run's worker."""

import io
import json
import os
import re
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
from click.testing import CliRunner

from models.errors import InputError
from pipeline import launch, loading, lock, paths, ports
from pipeline.cli.group import VERBS, main
from pipeline.events import Done, Failed, Run, Start

METAPRIOR = Path(sys.executable).with_name("metaprior")
HEAVY = {"tensorflow", "tfx", "apache_beam", "keras", "sklearn", "plotly", "numpy", "pydantic", "rich", "yaml"}


def metaprior(*arguments: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([METAPRIOR, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def invoke(*arguments: str):
    return CliRunner().invoke(main, list(arguments), prog_name="metaprior")


def test_no_help_loads_anything_heavy():
    asked = [["--help"], *([verb, "--help"] for verb in VERBS)]
    code = f"""
        import contextlib, io, sys
        from pipeline.cli import main
        for arguments in {asked}:
            with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
                main(arguments)
            assert "Usage:" in out.getvalue(), arguments
        print(sorted({HEAVY} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_help_names_every_verb():
    text = invoke("--help").output
    assert [line.split()[0] for line in text.split("Commands:\n")[1].splitlines() if line.strip()] == list(VERBS)


def test_the_readme_speaks_of_the_verbs_as_they_are():
    text = (Path(__file__).parent.parent / "README.md").read_text()
    named = re.findall(r"(?:\.venv/bin/|`)metaprior (\w+)", text)
    assert len(named) > 8
    assert set(named) <= set(VERBS)
    assert "`metaprior query FILE`" in text
    assert not re.search(r"query embed|nothing is written elsewhere", text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rum"], "no such command: rum. Did you mean run? See metaprior --help."),
        (["zzz"], "no such command: zzz. See metaprior --help."),
        (["run"], "give --config FILE or --data PATH. See metaprior run --help."),
        (["runs", "--jsn"], "No such option '--jsn'. Did you mean '--json'? See metaprior runs --help."),
        (
            ["run", "--data", "x", "--set", "epochs"],
            "Invalid value for '--set': must be KEY=VALUE, such as training.epochs=5. Received: epochs. "
            "See metaprior run --help.",
        ),
        (["embed", "x"], "Missing argument 'OUTPUT.parquet'. See metaprior embed --help."),
        (["embed", "x", "out.csv"], "out.csv: must end in .parquet."),
        (
            ["run", "--config", "nowhere.yaml"],
            "nowhere.yaml: no such configuration file. Check the path; `configs/` has examples.",
        ),
    ],
)
def test_a_wrong_command_line_gets_one_line_and_exit_code_two(arguments, message):
    done = invoke(*arguments)
    assert (done.stderr, done.stdout, done.exit_code) == (f"metaprior: {message}\n", "", 2)


def test_each_problem_of_a_configuration_gets_its_own_line():
    done = invoke("run", "--data", "digits", "--set", "training.epoch=1", "--set", "seed=x")
    assert done.stderr.splitlines() == [
        'metaprior: seed: must be a whole number from 0 to 2147483647. Received: "x".',
        "metaprior: training.epoch: unknown key. Did you mean training.epochs?",
    ]
    assert done.exit_code == 2


def test_a_refused_configuration_loads_nothing_heavy(tmp_path):
    code = """
        import sys
        from pipeline.cli import main
        try:
            main(["run", "--data", "digits", "--set", "training.epoch=1"])
        except SystemExit as stop:
            print(stop.code, sorted({"tensorflow", "tfx", "apache_beam", "keras", "sklearn"} & set(sys.modules)))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "2 []\n"
    assert not list(tmp_path.iterdir())


def test_the_last_look_before_a_run_loads_nothing_heavy():
    code = """
        import sys
        from pipeline import loading, preflight
        preflight.check(loading.load(data="digits"))
        print(sorted({"tensorflow", "tfx", "apache_beam", "keras", "sklearn"} & set(sys.modules)))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n"


def test_config_shows_the_whole_configuration():
    shown = invoke("config", "--data", "digits", "--set", "training.epochs=5").output
    assert "  epochs: 5\n  batch: 64\n" in shown
    as_json = json.loads(invoke("config", "--data", "digits", "--json").output)
    assert (as_json["name"], as_json["data"]["schema"]) == ("digits", None)


def test_a_shown_configuration_is_the_same_configuration_again(tmp_path):
    path = tmp_path / "whole.yaml"
    path.write_text(invoke("config", "--data", "adult.csv", "--set", "data.label=income").output)
    assert loading.load(path) == loading.load(data="adult.csv", sets=[("data.label", "income")])


def test_a_port_in_use_is_told_with_the_option_that_changes_it():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(InputError) as caught:
            ports.require("127.0.0.1", {"--port": number})
    assert str(caught.value) == (
        f"port {number} on 127.0.0.1 cannot be used: Address already in use. End what uses it, or choose "
        "another with --port."
    )


def test_serving_needs_a_version(tmp_path):
    done = invoke("serve", "--path", str(tmp_path))
    assert done.stderr == (
        f"metaprior: {tmp_path}: no version to serve. It must hold folders named 1, 2, ...; "
        "`metaprior run` pushes them.\n"
    )
    assert done.exit_code == 2


def test_serving_starts_the_embedded_server_on_the_folder(tmp_path, monkeypatch):
    from serving import server

    started = []
    monkeypatch.setattr(server, "serve", started.append)
    (tmp_path / "encoder" / "1").mkdir(parents=True)
    done = invoke("serve", "--path", str(tmp_path / "encoder"), "--port", "0", "--rest-port", "0")
    assert done.exit_code == 0
    assert started == [
        server.Options.model_validate(
            {"model_name": "encoder", "model_base_path": tmp_path / "encoder", "port": 0, "rest_api_port": 0}
        )
    ]


def test_models_lists_the_survey_in_its_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    lines = [line.rstrip() for line in invoke("models").output.splitlines()]
    assert lines[0] == "regularized posterior"
    assert "  beta_vae               disentanglement   REG      R1 = (beta - 1) * KL(q(z|x) || p(z))" in lines
    assert lines[-2].startswith("REG regularized posterior, FAC factorized encoder or decoder, PRI structured prior")
    listed = json.loads(invoke("models", "--json").output)
    assert {"name", "title", "family", "metaprior", "mechanism", "r1", "r2", "labels", "status"} <= set(listed[0])


def test_models_shows_one_with_its_parameters():
    text = invoke("models", "beta-vae").output
    assert "minimizes\n  E_q(z|x)[-log p(x|z)] + beta * KL(q(z|x) || p(z))\n" in text
    assert "beta" in text.split("parameters\n")[1]
    assert json.loads(invoke("models", "beta_vae", "--json").output)["parameters"][0]["name"] == "beta"
    done = invoke("models", "bta_vae")
    assert done.stderr == "metaprior: model.recipe: there is no recipe 'bta_vae'. Did you mean beta_vae?\n"


def is_at_work(command: int) -> bool:
    """Whether the command's worker has started to load its libraries."""
    workers = psutil.Process(command).children()
    return bool(workers) and workers[0].cpu_times().user > 0.3


def test_ctrl_c_ends_the_worker_and_says_how_to_go_on(tmp_path):
    command = [METAPRIOR, "run", "--data", "digits"]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while running.poll() is None and not is_at_work(running.pid):
        os.sched_yield()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (130, "\nmetaprior: stopped.\n")
    assert out.splitlines()[-1] == "Stopping the run; the same command resumes it."
    assert not any(
        str(tmp_path) in argument
        for found in psutil.process_iter(["cmdline"])
        for argument in found.info["cmdline"] or ()  # None: it ended while it was looked at
    )


# How a run's worker is started, listened to and ended: with small programs in its place.

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
        found = list(starts.map(launch._write_settings, [config] * 8))
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

"""The `metaprior` command: what it loads, how it fails, and what its verbs print."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from models.errors import InputError
from pipeline import loading, ports
from pipeline.cli.group import VERBS, main

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


def test_without_a_verb_it_prints_its_help():
    done = invoke()
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", invoke("--help").output)


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
    (tmp_path / "encoder" / "1" / "saved_model.pb").touch()
    done = invoke("serve", "--path", str(tmp_path / "encoder"), "--port", "any", "--rest-port", "any")
    assert done.exit_code == 0
    folder = {"model_name": "encoder", "model_base_path": tmp_path / "encoder", "max_num_load_retries": 0}
    folder |= {"port": "any", "rest_api_port": "any", "enable_metrics": True}
    assert started == [server.Options.model_validate(folder)]


def test_serving_stands_in_for_tensorflow_serving(tmp_path, monkeypatch):
    from serving import server

    started = []
    monkeypatch.setattr(server, "serve", started.append)
    flags = ["--model_name=x", f"--model_base_path={tmp_path}", "--port", "any", "--enable_grpc_healthcheck_service"]
    done = invoke("serve", *flags)
    assert (done.exit_code, done.stderr) == (0, "")
    given = {"model_name": "x", "model_base_path": tmp_path, "port": "any", "enable_grpc_healthcheck_service": True}
    assert started == [server.Options.model_validate(given)]
    mixed = invoke("serve", "digits", *flags)
    assert mixed.stderr == (
        "metaprior: RUN does not go with --model_base_path or --model_config_file. See metaprior serve --help.\n"
    )


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

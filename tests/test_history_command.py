"""What the commands `runs` and `report` say of past runs."""

import json

import stores
from click.testing import CliRunner

from pipeline.cli.group import main

output = stores.output


def test_the_command_lists_runs_and_shows_one(output, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    listed = CliRunner().invoke(main, ["runs", "--output", str(output)]).output.splitlines()
    assert listed[0].split() == ["run", "of", "state", "model", "ELBO", "probe", "blessed", "version"]
    assert listed[3].split() == [
        "20260701-100000",
        "digits",
        "done",
        "beta_vae(beta=4.0)",
        "-24.75",
        "0.930",
        "yes",
        "3",
    ]
    assert listed[4] == "ELBO in nats per example; probe: accuracy of a linear probe with the most labels."
    shown = CliRunner().invoke(main, ["runs", "20260701", "--output", str(output)]).output
    assert "digits (1,437 train, 180 eval, 180 test)" in shown
    assert "beta_vae(beta=4.0), latent 10, minimizes nll + 4 * kl" in shown
    assert (
        "Version 3 comes from\n"
        "  Ingest (done)\n"
        f"    #1 Examples: {output}/digits/Ingest/examples/1\n"
        "  Trainer (done) from #1\n"
    ) in shown


def test_the_command_speaks_json_with_stable_keys(output):
    listed = json.loads(CliRunner().invoke(main, ["runs", "--json", "--output", str(output)]).output)
    keys = "run pipeline when state model parameters latent space data metrics blessed version serving report"
    assert [list(run) for run in listed] == [keys.split()] * 3
    assert listed[2]["metrics"] == {"rate": 6.5, "elbo": -24.75, "probe/linear/all": 0.93}
    assert (listed[2]["model"], listed[2]["version"], listed[0]["model"]) == ("beta_vae", 3, None)
    one = json.loads(CliRunner().invoke(main, ["runs", "20260701", "--json", "--output", str(output)]).output)
    assert [step["component"] for step in one["lineage"]] == [
        "Ingest",
        "Trainer",
        "RepresentationEvaluator",
        "Pusher",
    ]
    assert one["lineage"][0] == {
        "component": "Ingest",
        "state": "done",
        "inputs": [],
        "outputs": [{"id": 1, "key": "examples", "type": "Examples", "uri": str(output / "digits/Ingest/examples/1")}],
    }


def test_the_command_says_so_where_there_are_no_runs(tmp_path):
    done = CliRunner().invoke(main, ["runs", "--output", str(tmp_path)])
    assert (done.exit_code, " ".join(done.output.split())) == (
        0,
        f"No runs below {tmp_path} yet. Start one with: metaprior run --data digits",
    )
    assert CliRunner().invoke(main, ["runs", "--json", "--output", str(tmp_path)]).output == "[]\n"


def test_the_report_verb_prints_a_path(output):
    done = CliRunner().invoke(main, ["report", "--output", str(output)])
    assert done.output.strip() == str(output / "digits/RepresentationEvaluator/evaluation/4/report.html")

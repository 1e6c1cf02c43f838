"""`metaprior deploy` as a person types it: what it reads, writes, says and refuses."""

import re
from pathlib import Path

import pytest
import serving_toy
from click.testing import CliRunner
from tensorflow.core.protobuf import saved_model_pb2

from models.errors import InputError
from pipeline.cli.group import main
from pipeline.deployment import deploy
from serving.deploy.model import read
from serving.deploy.render import TEMPLATES


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """Versions 1 and 2 of a model that can be batched, and 3 of one that cannot, beside it."""
    folder = tmp_path_factory.mktemp("models")
    for version in (1, 2):
        serving_toy.write_small(folder / "encoder", version)
    serving_toy.write(folder / "toy", 3)
    return folder


def test_signatures_are_read_as_tensorflow_reads_them(base):
    saved = saved_model_pb2.SavedModel.FromString((base / "toy" / "3" / "saved_model.pb").read_bytes())
    definitions = {name for name, d in saved.meta_graphs[0].signature_def.items() if d.inputs}
    toy = read(base / "toy", [3], name="toy")
    assert set(toy.signatures) == definitions
    assert toy.row == 8 * 8 * 4
    assert toy.size == sum(p.stat().st_size for p in (base / "toy" / "3").rglob("*") if p.is_file())
    scalar = next(fault for fault in toy.faults if fault.startswith("scalar"))
    assert scalar == "scalar: output total []"


def invoke(*arguments: str):
    return CliRunner().invoke(main, ["deploy", *arguments])


def test_the_command_writes_a_folder_and_says_what_it_holds(base, tmp_path):
    out = tmp_path / "out"
    path = base / "encoder"
    done = invoke("--path", str(path), "--out", str(out), "--label", "stable=1")
    assert done.exit_code == 0, done.output
    assert "  versions  stable=1, of 2 there\n" in done.output
    assert "  batching  on, up to 256 rows: every signature has the batch first\n" in done.output
    files = [p for p in out.rglob("*") if p.is_file()]
    assert len(files) == len(TEMPLATES) + 1
    assert f"{len(files)} files in {out}, for encoder in {path}\n" in done.output
    for file in files:
        text = file.read_text()
        assert str(base) not in text
        assert not re.search(r"/home/|/root/|password: \w", text)
    [above] = re.findall(r"METAPRIOR_MODELS=(\S+) GRAFANA", (out / "README.md").read_text())
    assert (above[:3], (out / above).resolve()) == ("../", base)
    again = invoke("--path", str(path), "--out", str(out))
    assert (again.exit_code, "Give a new folder, or remove it." in again.output) == (2, True)
    unbatched = invoke("--path", str(base / "toy"), "--out", str(tmp_path / "toy"))
    assert "  batching  off: the batch is not first in " in unbatched.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label", "stable=9"], "--label stable=9: there is no version 9. There are: 1, 2."),
        (["--label", "stable"], "must be LABEL=VERSION, such as stable=3. Received: stable."),
        (["--label", 'a"=1'], "must be LABEL=VERSION"),
        (["--host", "example.org"], "must be an IPv4 address, such as 0.0.0.0 for all. Received: example.org."),
    ],
)
def test_wrong_options_are_refused_in_a_line(base, tmp_path, arguments, message):
    done = invoke("--path", str(base / "encoder"), "--out", str(tmp_path / "out"), *arguments)
    assert done.exit_code == 2
    assert message in done.output
    assert not (tmp_path / "out").exists()


def test_folders_that_cannot_be_served_are_refused(tmp_path):
    with pytest.raises(InputError, match="no version to serve"):
        deploy(tmp_path, tmp_path / "out", labels={})
    (tmp_path / "a b" / "1").mkdir(parents=True)
    with pytest.raises(InputError, match="Rename the folder"):
        deploy(tmp_path / "a b", tmp_path / "out", labels={})
    version = tmp_path / "m" / "1"
    version.mkdir(parents=True)
    with pytest.raises(InputError, match=r"Could not read .*saved_model.pb: No such file"):
        deploy(version.parent, tmp_path / "out", labels={})
    for content, message in ((b"\xff", "is not a SavedModel"), (b"", "has no signature to call")):
        (version / "saved_model.pb").write_bytes(content)
        with pytest.raises(InputError, match=message):
            deploy(version.parent, tmp_path / "out", labels={})

"""Several models, their labels, and configurations that replace each other."""

import threading
from pathlib import Path

import pytest
import serving_toy
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving import configs
from serving.callers import Caller
from serving.configs import ModelConfig, Policy
from serving.models import Models
from serving.servable import Servable
from serving.states import Rhythm
from serving.status import Code, ServingError

BOTH = Policy(most=None)
QUICK = Rhythm(poll_seconds=0.01)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The folders of two models; `toy` has versions 1 and 2, `other` has version 1."""
    folder = tmp_path_factory.mktemp("models")
    for name, version in (("toy", 1), ("toy", 2), ("other", 1)):
        serving_toy.write_small(folder / name, version)
    return folder


@pytest.fixture
def models():
    running = Models(rhythm=QUICK)
    yield running
    running.stop(5)


def refusal(call, *arguments):
    with pytest.raises(ServingError) as caught:
        call(*arguments)
    return str(caught.value)


def serving(models, name, **which):
    with models.lease(name, **which) as (number, _):
        return number


def states(models, name):
    return {version.number: version.state.name for version in models.status(name)}


def test_labels_follow_what_is_loaded(models, base):
    def labeled(**labels):
        return [ModelConfig("toy", base / "toy", BOTH, labels)]

    missing = "FAILED_PRECONDITION: Request to assign label to version {} of model toy, which is not currently "
    missing += "available for inference"
    first = ". At the start none is: give --allow_version_labels_for_unavailable_models."
    assert refusal(models.reload, labeled(stable=1)) == missing.format(1) + first
    assert models.names == []
    models.reload(labeled())
    models.reload(labeled(stable=1))
    assert serving(models, "toy", label="stable") == 1
    models.reload(labeled(stable=2, old=1))
    assert (serving(models, "toy", label="stable"), serving(models, "toy", label="old")) == (2, 1)
    assert refusal(models.reload, labeled(stable=9)) == missing.format(9)
    assert serving(models, "toy", label="stable") == 2
    models.reload(labeled(stable=2))
    unknown = "INVALID_ARGUMENT: Unrecognized servable version label: old"
    assert refusal(lambda: serving(models, "toy", label="old")) == unknown


def test_labels_may_be_ahead_when_allowed_but_never_leave_a_version_that_serves(base):
    models = Models(rhythm=QUICK, labels_ahead=True)
    only = Policy(most=None, only=frozenset({1}))
    models.reload([ModelConfig("toy", base / "toy", only, {"stable": 1, "next": 2})])
    assert serving(models, "toy", label="stable") == 1
    gone = "NOT_FOUND: Servable not found for request: Specific(toy, 2)"
    assert refusal(lambda: serving(models, "toy", label="next")) == gone
    moved = [ModelConfig("toy", base / "toy", only, {"stable": 2, "next": 2})]
    assert refusal(models.reload, moved).startswith("FAILED_PRECONDITION: Request to assign label to version 2")
    models.stop(5)


def test_a_new_model_that_cannot_be_loaded_is_told_and_the_others_go_on(models, base, tmp_path):
    serving_toy.write_garbage(tmp_path / "bad", 3)
    both = [ModelConfig("other", base / "other"), ModelConfig("bad", tmp_path / "bad")]
    text = refusal(models.reload, both)
    assert text == (
        "UNKNOWN: 1 model(s) did not become available: {{name: bad version: 3} due to error: DATA_LOSS: Can't parse "
        f"the SavedModel in {tmp_path / 'bad' / '3'}: the file is damaged.}}, }}"
    )
    assert (serving(models, "other"), states(models, "bad")) == (1, {3: "END"})
    models.reload(both)  # it is not new any more, so nobody waits for it


def test_of_a_model_whose_versions_all_fail_the_start_tells_one_and_a_reload_all(models, tmp_path):
    for number in range(4):
        (tmp_path / "classes" / str(number)).mkdir(parents=True)
    at_start = refusal(models.reload, [ModelConfig("classes", tmp_path / "classes", BOTH)])
    begin, end = "UNKNOWN: 1 model(s) did not become available: {{name: classes version: 3} due to error: ", ", }"
    assert at_start.startswith(begin)
    assert at_start.endswith(f"{tmp_path}/classes/3.}}, and 3 more{end}")
    models.reload([])
    on_request = refusal(models.reload, [ModelConfig("classes", tmp_path / "classes", BOTH)], Caller(30.0))
    assert on_request.startswith(begin)
    assert on_request.count("due to error: NOT_FOUND: Could not find SavedModel") == 4


def test_a_model_without_a_folder_changes_nothing(models, base, tmp_path):
    models.reload([ModelConfig("other", base / "other")])
    config = [ModelConfig("lost", tmp_path / "lost"), ModelConfig("toy", base / "toy")]
    assert refusal(models.reload, config) == (
        f"NOT_FOUND: Could not find base path {tmp_path / 'lost'}. Create it or correct it."
    )
    assert (models.names, serving(models, "other")) == (["other"], 1)


def test_a_model_taken_away_is_remembered_and_may_come_back(models, base):
    toy, other = ModelConfig("toy", base / "toy"), ModelConfig("other", base / "other")
    models.reload([toy, other])
    models.reload([toy])
    assert serving_toy.eventually(lambda: states(models, "other") == {1: "END"})
    gone = "NOT_FOUND: Servable not found for request: Latest(other)"
    assert refusal(lambda: serving(models, "other")) == gone
    assert serving(models, "toy") == 2
    models.reload([toy, other])
    assert serving(models, "other") == 1


def test_a_reload_waits_for_the_first_version_and_the_end_ends_the_wait(models, tmp_path):
    (tmp_path / "late").mkdir()
    (tmp_path / "never").mkdir()
    waiting = threading.Thread(target=models.reload, args=([ModelConfig("late", tmp_path / "late")],))
    waiting.start()
    assert serving_toy.eventually(lambda: models.names == ["late"])
    assert waiting.is_alive()
    serving_toy.write_small(tmp_path / "late", 1)
    waiting.join(60)
    assert serving(models, "late") == 1
    refused = []
    never = [ModelConfig("never", tmp_path / "never")]
    waiting = threading.Thread(target=lambda: refused.append(refusal(models.reload, never)))
    waiting.start()
    assert serving_toy.eventually(lambda: models.names == ["never"])
    models.stop(5)
    waiting.join(60)
    assert refused == ["UNAVAILABLE: The server is shutting down."]


@pytest.mark.parametrize("loads", [1, 2])
def test_as_many_models_load_at_a_time_as_are_allowed(base, loads):
    together, active, most = threading.Barrier(loads), [], []

    def load(path):
        active.append(path)
        most.append(len(active))
        together.wait(60)
        servable = Servable(path)
        active.remove(path)
        return servable

    models = Models(load, rhythm=QUICK, loads=loads)
    models.reload([ModelConfig(name, base / name) for name in ("toy", "other")])
    assert max(most) == loads
    models.stop(5)


def write(path, *entries):
    """Writes a configuration by rename, as a publisher would."""
    draft = path.with_suffix(".new")
    draft.write_text(f"model_config_list {{ {' '.join(f'config {{ {entry} }}' for entry in entries)} }}")
    draft.rename(path)


def test_a_configuration_file_is_followed_and_a_broken_one_ignored(models, base, tmp_path, caplog):
    path = tmp_path / "models.config"
    toy = f"name: 'toy' base_path: '{base}/toy' model_platform: 'tensorflow' model_version_policy {{ all {{}} }}"
    write(path, toy)
    models.reload(configs.models(configs.read(path)))
    models.watch(path, 0.01)
    path.write_text("nonsense")
    assert serving_toy.eventually(lambda: caplog.messages)
    write(path, f"{toy} version_labels {{ key: 'stable' value: 1 }}", f"name: 'other' base_path: '{base}/other' "
          "model_platform: 'tensorflow'")  # fmt: skip
    assert serving_toy.eventually(lambda: "other" in models.names and models.status("other"))
    assert serving(models, "toy", label="stable") == 1
    assert caplog.messages == [
        f"{path} is ignored: INVALID_ARGUMENT: Invalid protobuf file: '{path}', line 1, column 1: Message type "
        '"tensorflow.serving.ModelServerConfig" has no field named "nonsense".'
    ]


def read(text):
    return configs.models(text_format.Parse(text, model_server_config_pb2.ModelServerConfig()), known={"known"})


def one(text):
    return f"model_config_list {{ config {{ {text} }} }}"


def test_policies_and_labels_are_read():
    common = "name: 'm' base_path: '/m' model_platform: 'tensorflow'"
    labels = "version_labels { key: 'stable' value: 3 }"
    assert read(one(common)) == [ModelConfig("m", configs.Path("/m"), Policy(1))]
    assert read(one(f"{common} model_version_policy {{ latest {{ num_versions: 3 }} }}"))[0].policy == Policy(3)
    assert read(one(f"{common} model_version_policy {{ all {{}} }} {labels}"))[0].labels == {"stable": 3}
    specific = read(one(f"{common} model_version_policy {{ specific {{ versions: 4 versions: 2 }} }}"))[0].policy
    assert specific.candidates([1, 2, 3, 4]) == [4, 2]
    deprecated = read(one("name: 'm' base_path: 'file:///m' model_type: TENSORFLOW"))
    assert deprecated == [ModelConfig("m", configs.Path("/m"))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (one("base_path: '/m' model_platform: 'tensorflow'"), "A model of the config list has no name."),
        (
            one("name: 'm' base_path: '/m'"),
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform, model name is m",
        ),
        (
            one("name: 'm' base_path: '/m' model_platform: 'tensorflow' model_type: TENSORFLOW"),
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            "ModelServerConfig::model_platform, model name is m",
        ),
        (one("name: 'm' base_path: '/m' model_platform: 'x'"), "Model m requests unsupported platform x"),
        (
            one("name: 'known' base_path: '/m' model_platform: 'x'"),
            "Illegal to change a model's platform. For model known platform was tensorflow and new platform "
            "requested is x",
        ),
        (
            one("name: 'm' base_path: 'gs://b/m' model_platform: 'tensorflow'"),
            "Model m: gs://b/m is not on a local file system; mount it.",
        ),
        (
            one("name: 'm' base_path: 'm' model_platform: 'tensorflow'"),
            "Expected model m to have an absolute path or URI; got base_path()=m",
        ),
    ],
)
def test_configurations_are_refused_in_tf_servings_words(text, message):
    assert refusal(read, text) == f"INVALID_ARGUMENT: {message}"


def test_a_base_path_that_no_file_system_takes_is_one_that_is_not_there():
    with pytest.raises(ServingError) as caught:
        configs.require_folder(ModelConfig("toy", Path("/" + 5000 * "n")))
    assert caught.value.code is Code.NOT_FOUND


def test_a_base_path_that_is_no_uri_is_a_path():
    assert configs.local("toy", "gs://[") == Path("gs://[")

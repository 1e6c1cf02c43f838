"""What TensorBoard shows of an evaluation, beside the training it belongs to."""

import json

import embeddings
import keras
import numpy as np
import pytest
import reports
import stores
from stores import COMPLETE
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.pr_curve import metadata
from tensorboard.util import tensor_util

from components.evaluator.component import _step
from components.report import board, pictures
from components.report.predictions import MOST, Answers, answers
from pipeline import boards

root, unlabelled, found = embeddings.root, embeddings.unlabelled, embeddings.found
EVERYTHING = reports.everything()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    keras.utils.save_img(folder / "samples.png", np.full((9, 17, 1), 255.0), scale=False)
    perfect = Answers("yes", np.array([True, False, True]), np.array([0.9, 0.1, 0.8]))
    board.write(EVERYTHING, folder, step=1232, files=pictures.read(folder), answers=[perfect])
    return folder / "tensorboard"


def events(folder, run: str) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder / run), size_guidance={"tensors": 0})
    accumulator.Reload()
    return accumulator


def test_every_metric_is_a_scalar_of_its_representations_run_at_the_step_of_the_weights(folder):
    assert {path.name for path in folder.iterdir()} == {"encoder", "pca", "random", "raw", "ceiling"}
    for run in ("encoder", "pca", "ceiling"):
        shown = events(folder, run)
        own = [metric for metric in EVERYTHING.metrics if metric.representation == run]
        assert {m.name for m in own} <= set(shown.Tags()["tensors"])
        for metric in own[:9]:
            [event] = shown.Tensors(metric.name)
            assert event.step == 1232
            assert tensor_util.make_ndarray(event.tensor_proto) == pytest.approx(metric.value)


def test_curves_and_pictures_stand_in_the_encoders_run(folder):
    encoder = events(folder, "encoder")
    [event] = encoder.Tensors("linear probe/yes/pr_curves")
    curve = tensor_util.make_ndarray(event.tensor_proto)
    precision, recall = curve[metadata.PRECISION_INDEX], curve[metadata.RECALL_INDEX]
    assert precision[100] == recall[100] == 1  # at a threshold of one half every answer is right
    assert precision[0] == pytest.approx(2 / 3)
    [image] = encoder.Tensors("samples")
    assert image.tensor_proto.string_val[:2] == [b"17", b"9"]
    assert not {"samples", "linear probe/yes/pr_curves"} & set(events(folder, "pca").Tags()["tensors"])


def test_the_curves_are_of_the_probe_that_was_measured(root, found):
    evaluation = found.evaluation
    of = list(answers(root, evaluation))
    assert [one.name for one in of] == list("0123456789")
    chosen = np.argmax([one.probability for one in of], axis=0)
    right = np.mean(chosen == np.argmax([one.truth for one in of], axis=0))
    [probe] = [m for m in evaluation.metrics if (m.name, m.representation) == ("probe/linear/all", "encoder")]
    assert right == pytest.approx(probe.value)
    assert len(of) <= MOST


def test_there_are_no_curves_without_a_label(unlabelled):
    evaluation = embeddings.evaluate(embeddings.request(unlabelled)).evaluation
    assert list(answers(unlabelled, evaluation)) == []


def test_the_step_is_the_best_epochs(tmp_path):
    path = tmp_path / "training.json"
    assert _step(path) == 0
    path.write_text(json.dumps({"steps": 1320, "epochs": 60, "best_epoch": 56}))
    assert _step(path) == 1232


def test_a_runs_training_and_evaluation_are_shown_together_and_the_links_go(tmp_path):
    store = stores.record(tmp_path)
    training = store.root / "Trainer/model_run/3"
    for run in ("train", "eval"):
        (training / run).mkdir(parents=True)
    with boards.folder(tmp_path, "20260701") as shown:
        assert shown == training
    measured = store.root / "RepresentationEvaluator/evaluation/4/tensorboard"
    (measured / "encoder").mkdir(parents=True)
    for name in ("20260701", "digits"):
        with boards.folder(tmp_path, name) as shown:
            places = {path.name: path.resolve() for path in shown.iterdir()}
            assert places == {
                "train": training / "train",
                "eval": training / "eval",
                "evaluation": measured,
            }
        assert not shown.exists()
        assert (measured / "encoder").is_dir()
    with boards.folder(tmp_path, None) as shown:
        assert shown == tmp_path


def test_the_latest_evaluation_of_a_training_is_shown(tmp_path):
    store = stores.record(tmp_path)
    (store.root / "Trainer/model_run/3/train").mkdir(parents=True)
    again = store.artifact("RepresentationEvaluation", "RepresentationEvaluator/evaluation/8")
    trained = store.artifact("ModelRun", "Trainer/model_run/3")
    run = "20260704-100000"
    store.step(run, "Trainer", COMPLETE, (), [("model_run", trained)])
    store.step(run, "RepresentationEvaluator", COMPLETE, (), [("evaluation", again)])
    latest = store.root / "RepresentationEvaluator/evaluation/8/tensorboard"
    latest.mkdir(parents=True)
    with boards.folder(tmp_path, "20260701") as shown:
        assert (shown / "evaluation").resolve() == latest

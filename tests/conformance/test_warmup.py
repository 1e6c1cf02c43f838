"""Cases 81 and 82: versions that warm up, or fail to, and one that wants XLA."""

import shutil

import pytest
import serving_toy
import tensorflow as tf
from conformance import harness
from conformance.harness import CODE, METRICS, SECONDS, make_request, refusal
from tensorflow_serving.apis import prediction_log_pb2

FILE = "assets.extra/tf_serving_warmup_requests"


def predict_log(inputs):
    request = make_request(inputs, name="of no matter", signature="embed")
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))


@pytest.fixture
def warmed(ready, tmp_path):
    """Makes a version with a warm-up file of these logs."""

    def make(logs):
        folder = shutil.copytree(ready[1], tmp_path / "version", dirs_exist_ok=True)
        (folder / FILE).parent.mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(folder / FILE)) as writer:
            for log in logs:
                writer.write(log.SerializeToString())
        return folder

    return make


def test_81_a_version_answers_its_warm_up_requests_before_others(api, catalog, rest, target, warmed):
    base = target.models / "warm"
    harness.publish(warmed([predict_log({"x": [[1.0, 2.0]]})] * 3), base, 1)
    catalog.put("warm", harness.all_versions())
    labels = f'model_path="{base}/1",status="OK"'
    assert f":tensorflow:serving:model_warmup_latency_count{{{labels}}} 1" in rest.get(METRICS).text.splitlines()
    harness.publish(warmed([predict_log({"z": [[1.0, 2.0]]})]), base, 2)
    harness.wait_for(lambda: api.states("warm").get(2, ("",))[0] == "END", "version 2 ends")
    assert api.states("warm") == {2: ("END", CODE.INVALID_ARGUMENT.value[0]), 1: ("AVAILABLE", 0)}


def test_82_a_function_for_xla_is_refused_when_it_is_called(api, catalog, target, tmp_path):
    harness.publish(serving_toy.write_compiled(tmp_path, 1), target.models / "compiled", 1)
    catalog.put("compiled")
    assert api.states("compiled") == {1: ("AVAILABLE", 0)}
    code, text = refusal(api.prediction.Predict, make_request(name="compiled"))
    assert code == CODE.INTERNAL
    assert "XLA compilation disabled" in text
    assert api.prediction.Predict(make_request(), timeout=SECONDS).model_spec.version.value == 2

"""Warm-up files: every kind of request, how often, and every way in which a file can be wrong."""

import pytest
import serving_toy
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2 as logs

from serving.metrics import Metrics
from serving.servable import Servable
from serving.status import Code, ServingError
from serving.warmup import FILE, WarmUp

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return serving_toy.write(tmp_path_factory.mktemp("models"), 1)


class Watched(Servable):
    """A servable that notes what it runs."""

    def __init__(self, path):
        self.ran = []
        super().__init__(path, warm_up=lambda _: None)

    def run(self, signature, inputs):
        self.ran.append(signature.name)
        return super().run(signature, inputs)


@pytest.fixture(scope="module")
def opened(version):
    servable = Watched(version)
    yield servable
    servable.close_when_idle(0)


@pytest.fixture
def loaded(opened):
    opened.ran.clear()
    return opened


@pytest.fixture
def file(version):
    path = version / FILE
    path.parent.mkdir(exist_ok=True)
    yield path
    path.unlink()


def write(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record if isinstance(record, bytes) else record.SerializeToString())


def predict(signature="serving_default", alias="x"):
    log = logs.PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    log.predict_log.request.inputs[alias].CopyFrom(tf.make_tensor_proto([[1.0, 2.0]]))
    return log


def example(given):
    features = given.example_list.examples.add().features
    features.feature["x"].float_list.value.extend([1.0, 2.0])


def classify(signature="cls"):
    log = logs.PredictionLog()
    log.classify_log.request.model_spec.signature_name = signature
    example(log.classify_log.request.input)
    return log


def regress(signature="reg"):
    log = logs.PredictionLog()
    log.regress_log.request.model_spec.signature_name = signature
    example(log.regress_log.request.input)
    return log


def multi(signature="reg"):
    log = logs.PredictionLog()
    for name, method in (("cls", CLASSIFY), (signature, REGRESS)):
        task = log.multi_inference_log.request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = "toy", name
    example(log.multi_inference_log.request.input)
    return log


def session_run():
    log = logs.PredictionLog()
    log.session_run_log.SetInParent()
    return log


def test_every_kind_of_request_is_replayed_as_often_as_asked(loaded, file):
    write(file, [predict(), classify(), regress(), multi(), logs.PredictionLog()])
    metrics = Metrics()
    WarmUp(metrics, iterations=2)(loaded)
    assert loaded.ran == [*["serving_default"] * 2, *["cls"] * 2, *["reg"] * 2, *["cls", "reg"] * 2]
    labels = f'model_path="{loaded.path}",status="OK"'
    shown = metrics.exposition().decode().splitlines()
    assert f":tensorflow:serving:model_warmup_records_read{{{labels}}} 5" in shown
    assert f":tensorflow:serving:model_warmup_latency_count{{{labels}}} 1" in shown


def test_without_warm_up_each_signature_runs_on_zeros(loaded, file):
    write(file, [predict("bogus")])
    WarmUp(Metrics(), enabled=False)(loaded)
    assert sorted(loaded.ran) == sorted(loaded.signatures)


@pytest.mark.parametrize(
    ("records", "code", "text"),
    [
        ([predict("bogus")], Code.FAILED_PRECONDITION, 'Serving signature key "bogus" not found.'),
        ([predict(), predict(alias="z")], Code.INVALID_ARGUMENT, "Signature input alias: x(feed name:"),
        ([classify("reg")], Code.INVALID_ARGUMENT, "Expected classification signature outputs to contain"),
        ([regress("bogus")], Code.INVALID_ARGUMENT, "No signature was found with the name: bogus"),
        ([multi("cls")], Code.INVALID_ARGUMENT, "Duplicate evaluation of signature: cls"),
        ([session_run()], Code.UNIMPLEMENTED, "Unsupported log_type for warmup: 5"),
        ([b"\xff"], Code.INVALID_ARGUMENT, "Failed to parse warmup record: b'\\xff' from "),
        ([predict()] * 1001, Code.INVALID_ARGUMENT, "Number of warmup records exceeds the maximum (1000) at "),
    ],
)
def test_a_request_that_fails_fails_the_load(loaded, file, records, code, text):
    write(file, records)
    metrics = Metrics()
    with pytest.raises(ServingError) as caught:
        WarmUp(metrics)(loaded)
    assert (caught.value.code, caught.value.message[: len(text)]) == (code, text)
    assert f'status="{code.name}"}} 1' in metrics.exposition().decode()


def test_a_file_that_holds_no_records_fails_the_load(loaded, file):
    file.write_bytes(b"these are not the records you are looking for")
    with pytest.raises(ServingError) as caught:
        WarmUp(Metrics())(loaded)
    assert caught.value.code is Code.DATA_LOSS
    assert caught.value.message.endswith(". Please verify your warmup data is in TFRecord format.")

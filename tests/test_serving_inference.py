"""What Classify and Regress make of a model's outputs, and refuse of them; Examples from JSON."""

import numpy as np
import pytest
import serving_toy
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2

from serving import examples
from serving.inference import CLASSIFY, REGRESS, infer_all, serialized
from serving.servable import Servable
from serving.status import Code, ServingError

LABELS = np.array([[b"a", b"\xff"]], np.object_)
SCORES = np.array([[0.1, 0.9]], np.float32)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"classes": LABELS, "scores": SCORES}, [("a", np.float32(0.1)), ("\ufffd", np.float32(0.9))]),
        ({"classes": LABELS}, [("a", 0.0), ("\ufffd", 0.0)]),
        ({"scores": SCORES, "other": SCORES[0]}, [("", np.float32(0.1)), ("", np.float32(0.9))]),
        ({"scores": SCORES[:, :0]}, []),
    ],
)
def test_what_the_model_does_not_tell_of_a_class_is_empty(outputs, expected):
    assert CLASSIFY.read(outputs, 1) == [expected]
    result = classification_pb2.ClassificationResult()
    CLASSIFY.fill([expected], result)
    assert [(c.label, c.score) for c in result.classifications[0].classes] == expected


@pytest.mark.parametrize(
    ("method", "outputs", "text"),
    [
        (CLASSIFY, {"classes": LABELS[0]}, "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        (CLASSIFY, {"scores": SCORES[0]}, "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        (CLASSIFY, {"classes": SCORES}, "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        (CLASSIFY, {"scores": SCORES.astype(np.float64)}, "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE"),
        (CLASSIFY, {"classes": LABELS.T}, "Expected classes output batch size of 1. Got: 2"),
        (CLASSIFY, {"scores": SCORES.T}, "Expected scores output batch size of 1. Got: 2"),
        (
            CLASSIFY,
            {"classes": LABELS[:, :1], "scores": SCORES},
            "Tensors class and score should match in dim_size(1). Got 1 vs. 2",
        ),
        (
            REGRESS,
            {"outputs": SCORES},
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [1,2]",
        ),
        (REGRESS, {"outputs": SCORES[0]}, "Input batch size did not match output batch size: 1 vs. 2"),
        (REGRESS, {"outputs": np.array([1])}, "Expected output Tensor of DT_FLOAT.  Got: DT_INT64"),
    ],
)
def test_outputs_that_are_not_what_the_method_promises_are_refused(method, outputs, text):
    with pytest.raises(ServingError) as caught:
        method.read(outputs, 1)
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, text)


def test_regressions_may_be_a_column():
    assert REGRESS.read({"outputs": SCORES.T}, 2) == [np.float32(0.1), np.float32(0.9)]


def parsed(serialized_example):
    features = tf.train.Example.FromString(serialized_example).features.feature
    kinds = {name: feature.WhichOneof("kind") for name, feature in features.items()}
    return {name: (kind, list(getattr(features[name], kind).value) if kind else []) for name, kind in kinds.items()}


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ([1, True, False, -(2**63)], "int64_list", [1, 1, 0, -(2**63)]),
        (2**63 - 1, "int64_list", [2**63 - 1]),
        ([1.0, 0.5], "float_list", [1.0, 0.5]),
        (float("inf"), "float_list", [float("inf")]),
        (2**64, "float_list", [2.0**64]),  # RapidJSON's double
        (["a", {"b64": "/w=="}], "bytes_list", [b"a", b"\xff"]),
        ([], None, []),
    ],
)
def test_a_feature_has_the_type_of_its_values(value, kind, expected):
    (made,) = examples.read({"examples": [{"f": value}]})
    assert parsed(made) == {"f": (kind, expected)}


def test_names_beyond_the_format_are_refused():
    with pytest.raises(ServingError) as caught:
        examples.read({"examples": [{"\udcff": 1}]})
    text = 'Feature name "\\udcff" is not valid Unicode'
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, text)


FLOATS = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=3)
FEATURES = st.dictionaries(st.sampled_from("abc"), FLOATS)


@settings(deadline=None, max_examples=50)
@given(context=FEATURES, rows=st.lists(FEATURES, min_size=1, max_size=3))
def test_json_and_messages_make_the_same_examples_and_an_example_wins_over_its_context(context, rows):
    def message(features):
        made = tf.train.Example()
        for name, values in features.items():
            made.features.feature[name].float_list.value.extend(values)
        return made

    listed = input_pb2.ExampleListWithContext(context=message(context), examples=map(message, rows))
    by_message = serialized(input_pb2.Input(example_list_with_context=listed))
    by_json = examples.read({"context": context, "examples": rows})
    expected = [{name: ("float_list", values) for name, values in (context | row).items()} for row in rows]
    assert [parsed(made) for made in by_message] == expected
    assert [parsed(made) for made in by_json] == expected


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    servable = Servable(serving_toy.write(tmp_path_factory.mktemp("models"), 1), warm_up=lambda _: None)
    yield servable
    servable.close_when_idle(0)


@pytest.mark.parametrize(
    ("method", "name", "noun", "verb"),
    [(CLASSIFY, "cls", "classification", "classify"), (REGRESS, "reg", "regression", "regress")],
)
def test_a_strict_server_wants_signatures_that_name_the_method(toy, method, name, noun, verb):
    assert method.signature(toy, name).name == name
    with pytest.raises(ServingError) as caught:
        method.signature(toy, name, strict=True)
    text = f"Expected {noun} signature method_name to be tensorflow/serving/{verb}. Was: tensorflow/serving/predict"
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, text)
    task = inference_pb2.InferenceTask(method_name=method.method_name)
    task.model_spec.name, task.model_spec.signature_name = "toy", name
    request = inference_pb2.MultiInferenceRequest(tasks=[task])
    with pytest.raises(ServingError) as caught:
        infer_all(toy, request, toy.run, strict=True)
    assert caught.value.message == text

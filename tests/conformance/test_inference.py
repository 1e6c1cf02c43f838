"""Cases 26 to 35, 63 and 64: Classify, Regress and MultiInference."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from conformance.harness import CODE, SECONDS, make_spec, refusal
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, regression_pb2

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
ROWS = ([1.0, 2.0], [3.0, 4.0])
VALUES = [5.5, 7.5]  # the sum of x / 2 + 2
CLASSES = [[("c0", 2.5), ("c1", 3.0), ("c2", 0.25)], [("c0", 3.5), ("c1", 4.0), ("c2", 0.35)]]


def example(**features):
    made = tf.train.Example()
    for name, values in features.items():
        made.features.feature[name].float_list.value.extend(values)
    return made


def examples(*rows):
    return input_pb2.Input(example_list=input_pb2.ExampleList(examples=[example(x=row) for row in rows or ROWS]))


def regression(given=None, **spec):
    spec = {"signature": "reg"} | spec
    return regression_pb2.RegressionRequest(model_spec=make_spec(**spec), input=given or examples())


def classification(given=None, **spec):
    spec = {"signature": "cls"} | spec
    return classification_pb2.ClassificationRequest(model_spec=make_spec(**spec), input=given or examples())


def tasks(*pairs):
    listed = [inference_pb2.InferenceTask(model_spec=make_spec(signature=s), method_name=m) for s, m in pairs]
    return inference_pb2.MultiInferenceRequest(tasks=listed, input=examples())


def values(result):
    return [regression.value for regression in result.regressions]


def classes(result):
    return [[(c.label, pytest.approx(c.score)) for c in found.classes] for found in result.classifications]


def test_26_regress_answers_each_example(api):
    response = api.prediction.Regress(regression(), timeout=SECONDS)
    assert values(response.result) == VALUES
    spec = response.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == ("toy", "reg", 2)


def test_27_a_context_is_merged_with_each_example(api):
    listed = input_pb2.ExampleListWithContext(examples=[example(), example(x=ROWS[1])], context=example(x=ROWS[0]))
    request = regression(input_pb2.Input(example_list_with_context=listed))
    assert values(api.prediction.Regress(request, timeout=SECONDS).result) == VALUES


@pytest.mark.parametrize(
    "given",
    [input_pb2.Input(), input_pb2.Input(example_list_with_context=input_pb2.ExampleListWithContext(context=example()))],
    ids=["nothing", "context alone"],
)
def test_28_regress_needs_examples(api, given):
    assert refusal(api.prediction.Regress, regression(given)) == (CODE.INVALID_ARGUMENT, "Input is empty.")


@pytest.mark.parametrize(
    ("make", "method", "signature", "text"),
    [
        pytest.param(regression, "Regress", "", "No regression inputs found in SignatureDef", id="29"),
        pytest.param(regression, "Regress", "bogus", "No signature was found with the name: bogus", id="30"),
        pytest.param(regression, "Regress", "cls", "Expected one output Tensor.", id="29 outputs"),
        pytest.param(classification, "Classify", "two_in", "Expected one input Tensor.", id="32"),
        pytest.param(classification, "Classify", "", "No classification inputs found in SignatureDef", id="32 name"),
        pytest.param(
            classification,
            "Classify",
            "reg",
            'Expected classification signature outputs to contain at least one of "classes" or "scores".',
            id="32 outputs",
        ),
    ],
)
def test_29_30_32_signatures_that_do_not_fit_are_refused(api, make, method, signature, text):
    code, found = refusal(getattr(api.prediction, method), make(signature=signature))
    assert (code, found[: len(text)]) == (CODE.INVALID_ARGUMENT, text)


def test_31_classify_labels_and_scores_each_example(api):
    response = api.prediction.Classify(classification(), timeout=SECONDS)
    assert classes(response.result) == CLASSES
    assert (response.model_spec.signature_name, response.model_spec.version.value) == ("cls", 2)


def test_33_multi_inference_answers_in_the_order_of_its_tasks(api):
    response = api.prediction.MultiInference(tasks(("cls", CLASSIFY), ("reg", REGRESS)), timeout=SECONDS)
    first, second = response.results
    assert classes(first.classification_result) == CLASSES
    assert values(second.regression_result) == VALUES
    specs = [(r.model_spec.name, r.model_spec.signature_name, r.model_spec.version.value) for r in response.results]
    assert specs == [("toy", "cls", 2), ("toy", "reg", 2)]


@pytest.mark.parametrize(
    ("pairs", "code", "text"),
    [
        ([("reg", REGRESS), ("reg", REGRESS)], CODE.INVALID_ARGUMENT, "Duplicate evaluation of signature: reg"),
        (
            [("reg", "tensorflow/serving/predict")],
            CODE.UNIMPLEMENTED,
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
        ([("bogus", REGRESS)], CODE.INVALID_ARGUMENT, "Requested signature not found in model graph: bogus"),
        ([], CODE.INVALID_ARGUMENT, "ModelSpec has no name specified."),
    ],
    ids=["34", "35", "unknown", "nothing"],
)
def test_34_35_tasks_that_cannot_be_done_are_refused(api, pairs, code, text):
    assert refusal(api.prediction.MultiInference, tasks(*pairs)) == (code, text)


def test_tasks_of_two_models_are_refused(api):
    request = tasks(("reg", REGRESS), ("cls", CLASSIFY))
    request.tasks[1].model_spec.name = "other"
    text = "All ModelSpecs in a MultiInferenceRequest must access the same model name."
    assert refusal(api.prediction.MultiInference, request) == (CODE.INVALID_ARGUMENT, text)


def test_63_regress_and_classify_over_rest(rest):
    rows = [{"x": row} for row in ROWS]
    regressed = rest.post("/v1/models/toy:regress", {"signature_name": "reg", "examples": rows})
    assert (regressed.status_code, regressed.json()) == (200, {"results": VALUES})
    classified = rest.post("/v1/models/toy:classify", {"signature_name": "cls", "examples": rows})
    found = [[(label, pytest.approx(score)) for label, score in row] for row in classified.json()["results"]]
    assert (classified.status_code, found) == (200, CLASSES)
    merged = {"signature_name": "reg", "context": {"x": ROWS[0]}, "examples": [{}, {"x": ROWS[1]}]}
    assert rest.post("/v1/models/toy:regress", merged).json() == {"results": VALUES}
    by_version = rest.post("/v1/models/toy/versions/1:regress", {"signature_name": "reg", "examples": rows})
    assert by_version.json() == {"results": [3.5, 5.5]}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "When method is classify, key 'examples' is expected and was not found"),
        ({"examples": {}}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{"x": [1, 1.5]}]}, "Unexpected element type in feature: x expecting type: int64"),
        ({"examples": [{"x": [1.5, "a"]}]}, "Unexpected element type in feature: x expecting type: float"),
        ({"examples": [{"x": ["a", True]}]}, "Unexpected element type in feature: x expecting type: bytes"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1.5]]}]}, "Feature: x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": {"a": 1}}]}, "Feature: x has element with unexpected JSON type: Object"),
        ({"examples": [{"x": 1 << 63}]}, "Feature: x has uint64 element. Only int64 is supported."),
        ({"examples": [{"x": 1e39}]}, "Cannot convert JSON value: 1e+39 to float without loss of precision."),
        ({"examples": [{"x": {"b64": "%"}}]}, "Unable to base64 decode"),
        ({"examples": [{"x": 1.5}], "signature_name": "bogus"}, "No signature was found with the name: bogus"),
    ],
)
@pytest.mark.parametrize("verb", ["regress", "classify"])
def test_64_bodies_that_are_no_examples_are_refused(rest, verb, body, text):
    response = rest.post(f"/v1/models/toy:{verb}", {"signature_name": verb[:3]} | body)
    assert response.status_code == 400
    assert text in response.json()["error"]


def test_64_bad_examples_for_an_unknown_model_are_bad_examples(rest):
    assert rest.post("/v1/models/nomodel:regress", {}).status_code == 400
    assert rest.post("/v1/models/nomodel:regress", {"examples": [{"x": ROWS[0]}]}).status_code == 404


def test_examples_the_model_cannot_parse_are_refused_by_its_session(api, rest):
    integers = {"signature_name": "reg", "examples": [{"x": [1, 2]}]}
    response = rest.post("/v1/models/toy:regress", integers)
    assert response.status_code == 400
    assert "Data types don't match." in response.json()["error"]
    with pytest.raises(grpc.RpcError) as caught:
        api.prediction.Regress(regression(examples([1.0])), timeout=SECONDS)
    assert caught.value.code() == CODE.INVALID_ARGUMENT


def test_many_callers_get_their_own_examples_back(api):
    calls = [api.prediction.Regress.future(regression(examples([float(i), 0.0])), timeout=SECONDS) for i in range(32)]
    answered = [values(call.result().result)[0] for call in calls]
    np.testing.assert_array_equal(answered, np.arange(32) / 2 + 4)

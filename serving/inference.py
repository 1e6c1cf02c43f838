"""Classify, Regress and MultiInference: what they ask of a signature, and what its outputs mean.

All three take `tf.train.Example`s and need a signature whose only input, serialized Examples, is called `inputs`.
Checks, their order and their words are TF Serving's. As `serving.prediction`, it knows no models by name.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, regression_pb2

from serving.prediction import DEFAULT_SIGNATURE
from serving.servable import Servable
from serving.signature import Signature
from serving.status import Code, ServingError, invalid
from serving.tensors import BY_NUMPY

INPUT, CLASSES, SCORES, OUTPUT = "inputs", "classes", "scores", "outputs"
Arrays = Mapping[str, np.ndarray]
Run = Callable[[Signature, Arrays], Arrays]


class Method(NamedTuple):
    """One of the two methods.

    Attributes:
        api: its name in the API.
        noun: what messages call it.
        method_name: its name in a signature.
        check: refuses a SignatureDef that does not fit.
        read: checks the outputs for a number of examples, and returns the values of each example.
        response: class of its response.
        fill: writes the values of each example into the response's result.
    """

    api: str
    noun: str
    method_name: str
    check: Callable[[Any], None]
    read: Callable[[Arrays, int], list[Any]]
    response: type
    fill: Callable[[list[Any], Any], None]

    def signature(self, servable: Servable, name: str, *, strict: bool = False) -> Signature:
        """Returns a signature of a servable.

        Args:
            servable: the version.
            name: the signature's name.
            strict: whether the signature itself must name the method.

        Raises:
            ServingError: INVALID_ARGUMENT, there is none of that name, or the method cannot use it.
        """
        if name not in servable.definitions:
            raise invalid(f"No signature was found with the name: {name}")
        return self.checked(servable, name, strict)

    def checked(self, servable: Servable, name: str, strict: bool) -> Signature:
        """Returns a signature that is there; see `signature`."""
        definition = servable.definitions[name]
        if strict and definition.method_name != self.method_name:
            raise invalid(
                f"Expected {self.noun} signature method_name to be {self.method_name}. Was: {definition.method_name}"
            )
        self.check(definition)
        if name not in servable.signatures:
            raise invalid(f"Signature {name} has tensors of a type that cannot be served.")
        return servable.signatures[name]


def infer(method: Method, servable: Servable, request: Any, run: Run, result: Any, *, strict: bool = False) -> None:
    """Answers Classify or Regress.

    Args:
        method: which of the two.
        servable: the version the request is for.
        request: the request; its model's name and version are not looked at.
        run: runs a signature of the servable.
        result: message to write the answer to.
        strict: whether the signature itself must name the method.

    Raises:
        ServingError: with TF Serving's code and text.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = method.signature(servable, name, strict=strict)
    examples = serialized(request.input)
    method.fill(method.read(run(signature, {INPUT: examples}), len(examples)), result)


def infer_all(
    servable: Servable, request: inference_pb2.MultiInferenceRequest, run: Run, *, strict: bool = False
) -> list[Any]:
    """Answers MultiInference.

    Args:
        servable: the version the tasks are for.
        request: the request; its models' versions are not looked at.
        run: runs a signature of the servable.
        strict: whether the signatures themselves must name the methods.

    Returns:
        An InferenceResult for each task, in order, without model_spec.

    Raises:
        ServingError: with TF Serving's code and text.
    """
    tasks = _tasks(servable, request, strict)
    examples = serialized(request.input)
    results = []
    for method, signature in tasks:
        result = inference_pb2.InferenceResult()
        part = result.classification_result if method is CLASSIFY else result.regression_result
        method.fill(method.read(run(signature, {INPUT: examples}), len(examples)), part)
        results.append(result)
    return results


def serialized(given: input_pb2.Input) -> np.ndarray:
    """Returns the serialized Examples of an input [batch].

    A context comes first in the bytes of each Example, which merges the two: of a feature in both the
    Example's own is read.

    Raises:
        ServingError: INVALID_ARGUMENT, there are none.
    """
    listed = examples_of(given)
    if not listed:
        raise invalid("Input is empty.")
    context = given.example_list_with_context.context.SerializeToString()
    return np.array([context + example.SerializeToString() for example in listed], np.object_)


def examples_of(given: input_pb2.Input) -> Any:
    """Returns the Examples of an input, whichever of its two forms it has."""
    return getattr(given, given.WhichOneof("kind") or "example_list").examples


def _tasks(
    servable: Servable, request: inference_pb2.MultiInferenceRequest, strict: bool
) -> list[tuple[Method, Signature]]:
    tasks: dict[str, tuple[Method, Signature]] = {}
    for task in request.tasks:
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if not task.model_spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if task.model_spec.name != request.tasks[0].model_spec.name:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        if name in tasks:
            raise invalid(f"Duplicate evaluation of signature: {name}")
        if name not in servable.definitions:
            raise invalid(f"Requested signature not found in model graph: {name}")
        if task.method_name not in METHODS:
            raise ServingError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
        method = METHODS[task.method_name]
        tasks[name] = method, method.checked(servable, name, strict)
    return list(tasks.values())


def _check_classification(definition: Any) -> None:
    _check_input(definition)
    if len(definition.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(definition.outputs)}")
    if INPUT not in definition.inputs:
        raise invalid(f"No classification inputs found in SignatureDef: {definition}")
    if CLASSES not in definition.outputs and SCORES not in definition.outputs:
        raise invalid(
            f'Expected classification signature outputs to contain at least one of "{CLASSES}" or "{SCORES}". '
            f"Signature was: {definition}"
        )


def _check_regression(definition: Any) -> None:
    _check_input(definition)
    if len(definition.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if INPUT not in definition.inputs:
        raise invalid(f"No regression inputs found in SignatureDef: {definition}")
    if OUTPUT not in definition.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {definition}")


def _check_input(definition: Any) -> None:
    if len(definition.inputs) != 1:
        raise invalid("Expected one input Tensor.")


def _read_classes(outputs: Arrays, examples: int) -> list[list[tuple[str, float]]]:
    """Returns label and score of each class, for each example; what the model does not tell is empty or 0."""
    classes, scores = (outputs.get(alias) for alias in (CLASSES, SCORES))
    for array, alias, kind in ((classes, CLASSES, "string"), (scores, SCORES, "float")):
        if array is not None:
            _check_matrix(array, alias, kind, examples)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise invalid(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    known = classes if classes is not None else scores
    if known is None:
        raise invalid("Expected 1 output tensor(s).  Got: 0")
    labels = np.full(known.shape, b"", np.object_) if classes is None else classes
    values = np.zeros(known.shape, np.float32) if scores is None else scores
    texts = [[label.decode("utf-8", "replace") for label in row] for row in labels.tolist()]
    return [list(zip(*row, strict=True)) for row in zip(texts, values, strict=True)]


def _check_matrix(array: np.ndarray, alias: str, kind: str, examples: int) -> None:
    if array.ndim != 2:
        raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
    if BY_NUMPY[array.dtype].name != kind:
        raise invalid(f"Expected {alias} Tensor of DT_{kind.upper()}. Got: {_type(array)}")
    if len(array) != examples:
        raise invalid(f"Expected {alias} output batch size of {examples}. Got: {len(array)}")


def _read_values(outputs: Arrays, examples: int) -> list[float]:
    """Returns the value of each example."""
    array = outputs[OUTPUT]
    if array.ndim != 1 and (array.ndim != 2 or array.shape[1] != 1):
        raise invalid(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(array)}"
        )
    if len(array) != examples:
        raise invalid(f"Input batch size did not match output batch size: {examples} vs. {len(array)}")
    if array.dtype != np.float32:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {_type(array)}")
    return list(array.ravel())


def _fill_classes(values: list[list[tuple[str, float]]], result: classification_pb2.ClassificationResult) -> None:
    for row in values:
        classes = result.classifications.add().classes
        for label, score in row:
            classes.add(label=label, score=score)
    result.SetInParent()


def _fill_values(values: list[float], result: regression_pb2.RegressionResult) -> None:
    for value in values:
        result.regressions.add(value=value)
    result.SetInParent()


def _shape(array: np.ndarray) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def _type(array: np.ndarray) -> str:
    return f"DT_{BY_NUMPY[array.dtype].name.upper()}"


CLASSIFY = Method(
    "Classify",
    "classification",
    "tensorflow/serving/classify",
    _check_classification,
    _read_classes,
    classification_pb2.ClassificationResponse,
    _fill_classes,
)
REGRESS = Method(
    "Regress",
    "regression",
    "tensorflow/serving/regress",
    _check_regression,
    _read_values,
    regression_pb2.RegressionResponse,
    _fill_values,
)
METHODS = {method.method_name: method for method in (CLASSIFY, REGRESS)}

"""What the server does, once, for both protocols: which model a request is for, and what becomes of it there.

Checks, their order and their words are TF Serving's.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

# The *_pb2_grpc modules of the same package import cleanly under protobuf 6; prediction_service_pb2 and
# model_service_pb2 do not.
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
)

from serving import configs
from serving.batching import Batcher
from serving.callers import Caller, Form, Limits, Tell, origin, untold
from serving.inference import Arrays, Method, Run, examples_of, infer, infer_all
from serving.metrics import Counter, Metrics
from serving.models import Models
from serving.prediction import DEFAULT_SIGNATURE, prepare
from serving.servable import Servable
from serving.signature import Signature
from serving.states import Version
from serving.status import Code, ServingError, invalid
from serving.tensors import fill

if TYPE_CHECKING:
    from serving.request_log import RequestLog
    from serving.team import Team


class Service:
    """The models of a server and the batching thread that runs them.

    Args:
        models: what is served.
        batcher: runs the requests.
        limits: what one request may cost.
        form: what gRPC clients see differently.
        metrics: counts what is run.
        log: keeps a sample of the requests; None for none.
        team: the processes that serve together; None where this is the only one.
    """

    def __init__(
        self,
        models: Models,
        batcher: Batcher,
        *,
        limits: Limits,
        form: Form | None = None,
        metrics: Metrics | None = None,
        log: "RequestLog | None" = None,
        team: "Team | None" = None,
    ):
        self._models, self.batcher, self.limits = models, batcher, limits
        self.metrics, self.log = metrics or Metrics(), log
        self._form, self._team = form or Form(), team

    @property
    def strict(self) -> bool:
        """Whether a signature itself must name the method it is asked for with."""
        return self._form.strict

    @property
    def shares_ports(self) -> bool:
        """Whether other processes listen where this one does."""
        return self._team is not None

    def exposition(self) -> bytes:
        """Returns the metrics of the whole server in Prometheus' text format."""
        return self._team.exposition() if self._team else self.metrics.exposition()

    @contextlib.contextmanager
    def lease(self, spec: model_pb2.ModelSpec) -> Iterator[tuple[int, Servable]]:
        """Gives version number and servable that a request names, kept open inside the block.

        Raises:
            ServingError: INVALID_ARGUMENT without a name or for an unknown label, NOT_FOUND.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        number = spec.version.value if spec.HasField("version") else None
        with self._models.lease(spec.name, number, spec.version_label) as leased:
            yield leased

    def submit(
        self, servable: Servable, signature: Signature, inputs: Arrays, is_wanted: Callable[[], bool] | None = None
    ) -> Future:
        """Queues a run of a leased servable, for callers that must not block.

        Args:
            servable: as `lease` gave it.
            signature: one of its signatures.
            inputs: an array for each of its inputs.
            is_wanted: whether somebody still waits.

        Returns:
            Future of all outputs by alias.

        Raises:
            ServingError: INVALID_ARGUMENT for a wrong shape, UNAVAILABLE when the queue is full.
        """
        signature.check_shapes(inputs)
        return self.batcher.submit(servable, signature, inputs, time.monotonic() + self.limits.seconds, is_wanted)

    def predict(self, request: predict_pb2.PredictRequest, caller: Caller) -> predict_pb2.PredictResponse:
        """Answers PredictionService.Predict.

        Raises:
            ServingError: with TF Serving's code and text.
        """
        require_spec(request)
        with self.lease(request.model_spec) as (number, servable):
            call = prepare(servable, request, self.limits.request_bytes)
            caller.tell(origin(number, servable, call.signature.name))
            if self._form.strict:
                _require_method(servable, call.signature)
            outputs = self._run(request.model_spec.name, "Predict", servable, caller)(call.signature, call.inputs)
            if self.log:
                self.log.record(request.model_spec.name, number, servable, call.signature, call.inputs, outputs)
        response = predict_pb2.PredictResponse()
        name_model(response.model_spec, request.model_spec, number)
        for alias in call.wanted:
            fill(response.outputs[alias], outputs[alias], content=self._form.content)
        return response

    def infer(self, method: Method, request: Any, caller: Caller) -> Any:
        """Answers PredictionService.Classify or Regress.

        Raises:
            ServingError: with TF Serving's code and text.
        """
        require_spec(request)
        response = method.response()
        with self.lease(request.model_spec) as (number, servable):
            caller.tell(origin(number, servable))
            run = self._run(request.model_spec.name, method.api, servable, caller)
            infer(method, servable, request, run, response.result, strict=self.strict)
        name_model(response.model_spec, request.model_spec, number)
        return response

    def infer_all(
        self, request: inference_pb2.MultiInferenceRequest, caller: Caller
    ) -> inference_pb2.MultiInferenceResponse:
        """Answers PredictionService.MultiInference, the results in the order of the tasks.

        Raises:
            ServingError: with TF Serving's code and text.
        """
        # As in TF Serving, the first task names the version.
        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        with self.lease(spec) as (number, servable):
            caller.tell(origin(number, servable))
            run = self._run(spec.name, "MultiInference", servable, caller)
            results = infer_all(servable, request, run, strict=self.strict)
        response = inference_pb2.MultiInferenceResponse(results=results)
        for task, result in zip(request.tasks, response.results, strict=True):
            name_model(result.model_spec, task.model_spec, number)
        self.metrics.counted(spec.name, len(examples_of(request.input)))
        return response

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, tell: Tell = untold
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Answers PredictionService.GetModelMetadata.

        Args:
            request: the request.
            tell: is told which version answers, and in which space.

        Raises:
            ServingError: with TF Serving's code and text.
        """
        require_spec(request)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid(f"Metadata field {field} is not supported")
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self.lease(request.model_spec) as (number, servable):
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = number
            tell(origin(number, servable))
            definitions = get_model_metadata_pb2.SignatureDefMap(signature_def=servable.definitions)
        response.metadata["signature_def"].Pack(definitions)
        return response

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Answers ModelService.GetModelStatus.

        Raises:
            ServingError: NOT_FOUND for a model or version never seen.
        """
        require_spec(request)
        spec = request.model_spec
        known = self._models.status(spec.name)
        if spec.HasField("version"):
            known = [version for version in known if version.number == spec.version.value]
            if not known:
                raise ServingError(Code.NOT_FOUND, f"Could not find version {spec.version.value} of model {spec.name}")
        if not known:
            raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        response.model_version_status.extend(map(_version_status, known))
        return response

    def reload(
        self, request: model_management_pb2.ReloadConfigRequest, caller: Caller
    ) -> model_management_pb2.ReloadConfigResponse:
        """Answers ModelService.HandleReloadConfigRequest, once every new model has a version that serves.

        Raises:
            ServingError: with TF Serving's code and text; INVALID_ARGUMENT, and nothing is changed, for a name among
                the metric_names that is no counter's.
        """
        counters = {name: self._counter(name) for name in request.metric_names}
        before = {name: counter.total() for name, counter in counters.items()}
        if self._team:
            self._team.reload(request, caller)
        else:
            self._models.reload(configs.models(request.config, self._models.names), caller)
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        for name, counter in counters.items():
            response.metric.add(name=name, int64_value_increase=int(counter.total() - before[name]))
        return response

    def _counter(self, name: str) -> Counter:
        if name not in self.metrics.counters:
            known = ", ".join(sorted(self.metrics.counters))
            raise invalid(f"metric_names: {name} is no counter of this server. Name one of {known}.")
        return self.metrics.counters[name]

    def _run(self, model: str, api: str, servable: Servable, caller: Caller) -> Run:
        """Returns the function that runs the signatures of a leased servable, for callers with their own thread."""
        deadline = math.inf if caller.seconds is None else time.monotonic() + caller.seconds

        def run(signature: Signature, inputs: Arrays) -> Arrays:
            signature.check_shapes(inputs)
            start = time.perf_counter()
            outputs = self.batcher.run(servable, signature, inputs, deadline, caller.is_wanted)
            self.metrics.ran(model, api, time.perf_counter() - start)
            return outputs

        return run


def require_spec(request: Any) -> None:
    """Refuses a request that names no model.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")


def _require_method(servable: Servable, signature: Signature) -> None:
    """Refuses a signature that no API of TF Serving's stands for."""
    known = [f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress")]
    method = servable.definitions[signature.name].method_name
    if method not in known:
        raise ServingError(
            Code.INTERNAL,
            f"Expected prediction signature method_name to be one of {{{', '.join(known)}}}. Was: {method}",
        )


def name_model(answer: model_pb2.ModelSpec, asked: model_pb2.ModelSpec, version: int) -> None:
    """Fills the model_spec of an answer: a label is not echoed, the version is the one that answered."""
    answer.name, answer.signature_name = asked.name, asked.signature_name or DEFAULT_SIGNATURE
    answer.version.value = version


def _version_status(version: Version) -> get_model_status_pb2.ModelVersionStatus:
    status = get_model_status_pb2.ModelVersionStatus(version=version.number, state=int(version.state))
    # Assigned even when OK: JSON shows the inner message only where it is present.
    status.status.error_code = int(version.error.code) if version.error else 0
    status.status.error_message = version.error.message if version.error else ""
    return status

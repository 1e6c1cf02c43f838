"""Everything a server can be told. Names and defaults are TF Serving's where TF Serving has them."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

ANY_PORT: Literal["any"] = "any"
NO_MODEL = "Both server_options.model_base_path and server_options.model_config_file are empty!"

Port = Annotated[int, Field(ge=0, le=65535)] | Literal["any"]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
# An empty path is TF Serving's way to say that there is none.
Place = Annotated[Path | None, BeforeValidator(lambda value: None if value == "" else value)]


class Options(BaseModel):
    """Everything a server can be told; the command line has one flag for each."""

    # Half of the fields begin with TF Serving's "model_".
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model_name: str = Field(default="default", min_length=1, description="The name clients ask for.")
    model_base_path: Place = Field(default=None, description="Folder of the version folders.")
    model_config_file: Place = Field(default=None, description="Text file of ModelServerConfig, for several models.")
    model_config_file_poll_wait_seconds: Count = Field(
        default=0, description="Pause between looks at that file, 0: look once."
    )
    allow_version_labels_for_unavailable_models: bool = Field(
        default=False, description="Let a new label name a version that is not loaded."
    )
    host: str = Field(default="127.0.0.1", description="Address to bind; loopback unless told otherwise.")
    port: Port = Field(default=8500, description="gRPC port; 0: none, any: a free one.")
    rest_api_port: Port = Field(default=0, description="REST port; 0: none, any: a free one.")
    grpc_socket_path: str = Field(default="", description="UNIX socket for gRPC, beside the port.")
    workers: Positive = Field(default=1, description="Processes that serve the same ports; Linux.")
    grpc_max_threads: Positive = Field(default=64, description="Most gRPC requests answered at a time.")
    grpc_channel_arguments: str = Field(default="", description="Arguments of the gRPC server: k=v,k=v.")
    ssl_config_file: Place = Field(default=None, description="Text file of SSLConfig, for gRPC.")
    enable_grpc_healthcheck_service: bool = Field(default=False, description="Answer grpc.health.v1.Health.")
    rest_api_ssl: bool = Field(default=False, description="Encrypt the REST port as ssl_config_file has gRPC's.")
    token_file: Place = Field(default=None, description="Tokens, one a line; only who sends one of them may ask.")
    rate_limit: str = Field(default="", description="Most requests of one client: 100/second, 5000/minute.")
    max_connections: Positive = Field(default=1024, description="Most connections of the REST port; more are closed.")
    idle_connection_seconds: Annotated[float, Field(gt=0)] = Field(
        default=75.0, description="Longest time that a connection may stay without a request."
    )
    unread_answer_seconds: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="Longest time that a REST client may take nothing of its answer."
    )
    rest_api_timeout_in_ms: Positive = Field(default=30_000, description="Longest time to an answer over REST.")
    rest_api_enable_cors_support: bool = Field(default=False, description="Let scripts of other origins call.")
    monitoring_config_file: Place = Field(default=None, description="Text file of MonitoringConfig, on the REST port.")
    enable_batching: bool | None = Field(
        default=None, description="Run requests together; unless set, those that have to wait anyway."
    )
    batching_parameters_file: Place = Field(default=None, description="Text file of BatchingParameters.")
    keep_versions: Positive = Field(
        default=1, description="How many of the newest versions of model_base_path are served."
    )
    only_version: Positive | None = Field(
        default=None, description="The only version of model_base_path that is served, whatever else is there."
    )
    file_system_poll_wait_seconds: Seconds = Field(
        default=1.0, description="Pause between looks at the folders, 0: look once."
    )
    max_num_load_retries: Count = Field(default=5, description="Further attempts to load a version that fails.")
    load_retry_interval_micros: Count = Field(default=60_000_000, description="Pause between two attempts.")
    num_load_threads: Count = Field(default=0, description="Most models that load a version at a time, 0: one.")
    saved_model_tags: str = Field(default="serve", description="Tags of the meta graph that is served: a,b.")
    enable_model_warmup: bool = Field(default=True, description="Replay a version's own warm-up requests.")
    num_request_iterations_for_warmup: Count = Field(default=0, description="How often each is replayed, 0: once.")
    tensorflow_session_parallelism: Count = Field(default=0, description="Both of the next two at once.")
    tensorflow_intra_op_parallelism: Count = Field(default=0, description="Threads of an operation, 0: all cores.")
    tensorflow_inter_op_parallelism: Count = Field(default=0, description="Operations run at a time, 0: all cores.")
    xla_cpu_compilation_enabled: bool = Field(default=False, description="Run functions that XLA must compile.")
    enable_serialization_as_tensor_content: bool = Field(
        default=False, description="Answer gRPC with raw bytes instead of typed fields."
    )
    enable_signature_method_name_check: bool = Field(
        default=False, description="Refuse signatures whose method is not a TF Serving one."
    )
    allow_reaching_out: bool = Field(
        default=False, description="Serve models that read files, open connections or call Python."
    )
    max_batch_size: Positive = Field(default=256, description="Most rows of one run; larger requests are sliced.")
    max_requests: Positive = Field(
        default=1024, description="Most requests at a time; more are refused: 503, and RESOURCE_EXHAUSTED by gRPC."
    )
    max_request_bytes: Positive = Field(default=64 << 20, description="Most bytes of one request.")
    enable_metrics: bool = Field(
        default=False, description="Metrics for Prometheus on the REST port, without a monitoring_config_file."
    )
    request_log_folder: Place = Field(default=None, description="Where a sample of the requests is logged.")
    request_log_sampling_rate: Share = Field(default=1.0, description="Probability that a request is logged, 0 to 1.")
    request_log_max_bytes: Annotated[int, Field(ge=1 << 20)] = Field(
        default=1 << 30, description="Most bytes of that folder; the oldest files go first."
    )
    request_log_predictions: bool = Field(
        default=False, description="Log whole requests and answers, too, as PredictionLog."
    )
    shutdown_delay_seconds: Seconds = Field(
        default=0.0, description="Time between NOT_SERVING and the end of listening, for load balancers to notice."
    )
    shutdown_grace_seconds: Seconds = Field(default=10.0, description="Time running requests have at the end.")

    @model_validator(mode="after")
    def _agree(self) -> "Options":
        if not self.model_base_path and not self.model_config_file:
            raise ValueError(NO_MODEL)
        if not self.port and not self.rest_api_port and not self.grpc_socket_path:
            raise ValueError("There is no port to serve on. Set port or rest_api_port; any takes a free one.")
        if self.port == self.rest_api_port and self.port != ANY_PORT:
            raise ValueError("rest_api_port must differ from port.")
        if self.rest_api_ssl and not self.ssl_config_file:
            raise ValueError("rest_api_ssl needs ssl_config_file.")
        if self.batching_parameters_file and not self.enable_batching:
            raise ValueError("batching_parameters_file needs enable_batching.")
        if self.tensorflow_session_parallelism and self._operations:
            raise ValueError(
                "tensorflow_session_parallelism excludes tensorflow_intra_op_parallelism and "
                "tensorflow_inter_op_parallelism."
            )
        if self.workers > 1 and sys.platform != "linux":
            raise ValueError("workers share their ports as only Linux lets them. Leave workers out.")
        if self.workers > 1 and self.grpc_socket_path:
            raise ValueError("grpc_socket_path is for one worker: several share ports, not a socket.")
        for argument in filter(None, self.grpc_channel_arguments.split(",")):
            if "=" not in argument:
                raise ValueError(f"grpc_channel_arguments must be k=v,k=v. Received: {argument}.")
        return self

    @property
    def _operations(self) -> int:
        return self.tensorflow_intra_op_parallelism or self.tensorflow_inter_op_parallelism

    @property
    def threads(self) -> tuple[int, int]:
        """Threads of an operation and operations at a time; 0 is as many as there are cores."""
        both = self.tensorflow_session_parallelism
        return both or self.tensorflow_intra_op_parallelism, both or self.tensorflow_inter_op_parallelism

    @property
    def channel_arguments(self) -> list[tuple[str, Any]]:
        """The gRPC server's arguments; whole numbers are numbers, as in TF Serving."""
        pairs = (text.partition("=") for text in self.grpc_channel_arguments.split(",") if text)
        return [(key, int(value) if value.lstrip("-").isdecimal() else value) for key, _, value in pairs]

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags of the meta graph that is served."""
        return tuple(self.saved_model_tags.split(","))

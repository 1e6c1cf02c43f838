"""Status and metadata as the REST API tells them: the JSON of their messages."""

from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from serving.documents import dumps


def status_json(response: get_model_status_pb2.GetModelStatusResponse) -> bytes:
    """Returns the body that tells the state of a model's versions."""
    return dumps(_plain(response))


def metadata_json(response: get_model_metadata_pb2.GetModelMetadataResponse) -> bytes:
    """Returns the body that tells a version's signatures."""
    definitions = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(definitions)
    # Not the Any's own JSON, which would add a type: TF Serving nests the map by hand.
    document = {
        "model_spec": _plain(response.model_spec),
        "metadata": {"signature_def": _plain(definitions)},
    }
    return dumps(document)


def _plain(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )

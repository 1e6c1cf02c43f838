"""The few messages of TF Serving's protocol a client needs, without TensorFlow.

Importing `tensorflow_serving.apis` takes seconds because it imports TensorFlow. These messages have the same
field numbers and types, hence the same bytes on the wire. They live in a pool of their own, so that a
process may use both.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto
SCALARS = {
    "int32": FIELD.TYPE_INT32,
    "int64": FIELD.TYPE_INT64,
    "uint32": FIELD.TYPE_UINT32,
    "uint64": FIELD.TYPE_UINT64,
    "float": FIELD.TYPE_FLOAT,
    "double": FIELD.TYPE_DOUBLE,
    "bool": FIELD.TYPE_BOOL,
    "string": FIELD.TYPE_STRING,
    "bytes": FIELD.TYPE_BYTES,
}
PACKAGE = "metaprior.wire"

# Enumerations travel as int32. "*" repeats a field; "map" maps strings to a message.
MESSAGES = {
    "Dim": "size 1 int64",
    "TensorShape": "dim 2 *Dim, unknown_rank 3 bool",
    "Tensor": (
        "dtype 1 int32, tensor_shape 2 TensorShape, tensor_content 4 bytes, half_val 13 *int32, float_val 5 *float, "
        "double_val 6 *double, int_val 7 *int32, string_val 8 *bytes, int64_val 10 *int64, bool_val 11 *bool, "
        "uint32_val 16 *uint32, uint64_val 17 *uint64, scomplex_val 9 *float, dcomplex_val 12 *double"
    ),
    "Int64Value": "value 1 int64",
    "Any": "type_url 1 string, value 2 bytes",
    "ModelSpec": "name 1 string, version 2 Int64Value, version_label 4 string, signature_name 3 string",
    "PredictRequest": "model_spec 1 ModelSpec, inputs 2 map Tensor",
    "PredictResponse": "outputs 1 map Tensor, model_spec 2 ModelSpec",
    "GetModelStatusRequest": "model_spec 1 ModelSpec",
    "Status": "error_code 1 int32, error_message 2 string",
    "VersionStatus": "version 1 int64, state 2 int32, status 3 Status",
    "GetModelStatusResponse": "model_version_status 1 *VersionStatus",
    "GetModelMetadataRequest": "model_spec 1 ModelSpec, metadata_field 2 *string",
    "GetModelMetadataResponse": "model_spec 1 ModelSpec, metadata 2 map Any",
    "TensorInfo": "name 1 string, dtype 2 int32, tensor_shape 3 TensorShape",
    "SignatureDef": "inputs 1 map TensorInfo, outputs 2 map TensorInfo, method_name 3 string",
    "SignatureDefMap": "signature_def 1 map SignatureDef",
    "MetaInfo": "tags 4 *string",
    "MetaGraph": "meta_info_def 1 MetaInfo, signature_def 5 map SignatureDef",
    "SavedModel": "meta_graphs 2 *MetaGraph",
}


def _build() -> dict[str, type]:
    file = descriptor_pb2.FileDescriptorProto(name="metaprior/wire.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.split(", "):
            _add_field(message, *field.split())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in MESSAGES}


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, number: str, kind: str, entry: str = "") -> None:
    if kind == "map":
        nested = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        nested.options.map_entry = True
        _add_field(nested, "key", "1", "string")
        _add_field(nested, "value", "2", entry)
        kind = f"*{message.name}.{nested.name}"
    field = message.field.add(name=name, number=int(number))
    field.label = FIELD.LABEL_REPEATED if kind.startswith("*") else FIELD.LABEL_OPTIONAL
    kind = kind.removeprefix("*")
    if kind in SCALARS:
        field.type = SCALARS[kind]
    else:
        field.type, field.type_name = FIELD.TYPE_MESSAGE, f".{PACKAGE}.{kind}"


_CLASSES = _build()
PredictRequest = _CLASSES["PredictRequest"]
PredictResponse = _CLASSES["PredictResponse"]
GetModelStatusRequest = _CLASSES["GetModelStatusRequest"]
GetModelStatusResponse = _CLASSES["GetModelStatusResponse"]
GetModelMetadataRequest = _CLASSES["GetModelMetadataRequest"]
GetModelMetadataResponse = _CLASSES["GetModelMetadataResponse"]
SignatureDefMap = _CLASSES["SignatureDefMap"]
SavedModel = _CLASSES["SavedModel"]

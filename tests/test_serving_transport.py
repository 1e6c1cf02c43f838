"""What flags change about the transport and the answers of a server: TLS, a socket, no REST, bytes, tags, methods."""

import datetime
import json

import grpc
import pytest
import tensorflow as tf
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.servable import Servable
from serving.server import Options, Server
from serving.status import ServingError

TODAY = datetime.datetime.now(datetime.UTC)


class Authority:
    """Signs certificates of this test."""

    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.cert = self._sign(self._name, self._key.public_key(), ca=True)

    def issue(self, name):
        """Returns a key and its certificate as PEM bytes."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return key.private_bytes(serialization.Encoding.PEM, *form), self._sign(subject, key.public_key(), ca=False)

    def _sign(self, subject, key, *, ca):
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        builder = x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(TODAY - datetime.timedelta(days=1))
        builder = builder.not_valid_after(TODAY + datetime.timedelta(days=1)).add_extension(names, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The base path of a model under an unusual tag, with a signature of an unusual method."""
    base = tmp_path_factory.mktemp("transport") / "odd"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        usual = tf.compat.v1.saved_model.predict_signature_def({"x": x}, {"y": x * 2})
        odd = tf.compat.v1.saved_model.predict_signature_def({"x": x}, {"y": x * 3})
        odd.method_name = "somebody/else"
        builder = tf.compat.v1.saved_model.Builder(str(base / "1"))
        builder.add_meta_graph_and_variables(session, ["serve", "odd"], {"serving_default": usual, "odd": odd})
        builder.save()
    return base


@pytest.fixture(scope="module")
def server(model, authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    key, cert = authority.issue("server")
    pem = {"server_key": key, "server_cert": cert, "custom_ca": authority.cert}
    lines = [f"{name}: {json.dumps(text.decode())}" for name, text in pem.items()]
    (folder / "ssl.config").write_text("\n".join([*lines, "client_verify: true"]))
    options = Options(
        model_name="odd",
        model_base_path=model,
        port="any",
        rest_api_port=0,
        grpc_socket_path=str(folder / "socket"),
        grpc_channel_arguments="grpc.max_concurrent_streams=10",
        ssl_config_file=folder / "ssl.config",
        saved_model_tags="serve,odd",
        enable_serialization_as_tensor_content=True,
        enable_signature_method_name_check=True,
        xla_cpu_compilation_enabled=True,
    )
    with Server(options) as running:
        yield running, options


def ask(channel, signature=""):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "odd", signature
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.5, 2.0]))
    with channel:
        return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30).outputs["y"]


def test_a_client_with_a_certificate_is_answered_and_one_without_is_not(server, authority):
    running, _ = server
    key, cert = authority.issue("client")
    address = f"localhost:{running.grpc_port}"
    known = grpc.ssl_channel_credentials(authority.cert, key, cert)
    assert tf.make_ndarray(ask(grpc.secure_channel(address, known))).tolist() == [3.0, 4.0]
    for channel in (
        grpc.secure_channel(address, grpc.ssl_channel_credentials(authority.cert)),
        grpc.secure_channel(address, grpc.ssl_channel_credentials(authority.cert, *Authority().issue("stranger"))),
        grpc.insecure_channel(address),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            ask(channel)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_the_socket_answers_with_raw_bytes_and_rest_is_off(server):
    running, options = server
    tensor = ask(grpc.insecure_channel(f"unix:{options.grpc_socket_path}"))
    assert (bool(tensor.tensor_content), list(tensor.float_val)) == (True, [])
    assert tf.make_ndarray(tensor).tolist() == [3.0, 4.0]
    assert running.rest_port == 0


def test_a_signature_of_another_method_is_refused_when_asked_to(server):
    _, options = server
    with pytest.raises(grpc.RpcError) as caught:
        ask(grpc.insecure_channel(f"unix:{options.grpc_socket_path}"), signature="odd")
    assert (caught.value.code(), caught.value.details()) == (
        grpc.StatusCode.INTERNAL,
        "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
        "tensorflow/serving/classify, tensorflow/serving/regress}. Was: somebody/else",
    )


def test_a_model_without_the_tags_is_refused(model):
    with pytest.raises(ServingError) as caught:
        Servable(model / "1")
    assert str(caught.value) == "NOT_FOUND: Could not find meta graph def matching supplied tags: { serve }."

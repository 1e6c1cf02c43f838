"""Pictures by signatures of arrays and of files, refused ones by their names, and neighbors in an older space."""

import json

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from encoders import OTHER, SPACE, write_codes
from PIL import Image
from serving_stub import TOKEN, rest_stub

from models.artifact import METADATA
from pipeline.cli.group import main
from pipeline.neighbors.build import build
from pipeline.parts import beside
from serving.server import Options, Server

PIXELS = tf.TensorSpec([None, 2, 2, 1], tf.uint8, "image")
FILES = tf.TensorSpec([None], tf.string, "image_bytes")


class Toy(tf.Module):
    """Embeds pictures of four pixels as their first column; it reads PNG files only."""

    @tf.function(input_signature=[PIXELS])
    def embed(self, image):
        code = tf.cast(tf.ensure_shape(image, [None, 2, 2, 1])[:, :, 0, 0], tf.float32)
        return {"embedding": code, "stddev": tf.ones_like(code), "rate": tf.reduce_sum(code, axis=1)}

    @tf.function(input_signature=[FILES])
    def embed_bytes(self, image_bytes):
        decode = tf.function(lambda raw: tf.ensure_shape(tf.io.decode_png(raw, 1), [2, 2, 1]))
        return self.embed(tf.map_fn(decode, image_bytes, fn_output_signature=tf.uint8))

    @tf.function(input_signature=[PIXELS])
    def embed_aligned(self, image):
        codes = self.embed(image)
        return codes | {"embedding": codes["embedding"] + 1}

    @tf.function(input_signature=[FILES])
    def embed_aligned_bytes(self, image_bytes):
        codes = self.embed_bytes(image_bytes)
        return codes | {"embedding": codes["embedding"] + 1}

    @tf.function(input_signature=[PIXELS])
    def outlying(self, image):
        return {"rate": self.embed(image)["rate"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path, toy = tmp_path_factory.mktemp("served") / "encoder", Toy()
    names = ("embed", "embed_bytes", "embed_aligned", "embed_aligned_bytes", "outlying")
    tf.saved_model.save(toy, str(path / "1"), signatures={name: getattr(toy, name) for name in names})
    (path / "1" / METADATA).parent.mkdir()
    record = {"space": OTHER, "latent": 2, "recipe": "vae", "aligned_to": {"space": SPACE}}
    (path / "1" / METADATA).write_text(json.dumps(record))
    return path


@pytest.fixture(scope="module")
def server(folder):
    options = {"model_name": "encoder", "model_base_path": folder, "port": "any", "rest_api_port": "any"}
    with Server(Options.model_validate(options)) as running:
        yield running


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a verb in a folder of its own that holds two pictures, a broken one, and one that only Pillow reads."""
    monkeypatch.chdir(tmp_path)
    for name, first in (("one.png", 3), ("two.png", 5), ("odd.bmp", 7)):
        Image.fromarray(np.array([[first, 0], [2, 0]], np.uint8)).save(name)
    (tmp_path / "broken.png").write_bytes((tmp_path / "one.png").read_bytes()[:50])
    return lambda *arguments: CliRunner().invoke(main, [str(one) for one in arguments], prog_name="metaprior")


@pytest.fixture
def ports(server):
    return [("--rest-port", server.rest_port), ("--port", server.grpc_port)]


def refusal(done) -> str:
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    [line] = done.stderr.splitlines()
    return line.removeprefix("metaprior: ")


def test_pictures_are_sent_to_the_twin_that_takes_files(run, ports):
    for port in ports:
        for signature in ("embed_aligned", "embed_aligned_bytes"):
            assert (
                run("query", "one.png", *port, "--signature", signature).output == "one.png  5.00 nats  4.000 3.000\n"
            )
    assert refusal(run("query", "one.png", *ports[0], "--signature", "outlying")) == (
        "--signature outlying: takes arrays (image uint8[?, 2, 2, 1]), and the model has no outlying_bytes for image "
        "files. Give an array (.npy)."
    )


def test_a_model_that_does_not_embed_names_what_it_has(run, tmp_path):
    toy = Toy()
    tf.saved_model.save(toy, str(tmp_path / "odd" / "1"), signatures={"outlying": toy.outlying})
    options = {"model_name": "encoder", "model_base_path": tmp_path / "odd", "port": 0, "rest_api_port": "any"}
    with Server(Options.model_validate(options)) as server:
        for given in ("[[[[1], [2]], [[3], [4]]]]", "one.png"):
            assert refusal(run("query", given, "--rest-port", server.rest_port)) in (
                "the model has no signature embed; it has outlying. Choose with --signature NAME.",
                "the model has no signature embed_bytes; it has outlying. Choose with --signature NAME.",
            )


def test_a_picture_that_cannot_be_decoded_is_named(run, ports, tmp_path):
    for port in ports:
        assert refusal(run("query", "one.png", "broken.png", "two.png", *port)) == (
            "broken.png: the server refuses it: Invalid PNG data, size 50. Replace it or leave it out."
        )
        told = refusal(run("query", "one.png", "odd.bmp", *port))
        assert told.startswith("odd.bmp: the server refuses it: ")
        assert "node" not in told
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(300):
        (photos / f"{number:03}.png").write_bytes((tmp_path / "one.png").read_bytes())
    (photos / "290.png").write_bytes(b"\x89PNG cut.")
    told = refusal(run("query", "photos", *ports[1], "--out", "photos.parquet"))
    assert told.startswith("photos/290.png: the server refuses it: ")
    assert not list(tmp_path.glob("*.parquet"))


def test_one_command_at_a_time_writes_a_file(run, ports, tmp_path):
    with beside(tmp_path / "out.parquet"):
        told = refusal(run("query", "one.png", *ports[1], "--out", tmp_path / "out.parquet"))
    assert "is writing it. Wait for it, or name another file." in told
    assert run("query", "one.png", *ports[1], "--out", "out.parquet").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == ["out.parquet"]


@pytest.fixture(scope="module")
def indexes(tmp_path_factory):
    """Indexes of two points by the space that they are of: the encoder's own, the one before, and another one."""
    root = tmp_path_factory.mktemp("indexes")
    for space in (SPACE, OTHER, "vae-2-000000000000"):
        codes = write_codes(root / f"{space}.parquet", np.array([[4.0, 3.0], [3.0, 2.0]]), space=space)
        build(codes, root / space, metric="euclidean")
    return root


def test_an_index_of_the_space_before_is_asked_in_that_space(run, ports, folder, indexes):
    for where in (("--serving", folder), *ports):
        done = run("search", indexes / SPACE, "one.png", "--k", 1, *where)
        assert done.stdout == "one.png\n   1  row 0  0.0000\n", done.output
        assert done.stderr.endswith(f"answers in the space of {indexes / SPACE} by embed_aligned\n")
    for where in ports:
        own = run("search", indexes / OTHER, "one.png", "--k", 1, *where)
        assert (own.stdout, own.stderr) == ("one.png\n   1  row 1  0.0000\n", "")
        chosen = run("search", indexes / SPACE, "one.png", "--k", 1, *where, "--signature", "embed_aligned_bytes")
        assert chosen.stdout == "one.png\n   1  row 0  0.0000\n"
        for signature in ("embed", "embed_bytes"):
            told = refusal(run("search", indexes / SPACE, "one.png", *where, "--signature", signature))
            assert f"is an index of {SPACE}, and version 1 of " in told
            assert f" is of {OTHER}; " in told
        assert f" is of {OTHER}; " in refusal(run("search", indexes / "vae-2-000000000000", "one.png", *where))
        told = refusal(run("search", indexes / OTHER, "one.png", *where, "--signature", "embed_aligned"))
        assert f" is of {SPACE}; " in told


def test_search_shows_a_server_who_asks(run, tmp_path):
    build(write_codes(tmp_path / "x.parquet", np.array([[1.5]]), space="5bace"), tmp_path / "x", metric="euclidean")
    (tmp_path / "token").write_text(TOKEN)
    with rest_stub(token=TOKEN) as (port, _):
        asked = ("search", "x", "[[1.5]]", "--rest-port", port)
        assert run(*asked, "--token-file", "token", "--timeout", 9).output == "0\n   1  row 0  0.0000\n"
        assert "The token is not known" in refusal(run(*asked))
    assert refusal(run("search", "x", "[[1.5]]", "--token-file", "token", "--serving", tmp_path)) == (
        "--token-file: is for a server. Name its port with --rest-port or --port. See metaprior search --help."
    )
    assert refusal(run("query", "[[1.5]]", "--certificate", "client.pem")) == (
        "--certificate and --key: give both of them. See metaprior query --help."
    )

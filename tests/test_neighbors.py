"""Indexes of embeddings: exact where they say so, near enough where not, and only of one space."""

import hashlib
import json

import encoders
import numpy as np
import pytest
from commands import refusal, run
from encoders import OTHER, SPACE, write_codes
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.errors import InputError
from pipeline.neighbors.build import build, chosen
from pipeline.neighbors.record import read_index_record
from pipeline.neighbors.search import Index
from pipeline.neighbors.vectors import distances, scaled
from serving.options import Options
from serving.server import Server

CODES = np.random.default_rng(0).normal(size=(3_000, 12)).astype(np.float32) * [[3.0] + 11 * [1.0]]
ASKED = np.random.default_rng(1).normal(size=(100, 12)).astype(np.float32)
NAMES = [f"query {row}" for row in range(100)]


def brute(metric: str, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and distances of the nearest, by the definitions."""
    codes, asked = CODES.astype(np.float64), ASKED.astype(np.float64)
    if metric == "euclidean":
        all_of_them = np.linalg.norm(asked[:, None] - codes[None], axis=2)
    else:
        lengths = np.linalg.norm(asked, axis=1)[:, None] * np.linalg.norm(codes, axis=1)
        all_of_them = 1.0 - asked @ codes.T / lengths
    places = np.argsort(all_of_them, axis=1)[:, :k]
    return places, np.take_along_axis(all_of_them, places, axis=1)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codes") / "codes"
    for part, rows in enumerate((slice(0, 1_100), slice(1_100, 3_000))):
        labels = [str(row % 7) for row in range(rows.start, rows.stop)]
        write_codes(folder / f"part-{part}.parquet", CODES[rows], start=rows.start, rows=300, label=labels)
    return folder


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_flat_index_finds_exactly_the_nearest(parquet, tmp_path, metric):
    record = build(parquet, tmp_path / "index", metric=metric)
    assert (record.kind, record.count, record.dimension, record.space) == ("flat", 3_000, 12, SPACE)
    found = Index(tmp_path / "index").search(ASKED, NAMES, 5)
    places, expected = brute(metric, 5)
    assert [[one.id for one in row] for row in found] == [[f"row {place}" for place in row] for row in places]
    assert [[one.label for one in row] for row in found] == [[str(place % 7) for place in row] for row in places]
    np.testing.assert_allclose([[one.distance for one in row] for row in found], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("kind", "least"), [("hnsw", 0.98), ("ivf", 0.9)])
def test_an_approximate_index_finds_most_of_the_nearest(parquet, tmp_path, kind, least):
    assert build(parquet, tmp_path / "index", metric="euclidean", kind=kind).kind == kind
    found = Index(tmp_path / "index").search(ASKED, NAMES, 10)
    places, _ = brute("euclidean", 10)
    hits = [
        len({one.id for one in row} & {f"row {place}" for place in truth})
        for row, truth in zip(found, places, strict=True)
    ]
    assert sum(hits) / 1_000 >= least
    assert all(row[0].distance <= row[-1].distance for row in found)


def test_the_size_chooses_the_index():
    kinds = [chosen(count) for count in (1, 200_000, 200_001, 1_000_000, 1_000_001)]
    assert kinds == ["flat", "flat", "hnsw", "hnsw", "ivf"]


def test_the_record_says_what_was_indexed_by_what(parquet, tmp_path):
    done = run("index", parquet, "--out", tmp_path / "index", "--metric", "cosine")
    assert done.output == (f"3,000 embeddings of {SPACE} indexed in {tmp_path}/index: flat (exact), cosine, width 12\n")
    parts = [hashlib.sha256(path.read_bytes()).digest() for path in sorted(parquet.iterdir())]
    record = read_index_record(tmp_path / "index")
    assert record.digest == hashlib.sha256(b"".join(parts)).hexdigest()
    assert (record.source, record.metric) == (str(parquet), "cosine")
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == [
        "index.json",
        "rows.parquet",
        "vectors.faiss",
    ]


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_distances_are_those_of_their_definition(data):
    """Also where float32 leaves little: the distance of a code to itself is zero."""
    values = st.floats(-100, 100, width=32).filter(lambda value: abs(value) > 1e-3)
    u, v = (data.draw(arrays.arrays(np.float32, (1, 3), elements=values)) for _ in range(2))
    assert distances(u[None], u, "euclidean") == 0
    np.testing.assert_allclose(distances(v[None], u, "euclidean"), [[np.linalg.norm(u - v)]], rtol=1e-4, atol=1e-5)
    unit, other = scaled(u, "cosine"), scaled(v, "cosine")
    cosine = float(u[0].astype(float) @ v[0].astype(float) / np.linalg.norm(u.astype(float)) / np.linalg.norm(v))
    np.testing.assert_allclose(distances(other[None], unit, "cosine"), [[1 - cosine]], atol=1e-5)


def test_more_neighbors_than_there_are_is_all_of_them(tmp_path):
    build(write_codes(tmp_path / "two.parquet", np.eye(2)), tmp_path / "index", metric="euclidean")
    [found] = Index(tmp_path / "index").search(np.array([[1.0, 0.0]]), ["x"], 10)
    assert [(one.id, one.label) for one in found] == [("row 0", None), ("row 1", None)]
    assert [one.distance for one in found] == [0.0, pytest.approx(np.sqrt(2))]


def test_an_index_is_replaced_and_nothing_else_is(tmp_path):
    first, second = (write_codes(tmp_path / f"{n}.parquet", np.eye(n)) for n in (2, 3))
    build(first, tmp_path / "index", metric="euclidean")
    assert build(second, tmp_path / "index", metric="euclidean") == read_index_record(tmp_path / "index")
    (tmp_path / "photos").mkdir()
    for target in ("photos", "2.parquet"):
        assert refusal("index", first, "--out", tmp_path / target) == (
            f"{tmp_path}/{target}: is there already and is no index. Choose another path."
        )
    assert first.is_file()


@pytest.mark.parametrize(
    ("codes", "metric", "message"),
    [
        ([[1.0, 2.0], [np.nan, 0.0]], "euclidean", "the embedding of 'row 1' is not finite: leave it out."),
        (
            [[0.0, 0.0]],
            "cosine",
            "the embedding of 'row 0' is all zeros and has no direction: leave it out, or use --metric euclidean.",
        ),
    ],
)
def test_a_code_that_has_no_place_in_an_index_is_told(tmp_path, codes, metric, message):
    path = write_codes(tmp_path / "codes.parquet", np.array(codes))
    told = refusal("index", path, "--out", tmp_path / "index", "--metric", metric)
    assert told == f"{path}: {message}"
    assert [found.name for found in tmp_path.iterdir()] == ["codes.parquet"]


def test_what_is_not_one_set_of_embeddings_is_told(tmp_path):
    out = ["--out", tmp_path / "index"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.parquet").write_text("id\n")
    nothing = write_codes(tmp_path / "nothing.parquet", np.zeros((0, 2)))
    for space in (SPACE, OTHER):
        write_codes(tmp_path / "both" / f"{space}.parquet", np.eye(2), space=space)
    assert refusal("index", tmp_path / "none", *out) == f"{tmp_path}/none: no such file or folder. Check the path."
    assert refusal("index", tmp_path / "empty", *out) == (
        f"{tmp_path}/empty: holds no Parquet file of embeddings. `metaprior embed` writes one."
    )
    assert refusal("index", tmp_path / "text.parquet", *out) == (
        f"{tmp_path}/text.parquet: not a Parquet file that can be read. Write it again."
    )
    assert refusal("index", nothing, *out) == f"{nothing}: has no rows to index. Embed some data first."
    assert refusal("index", tmp_path / "both", *out) == (
        f"{tmp_path}/both: holds embeddings of several spaces: {SPACE}, {OTHER}. Name files of one."
    )


def test_an_index_whose_parts_do_not_belong_together_is_told(parquet, tmp_path):
    build(parquet, tmp_path / "index", metric="euclidean")
    vectors, record = (tmp_path / "index" / name for name in ("vectors.faiss", "index.json"))
    whole, facts = vectors.read_bytes(), json.loads(record.read_text())
    build(write_codes(tmp_path / "few.parquet", CODES[:5]), tmp_path / "few", metric="euclidean")
    flipped = bytearray(whole)
    flipped[-100] ^= 1
    for altered in (bytes(flipped), whole[:1000], (tmp_path / "few" / "vectors.faiss").read_bytes()):
        vectors.write_bytes(altered)
        assert refusal("search", tmp_path / "index", parquet / "part-0.parquet") == (
            f"{vectors}: is not as it was written. Index the embeddings again."
        )
    vectors.write_bytes(whole)
    record.write_text(json.dumps(facts | {"count": 5}))
    with pytest.raises(InputError, match="its parts are not of one index"):
        Index(tmp_path / "index")


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    build(write_codes(folder / "points.parquet", np.eye(2) * 2), folder / "index", metric="euclidean")
    return folder / "index"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Folders of versions: of the index's space, of another one, and of one that does not say which."""
    root = tmp_path_factory.mktemp("served")
    for name, space in (("encoder", SPACE), ("other", OTHER), ("silent", None)):
        encoders.write_encoder(root / name, 1, space=space)
    return root


QUERY = "[[2, 0], [0, 1]]"
ANSWER = "0\n   1  row 0  0.0000\n   2  row 1  2.8284\n1\n   1  row 1  1.0000\n   2  row 0  2.2361\n"


def test_a_parquet_file_and_the_encoder_itself_are_searched_with(index, served, tmp_path):
    path = write_codes(tmp_path / "asked.parquet", np.array([[2.0, 0.0], [0.0, 1.0]]))
    assert run("search", index, path).output == ANSWER.replace("0\n ", "row 0\n ", 1).replace("\n1\n", "\nrow 1\n")
    assert run("search", index, QUERY, "--serving", served / "encoder").output == ANSWER
    found = json.loads(run("search", index, QUERY, "--serving", served / "encoder", "--k", 1, "--json").output)
    assert found[0] == {"input": "0", "neighbors": [{"id": "row 0", "distance": 0.0, "label": None}]}


def test_a_server_is_searched_with(index, served):
    names = {"model_name": "encoder", "port": "any", "rest_api_port": "any"}
    with Server(Options.model_validate(names | {"model_base_path": served / "encoder"})) as server:
        for option, port in (("--rest-port", server.rest_port), ("--port", server.grpc_port)):
            assert run("search", index, QUERY, option, port, "--serving", served / "encoder").output == ANSWER
        answerless = refusal("search", index, QUERY, "--port", server.grpc_port, "--model", "none")
        assert answerless.startswith("NOT_FOUND")
    with Server(Options.model_validate(names | {"model_base_path": served / "silent"})) as server:
        place = f"the server at 127.0.0.1:{server.rest_port}"
        assert refusal("search", index, QUERY, "--rest-port", server.rest_port) == (
            f"{place}: does not say which space version 1 is of. Name the folder that is served there: "
            "--serving FOLDER."
        )
        told = run("search", index, QUERY, "--rest-port", server.rest_port, "--serving", served / "encoder")
        assert told.output == ANSWER


def test_an_index_of_another_space_is_refused_with_both_and_what_to_do(index, served, tmp_path):
    told = refusal("search", index, QUERY, "--serving", served / "other")
    assert told == (
        f"{index}: is an index of {SPACE}, and version 1 of {served}/other is of {OTHER}; distances between two "
        "spaces mean nothing. Embed what was indexed with this encoder (`metaprior backfill`) and index it again, or "
        f"search with the encoder of {SPACE} (--run, --serving)."
    )
    path = write_codes(tmp_path / "asked.parquet", np.eye(2), space=OTHER)
    assert f"{index}: is an index of {SPACE}, and {path} " in refusal("search", index, path)


def test_inputs_that_cannot_be_searched_with_are_told(index, served, tmp_path):
    paths = [write_codes(tmp_path / f"{name}.parquet", np.eye(2)) for name in "ab"]
    assert refusal("search", index, *paths) == (
        f"{paths[1]}: one Parquet file at a time; only pictures can be several."
    )
    broken = write_codes(tmp_path / "nan.parquet", np.array([[np.inf, 0.0]]))
    assert refusal("search", index, broken) == "row 0: its embedding is not finite: leave it out."
    assert refusal("search", tmp_path, QUERY) == (
        f"{tmp_path}/index.json: no such file. `metaprior index` makes the folder of an index; name that."
    )
    assert refusal("search", index, QUERY, "--serving", tmp_path) == (
        f"{tmp_path}: no encoder was pushed there yet. Run `metaprior run` first."
    )

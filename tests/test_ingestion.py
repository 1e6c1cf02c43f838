"""Sources that are arrays, and the choice between all kinds: what they hold, and what they refuse."""

import gzip
import pickle
import subprocess
import sys
import tracemalloc
import urllib.error
import urllib.request

import numpy as np
import pytest
from sklearn.datasets import load_digits

from models.errors import InputError
from models.features.spec import FeatureSpec
from pipeline.config import Data
from pipeline.ingestion import Shard, open_source

RNG = np.random.default_rng(0)


def records(source):
    return [record for shard in source.shards() for record in source.read(shard)]


def refusal(source, **data):
    """The message with which a source is refused, while it is opened, described or read."""
    with pytest.raises(InputError) as caught:
        records(open_source(Data(source=str(source), **data)))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def save(tmp_path):
    def save(name="data.npz", **arrays):
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return save


def opened(path, **data):
    return open_source(Data(source=str(path), **data))


# --- the kinds ---------------------------------------------------------------------------------------


def test_opening_a_source_imports_nothing_heavy():
    heavy = {"tensorflow", "apache_beam", "tfx", "sklearn", "keras", "scipy"}
    code = (
        "import sys; from pipeline.config import Data; from pipeline.ingestion import open_source;"
        "open_source(Data(source='digits')).describe(); open_source(Data(source='sprites')).describe();"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("source", "data", "message"),
    [
        ("digit", {}, "data.source: no such file or folder: digit. Did you mean digits?"),
        (
            "/nowhere/x.csv",
            {},
            "data.source: no such file or folder: /nowhere/x.csv. Check the path, or use one of digits, sprites, "
            "mnist, fashion_mnist, cifar10.",
        ),
        (
            "/nowhere/x.csv",
            {"kind": "npz"},
            "data.source: no such file or folder: /nowhere/x.csv. Check the path, or use one of digits, sprites, "
            "mnist, fashion_mnist, cifar10.",
        ),
        ("minst", {"kind": "keras"}, "data.source: minst is not of kind keras. Did you mean mnist?"),
    ],
)
def test_a_source_that_is_not_there_is_refused(source, data, message):
    assert refusal(source, **data) == message


def test_a_file_of_no_known_kind_is_refused(tmp_path):
    (tmp_path / "x.dat").write_bytes(b"?")
    assert refusal(tmp_path / "x.dat") == (
        f"data.source: cannot tell what {tmp_path / 'x.dat'} is. Use one of .npz, .csv, .tsv, .csv.gz, .tsv.gz, "
        ".parquet, .pq, or set data.kind."
    )


def test_a_single_image_is_refused(tmp_path):
    (tmp_path / "x.PNG").write_bytes(b"?")
    assert refusal(tmp_path / "x.PNG") == (
        f"data.source: {tmp_path / 'x.PNG'} is one image. Give the folder it lies in."
    )


def test_a_folder_holds_tables_only_if_it_holds_no_images(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3,4\n")
    assert open_source(Data(source=str(tmp_path))).kind == "table"
    (tmp_path / "a.png").write_bytes(b"?")
    assert open_source(Data(source=str(tmp_path))).kind == "images"
    assert open_source(Data(source=str(tmp_path), kind="table")).kind == "table"


# --- digits ------------------------------------------------------------------------------------------


def test_digits_are_the_scans_of_scikit_learn_spread_over_all_levels():
    source = open_source(Data(source="digits"))
    description = source.describe()
    assert description.spec == FeatureSpec("image", (8, 8, 1), "uint8", label="label")
    found = records(source)
    assert description.count == len(found) == 1797
    scans = load_digits()
    images = np.stack([record["image"] for record in found])
    assert images.dtype == np.uint8
    assert np.abs(images[..., 0] - scans.images * 255 / 16).max() <= 0.5
    assert (images.min(), images.max()) == (0, 255)
    assert [record["label"] for record in found] == [str(digit) for digit in scans.target]
    assert [record["id"] for record in found] == [str(i) for i in range(1797)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"label": "digit"}, "data.label: digits has only the label 'label'. Remove data.label."),
        ({"sensitive": "age"}, "data.sensitive: digits has only the label 'label'. Remove data.sensitive."),
        ({"factors": ("x",)}, "data.factors: digits has only the label 'label'. Remove data.factors."),
        ({"id": "key"}, "data.id: digits has only the label 'label'. Remove data.id."),
    ],
)
def test_digits_have_no_other_roles(data, message):
    assert refusal("digits", **data) == message


# --- npz ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "spec"),
    [
        (RNG.normal(size=(6, 5)), FeatureSpec("vector", (5,))),
        (RNG.integers(0, 9, (6, 5)), FeatureSpec("vector", (5,))),
        (RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8), FeatureSpec("image", (4, 3, 1), "uint8")),
        (RNG.integers(0, 256, (6, 4, 3, 3), dtype=np.uint8), FeatureSpec("image", (4, 3, 3), "uint8")),
        (RNG.uniform(size=(6, 4, 3, 1)), FeatureSpec("image", (4, 3, 1), "float32")),
        (RNG.uniform(size=(6, 4, 3)).astype(np.float16), FeatureSpec("image", (4, 3, 1), "float32")),
        (np.asfortranarray(RNG.normal(size=(6, 5))), FeatureSpec("vector", (5,))),
        (RNG.normal(size=(6, 5)).astype(">f8"), FeatureSpec("vector", (5,))),
    ],
    ids=["floats", "integers", "grey", "colour", "float image", "half floats", "Fortran order", "big endian"],
)
@pytest.mark.parametrize("writer", [np.savez, np.savez_compressed])
def test_rows_come_back_as_they_were_saved(tmp_path, array, spec, writer):
    writer(tmp_path / "a.npz", x=array)
    source = opened(tmp_path / "a.npz")
    assert source.describe().spec == spec
    assert source.describe().count == 6
    rows = np.stack([record[spec.kind] for record in records(source)])
    assert rows.dtype == spec.dtype
    assert rows.shape == (6, *spec.shape)
    assert np.array_equal(rows, array.astype(spec.dtype).reshape(rows.shape))


def test_boolean_images_become_black_and_white(save):
    bits = RNG.random((4, 3, 3)) < 0.5
    (found,) = {record["image"].dtype for record in records(opened(save(x=bits)))}
    assert found == np.uint8
    assert (np.stack([r["image"] for r in records(opened(save(x=bits)))])[..., 0] == bits * 255).all()


def test_roles_are_arrays_of_their_own_names(save):
    x = RNG.normal(size=(4, 2))
    path = save(
        values=x,
        kind=np.array(["a", "b", " ", "?"]),
        group=np.array([1.0, 2.0, np.nan, 1.0]),
        size=np.array([0, 2, 1, 0]),
        key=np.array([[7], [8], [9], [10]]),
    )
    source = opened(path, array="values", label="kind", sensitive="group", factors=("size",), id="key")
    assert source.describe().spec == FeatureSpec(
        "vector", (2,), id="key", label="kind", sensitive="group", factors=("size",), factor_sizes=(3,)
    )
    rows = [{k: v for k, v in record.items() if k != "vector"} for record in records(source)]
    assert rows == [
        {"kind": "a", "group": "1", "size": 0, "key": "7"},
        {"kind": "b", "group": "2", "size": 2, "key": "8"},
        {"size": 1, "key": "9"},
        {"group": "1", "size": 0, "key": "10"},
    ]


@pytest.mark.parametrize("label", ["y_train", "y"])
def test_the_layout_of_keras_files_is_read_with_both_parts(save, label):
    x = RNG.integers(0, 256, (5, 2, 2), dtype=np.uint8)
    path = save(x_train=x[:3], y_train=np.array([0, 1, 0]), x_test=x[3:], y_test=np.array([1, 1]))
    source = opened(path, label=label)
    assert source.describe().count == 5
    found = records(source)
    assert [record["id"] for record in found] == ["train-0", "train-1", "train-2", "test-0", "test-1"]
    assert [record[label] for record in found] == ["0", "1", "0", "1", "1"]
    assert (np.stack([record["image"] for record in found])[..., 0] == x).all()
    only = opened(path, array="x_train", label="y_train")
    assert [record["id"] for record in records(only)] == ["0", "1", "2"]


def test_an_array_of_the_usual_name_or_the_only_wide_one_is_taken(save):
    wide = RNG.normal(size=(3, 2))
    assert opened(save(x=wide, other=wide[:, :1])).describe().spec.shape == (2,)
    assert opened(save(images=wide, other=wide[:, :1])).describe().spec.shape == (2,)
    assert opened(save(wide=wide, y=np.arange(3))).describe().spec.shape == (2,)


def test_a_big_array_is_streamed(tmp_path):
    path = tmp_path / "big.npz"
    np.savez_compressed(path, x=np.zeros((3000, 64, 512), np.uint8), y=np.arange(3000) % 7)
    source = opened(path, label="y")
    tracemalloc.start()
    try:
        source.describe()
        count = sum(1 for shard in source.shards() for _ in source.read(shard))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 3000
    assert peak < 24 << 20  # of 94 << 20


def test_a_file_that_changes_gets_another_fingerprint(save):
    first = opened(save(x=np.zeros((3, 2)))).describe().fingerprint
    assert opened(save(x=np.zeros((4, 2)))).describe().fingerprint != first


NPZ_REFUSALS = {
    "data.array: no array named 'imgs' in data.npz. Did you mean images?": (
        {"images": np.zeros((3, 2))},
        {"array": "imgs"},
    ),
    "data.label: no array named 'labels' in data.npz. Choose one of: x, y.": (
        {"x": np.zeros((3, 2)), "y": np.arange(3)},
        {"label": "labels"},
    ),
    "data.label: no array named 'y_test' in data.npz. Did you mean x_test?": (
        {"x_train": np.zeros((3, 2)), "x_test": np.zeros((3, 2)), "y_train": np.arange(3)},
        {"label": "y_train"},
    ),
    "data.npz: cannot tell which array holds the examples. Set data.array to one of: a (3, 2), b (3, 2).": (
        {"a": np.zeros((3, 2)), "b": np.zeros((3, 2))},
        {},
    ),
    "data.npz: array 'x_test' is unlike 'x_train' in shape or type. Set data.array to one.": (
        {"x_train": np.zeros((3, 2)), "x_test": np.zeros((3, 4))},
        {},
    ),
    "data.npz: array 'x' has shape (3,). Vectors need (examples, width), images (examples, height, width) or "
    "(examples, height, width, channels) with 1 or 3 channels.": ({"x": np.zeros(3)}, {}),
    "data.npz: array 'x' has shape (3, 4, 4, 2). Vectors need (examples, width), images (examples, height, width) "
    "or (examples, height, width, channels) with 1 or 3 channels.": ({"x": np.zeros((3, 4, 4, 2))}, {}),
    "data.npz: array 'x' is empty: its shape is (0, 4). Save at least one example in it.": (
        {"x": np.zeros((0, 4))},
        {},
    ),
    "data.npz: array 'x' holds <U1, not numbers. Save it as uint8 or float32.": ({"x": np.array([["a"]])}, {}),
    "data.npz: array 'x' holds int64 images. Save 0 to 255 as uint8, or scale to 0 to 1 and save as float32.": (
        {"x": np.zeros((3, 2, 2), np.int64)},
        {},
    ),
    "data.npz: array 'x' leaves the range 0 to 1 in row 1. Scale float images to 0 to 1.": (
        {"x": np.array([[[0.5]], [[1.5]]])},
        {},
    ),
    "data.npz: array 'x' holds NaN or infinity in row 2. Fill such rows in, or leave them out.": (
        {"x": np.array([[0.0, 1.0], [1.0, 1.0], [1.0, np.nan]])},
        {},
    ),
    "data.label: data.npz: array 'y' has 2 values, but 'x' has 3 rows. Save one value an example.": (
        {"x": np.zeros((3, 2)), "y": np.arange(2)},
        {"label": "y"},
    ),
    "data.label: data.npz: array 'y' has shape (3, 2). Save one value an example.": (
        {"x": np.zeros((3, 2)), "y": np.zeros((3, 2))},
        {"label": "y"},
    ),
    "data.label: data.npz: array 'y' holds Python objects. Save it as text or numbers.": (
        {"x": np.zeros((2, 2)), "y": np.array(["a", None])},
        {"label": "y"},
    ),
    "data.label: data.npz: array 'y' has one class only ('1'). At least two are needed; choose another, or leave "
    "data.label out.": ({"x": np.zeros((3, 2)), "y": np.ones(3, int)}, {"label": "y"}),
    "data.sensitive: data.npz: array 's' has no value at all. At least two are needed; choose another, or leave "
    "data.sensitive out.": ({"x": np.zeros((3, 2)), "s": np.full(3, np.nan)}, {"sensitive": "s"}),
    "data.label: data.npz: array 'y' is continuous (it holds 0.5). Bin it first, or choose another.": (
        {"x": np.zeros((3, 2)), "y": np.array([1, 0.5, 2])},
        {"label": "y"},
    ),
    "data.label: data.npz: array 'y' has more than 1,000 distinct values, so it does not name classes. Bin it "
    "first, or choose another.": ({"x": np.zeros((1001, 2)), "y": np.arange(1001)}, {"label": "y"}),
    "data.factors: array 'f' of data.npz must hold integers 0, 1, 2, ...": (
        {"x": np.zeros((3, 2)), "f": np.array([0, 1, -1])},
        {"factors": ("f",)},
    ),
    "data.id: data.npz has an empty id in row 1. Fill it in.": (
        {"x": np.zeros((2, 2)), "k": np.array(["a", ""])},
        {"id": "k"},
    ),
    "data.label: data.npz: array 'vector' has the key of the examples themselves. Rename it.": (
        {"x": np.zeros((2, 2)), "vector": np.arange(2)},
        {"label": "vector"},
    ),
}


@pytest.mark.parametrize("message", NPZ_REFUSALS)
def test_arrays_that_cannot_be_used_are_refused(save, message):
    arrays, data = NPZ_REFUSALS[message]
    assert refusal(save(**arrays), **data) == message


def test_a_bad_row_far_into_the_file_is_found_while_reading(save):
    x = np.zeros((1200, 8192), np.float32)
    x[1000, 5] = np.inf
    source = opened(save(x=x))
    source.describe()
    with pytest.raises(InputError, match="holds NaN or infinity in row 1000"):
        records(source)


def test_files_that_are_no_npz_are_refused(tmp_path, save):
    (tmp_path / "text.npz").write_text("hello")
    assert refusal(tmp_path / "text.npz") == (
        "text.npz: not an npz file (File is not a zip file). Write it with numpy.savez."
    )
    assert refusal(save("none.npz")) == "none.npz: holds no arrays. Write it with numpy.savez."


def test_a_damaged_array_is_refused(tmp_path):
    path = tmp_path / "cut.npz"
    np.savez(path, x=np.zeros((1000, 100)))
    content = bytearray(path.read_bytes())
    content[400_000] ^= 255
    path.write_bytes(content)
    assert refusal(path) == ("cut.npz: array 'x' is damaged (Bad CRC-32 for file 'x.npy'). Save the file again.")


def test_a_trained_models_spec_decides_what_is_read(save):
    spec = FeatureSpec("vector", (2,), id="key", label="y")
    source = open_source(Data(source=str(save(x=np.zeros((2, 2))))), expected=spec)
    assert source.describe().spec == spec
    assert [record.keys() for record in records(source)] == [{"vector", "key"}] * 2
    wrong = open_source(Data(source=str(save(x=np.zeros((2, 3))))), expected=spec)
    with pytest.raises(InputError) as caught:
        wrong.describe()
    assert str(caught.value) == (
        "data.npz: holds vectors of 3 values, but the model was trained on vectors of 2 values. Give it data of the "
        "same kind and shape."
    )


# --- keras.datasets ----------------------------------------------------------------------------------


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


def small_mnist(folder, images, labels):
    np.savez(folder / "mnist.npz", x_train=images[:5], y_train=labels[:5], x_test=images[5:], y_test=labels[5:])


def small_fashion(folder, images, labels):
    (folder / "fashion-mnist").mkdir()
    for part, rows in (("train", slice(5)), ("t10k", slice(5, None))):
        for name, header, values in (("images-idx3", 16, images), ("labels-idx1", 8, labels)):
            with gzip.open(folder / "fashion-mnist" / f"{part}-{name}-ubyte.gz", "wb") as stream:
                stream.write(bytes(header) + values[rows].tobytes())


def small_cifar(folder, images, labels):
    batches = folder / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    flat = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    for i, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        rows = slice(i, i + 1) if i < 5 else slice(5, None)
        content = pickle.dumps({b"data": flat[rows], b"labels": labels[rows].tolist()}, protocol=3)
        content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        (batches / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "write", "shape", "count"),
    [
        ("mnist", small_mnist, (28, 28, 1), 70_000),
        ("fashion_mnist", small_fashion, (28, 28, 1), 70_000),
        ("cifar10", small_cifar, (32, 32, 3), 60_000),
    ],
)
def test_keras_files_are_read_where_keras_keeps_them(keras_home, name, write, shape, count):
    images = RNG.integers(0, 256, (8, *shape), dtype=np.uint8)
    labels = np.arange(8, dtype=np.uint8)
    write(keras_home, images if shape[2] == 3 else images[..., 0], labels)
    source = open_source(Data(source=name))
    description = source.describe()
    assert description.spec == FeatureSpec("image", shape, "uint8", label="label")
    assert description.count == count
    found = records(source)
    assert (np.stack([record["image"] for record in found]) == images).all()
    assert [record["label"] for record in found] == list("01234567")
    assert [record["id"] for record in found] == [f"train-{i}" for i in range(5)] + [f"test-{i}" for i in range(3)]


def test_a_missing_file_that_cannot_be_downloaded_is_named(keras_home, monkeypatch):
    def offline(request, timeout):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    assert refusal("mnist") == (
        "data.source: mnist is not on this machine and cannot be downloaded (<urlopen error no route>). Put its "
        f"files where Keras keeps them: {keras_home / 'mnist.npz'} is missing."
    )


def test_a_pickle_of_anything_but_arrays_is_not_loaded(keras_home):
    small_cifar(keras_home, np.zeros((8, 32, 32, 3), np.uint8), np.arange(8))
    batch = keras_home / "cifar-10-batches-py-target" / "cifar-10-batches-py" / "data_batch_1"
    batch.write_bytes(pickle.dumps(print, protocol=2))
    source = open_source(Data(source="cifar10"))
    with pytest.raises(pickle.UnpicklingError, match="does not belong in a data file"):
        next(source.read(Shard("train")))

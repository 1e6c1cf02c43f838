"""Arrays in npz files: what they hold, in bounded memory, and what is refused."""

import tracemalloc

import numpy as np
import pytest
import sources
from sources import opened, records, refusal

from models.errors import InputError
from models.features.spec import FeatureSpec
from pipeline.config import Data
from pipeline.ingestion import npz, open_source

save = sources.save
RNG = np.random.default_rng(0)


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


def test_an_array_in_fortran_order_is_read_by_rows_if_it_is_small(save, monkeypatch):
    x = np.asfortranarray(RNG.normal(size=(70, 5, 4, 3)).clip(0, 1))
    path = save(x=x, y=np.arange(70) % 7)
    monkeypatch.setattr(npz, "BLOCK_BYTES", 10 * x[0].nbytes)
    found = records(opened(path, label="y"))
    np.testing.assert_array_equal([record["image"] for record in found], x.astype(np.float32))
    assert [record["y"] for record in found] == [str(row % 7) for row in range(70)]


def test_a_large_array_in_fortran_order_is_refused_with_what_to_do(save, monkeypatch):
    monkeypatch.setattr(npz, "WHOLE_BYTES", 1 << 20)
    x = np.asfortranarray(np.zeros((2048, 128)))
    assert refusal(save(x=x)) == (
        "data.npz: array 'x' is in Fortran order, so it cannot be read row by row, and has 2 MiB, more than the "
        "1 MiB that are read at once. Save numpy.ascontiguousarray of it."
    )
    assert opened(save(x=np.ascontiguousarray(x))).describe().count == 2048


def test_a_damaged_array_in_fortran_order_is_refused(tmp_path):
    path = tmp_path / "cut.npz"
    np.savez(path, x=np.asfortranarray(np.zeros((1000, 100))))
    content = bytearray(path.read_bytes())
    content[400_000] ^= 255
    path.write_bytes(content)
    assert refusal(path) == "cut.npz: array 'x' is damaged (Bad CRC-32 for file 'x.npy'). Save the file again."


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

"""Records to batches: Transform, the resolved spec, the stream, and the same numbers in serving."""

import numpy as np
import pytest
import samples
import tensorflow as tf

from models.errors import InputError
from models.features.dataset import Examples
from models.features.encoding import assemble, graph_inputs, parse
from models.features.preprocessing import preprocessing_fn, vocabulary_name
from models.features.spec import Column, FeatureSpec

pytestmark = samples.STACK


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    return tmp_path_factory.getbasetemp() / "samples"


@pytest.fixture(scope="session")
def digits(root):
    return samples.digits(root)


@pytest.fixture(scope="session")
def blobs(root):
    return samples.blobs(root)


@pytest.fixture(scope="session")
def people(root):
    return samples.people(root)


def transformed(sample, rows):
    raw = parse(tf.constant([samples.example(row) for row in rows]), sample.spec, roles=True)
    declared = sample.output.raw_feature_spec()
    return sample.output.transform_features_layer()(graph_inputs(raw, declared))


def rows_of(sample, split):
    count = len(sample.rows) * 4 // 5
    return sample.rows[:count] if split == "train" else sample.rows[count:]


def x_of(dataset):
    return np.concatenate([batch["x"] for batch in dataset])


def test_images_are_scaled_to_one_and_labels_indexed_by_frequency(digits):
    batch = next(iter(digits.examples("eval").evaluation(batch=200)))
    rows = rows_of(digits, "eval")
    pixels = np.stack([np.frombuffer(row["image"], np.uint8) for row in rows]).reshape(-1, 8, 8, 1)
    np.testing.assert_array_equal(batch["x"], pixels * np.float32(1 / 255))
    assert [digits.spec.classes[index] for index in batch["label"]] == [row["digit"].decode() for row in rows]


def test_transform_makes_no_pass_over_pixels(digits):
    assets = digits.root / "transform" / "transform_fn" / "assets"
    assert [path.name for path in assets.iterdir()] == ["digit"]


def test_float_images_pass_as_they_are(root):
    spec = FeatureSpec("image", (2, 2, 1), "float32")
    values = np.array([0.0, 0.25, 0.5, 1.0], np.float32)
    rows = [{"image": values.tobytes(), "id": b"0"} for _ in range(10)]
    sample = samples.build(root / "floats", spec, rows, {"image": samples.TEXT, "id": samples.TEXT})
    np.testing.assert_array_equal(x_of(sample.examples("eval").evaluation(batch=2))[0].ravel(), values)


def test_vectors_are_standardized_and_a_constant_entry_stays_zero(blobs):
    x = x_of(blobs.examples("train").evaluation(batch=64))
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(axis=0), [1, 1, 1, 0, 1], atol=1e-5)
    raw = np.array([row["vector"] for row in rows_of(blobs, "train")], np.float32).astype(np.float64)
    mean, stddev = raw.mean(axis=0), raw.std(axis=0)
    held_out = np.array([row["vector"] for row in rows_of(blobs, "eval")], np.float32)
    expected = (held_out - mean) / np.where(stddev > 0, stddev, 1)
    np.testing.assert_allclose(x_of(blobs.examples("eval").evaluation(batch=64)), expected, atol=1e-5)


def test_factors_come_in_the_order_of_the_spec(blobs):
    batch = next(iter(blobs.examples("eval").evaluation(batch=64)))
    expected = [[row["side"], row["turn"]] for row in rows_of(blobs, "eval")]
    np.testing.assert_array_equal(batch["factors"], expected)


def test_a_table_becomes_numbers_one_hot_blocks_and_a_mask(people):
    incomes = np.array([row["income"] for row in rows_of(people, "train") if "income" in row], np.float32)
    town = people.output.vocabulary_by_name("town")
    rows = [
        {"age": 50.0, "years in": 1e7, "income": 30.0, "job/kind": b"clerk", "town": b"Bern", "id": b"a"},
        {"age": 50.0, "years in": 1e7, "job/kind": b"clerk", "id": b"b"},
    ]
    outputs = transformed(people, rows)
    x = assemble(outputs, people.spec)["x"].numpy()
    assert x.shape == (2, 4 + 3 + 2 + 1 + 7)
    assert x[0, 2] == pytest.approx((30.0 - incomes.mean()) / incomes.std(), abs=1e-5)
    assert x[1, 2] == 0
    np.testing.assert_array_equal(x[:, 1], [0, 0])  # constant
    np.testing.assert_array_equal(x[0, 7:9], np.eye(2)[town.index(b"Bern")])
    np.testing.assert_array_equal(x[1, 7:9], [0, 0])
    np.testing.assert_array_equal(x[:, 10:], [[1, 1, 1, 0, 1, 1, 0], [1, 1, 0, 0, 1, 0, 0]])
    np.testing.assert_array_equal(outputs["categorical"][1], [outputs["categorical"][0, 0], -1, -1])


def test_what_is_not_in_the_vocabulary_and_what_is_not_finite_counts_as_missing(people):
    row = {"age": float("inf"), "years in": float("nan"), "income": 1.0, "job/kind": b"pilot", "town": b"Bern"}
    outputs = transformed(people, [row | {"id": b"", "rich": b"perhaps"}])
    np.testing.assert_array_equal(outputs["mask"], [[0, 0, 1, 0, 0, 1, 0]])
    np.testing.assert_array_equal(outputs["numeric"][0, :2], [0, 0])
    assert (outputs["label"], outputs["sensitive"]) == (-1, -1)


def test_a_column_that_was_complete_in_training_may_be_missing_later(people):
    outputs = transformed(people, [{"income": 5.0}])
    np.testing.assert_array_equal(outputs["mask"], [[0, 0, 1, 0, 0, 0, 0]])


def test_resolve_fills_in_what_transform_learned(people):
    assert [column.cardinality for column in people.spec.columns] == [0, 0, 0, 0, 3, 2, 1]
    assert (people.spec.classes, sorted(people.spec.groups)) == (("no", "yes"), ["a", "b", "c"])
    assert people.spec.event_shape == (17,)


@pytest.mark.parametrize("column", ["job/kind", "job kind", "job_kind", "é", "a" * 40])
def test_vocabulary_files_have_safe_names(column):
    assert vocabulary_name(column).replace("_", "").isalnum()
    assert vocabulary_name(column).isascii()


def test_vocabularies_of_similar_names_are_apart():
    names = ["job/kind", "job kind", "job_kind", "job-kind"]
    assert len({vocabulary_name(name) for name in names}) == len(names)


def test_two_values_in_one_cell_are_refused(people):
    with pytest.raises(tf.errors.InvalidArgumentError, match="Key: age"):
        parse(tf.constant([samples.example({"age": [1.0, 2.0]})]), people.spec)


def test_an_image_of_another_size_is_refused(digits):
    with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
        transformed(digits, [{"image": b"\x00" * 63, "id": b"", "digit": b"1"}])


def test_evaluation_reads_every_row_once_in_order(people):
    batches = list(people.examples("train").evaluation(batch=64))
    assert [len(batch["x"]) for batch in batches] == [64, 64, 32]
    assert people.examples("train").count() == 160


def test_an_epoch_is_shuffled_by_the_seed_and_its_number(digits):
    def epoch(number, seed):
        stream = digits.examples("train").training(batch=16, steps=35, seed=seed, start=number * 35)
        return x_of(stream.take(35))

    first = epoch(0, seed=1)
    np.testing.assert_array_equal(first, epoch(0, seed=1))
    for other in (epoch(1, seed=1), epoch(0, seed=2)):
        assert not np.array_equal(first, other)
        np.testing.assert_array_equal(in_order(first), in_order(other))
    files = x_of(digits.examples("train").evaluation(batch=64))
    np.testing.assert_array_equal(in_order(first), in_order(files))


def in_order(x):
    flat = x.reshape(len(x), -1)
    return flat[np.lexsort(flat.T)]


@pytest.mark.parametrize("start", [1, 4, 5, 9, 12])
def test_a_stream_goes_on_where_another_one_stopped(digits, start):
    whole = digits.examples("train").training(batch=16, steps=5, seed=3)
    later = digits.examples("train").training(batch=16, steps=5, seed=3, start=start)
    np.testing.assert_array_equal(x_of(whole.take(14).skip(start)), x_of(later.take(14 - start)))


def test_blocks_smaller_than_the_data_still_show_every_row_once(digits, monkeypatch):
    monkeypatch.setattr("models.features.dataset.BLOCK_MOST", 100)
    x = x_of(digits.examples("train").training(batch=16, steps=35, seed=1).take(35))
    np.testing.assert_array_equal(in_order(x), in_order(x_of(digits.examples("train").evaluation(batch=64))))


def test_training_batches_have_a_static_shape(people):
    dataset = people.examples("train").training(batch=16, steps=10, seed=0)
    shapes = {key: list(spec.shape) for key, spec in dataset.element_spec.items()}
    assert shapes == {"x": [16, 17], "label": [16], "sensitive": [16]}


def test_files_without_compression_are_read_too(people, tmp_path):
    samples.write_records(tmp_path / "plain", [samples.example(row) for row in people.rows[:5]])
    examples = Examples([str(tmp_path / "plain*")], people.output, people.spec)
    expected = x_of(people.examples("train").evaluation(batch=64))
    given = x_of(examples.evaluation(batch=5))
    assert all(any(np.array_equal(row, other) for other in expected) for row in given)


def test_a_column_without_a_value_in_training_does_no_harm(people):
    x = x_of(people.examples("eval").evaluation(batch=64))
    np.testing.assert_array_equal(x[:, 3], 0)  # no mean to compare with
    np.testing.assert_array_equal(x[:, 9], 0)  # no vocabulary
    np.testing.assert_array_equal(x[-1, 10:], [1, 1, 1, 1, 1, 1, 0])


def test_a_column_that_no_schema_knows_is_named():
    spec = FeatureSpec("table", (1,), columns=(Column("a", "numeric"),), label="b")
    with pytest.raises(InputError) as caught:
        preprocessing_fn({"a": tf.zeros([1, 1])}, {"spec": spec.to_json()})
    assert str(caught.value) == (
        "data.source: 'b' has no value in any example. Leave it out of the configuration, or out of the "
        "inputs with data.columns.ignore."
    )

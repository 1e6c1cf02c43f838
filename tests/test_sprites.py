"""The sprites: what is drawn follows the factors, and nothing else."""

import functools

import numpy as np
import pytest

from models.errors import InputError
from pipeline.config import Data
from pipeline.ingestion import open_source, sprites
from pipeline.ingestion.sprites import (
    COUNT,
    FACTORS,
    factor_sizes,
    factors_of,
    render,
    sample_factors,
)

GRID = np.stack(np.meshgrid(*map(np.arange, (3, 6, 1, 32, 32)), indexing="ij"), -1).reshape(-1, 5)


@functools.cache
def whole_grid(size):
    return render(GRID, size=size)


def drawn(*factors, size=64):
    return render(np.array(factors), size=size)[..., 0] > 0


def centers(images):
    """Mean x and y of the white pixels of each image."""
    pixels = np.arange(images.shape[1]) + 0.5
    area = images.sum((1, 2))
    return (images.sum(1) @ pixels) / area, (images.sum(2) @ pixels) / area


def source(**data):
    return open_source(Data(source="sprites", **data))


def test_the_factors_are_those_of_dsprites():
    assert FACTORS == {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}
    assert COUNT == 737_280
    assert factor_sizes() == (3, 6, 40, 32, 32)


@pytest.mark.parametrize("size", [16, 29, 64])
def test_every_place_shape_and_scale_is_drawn_whole_in_black_and_white(size):
    images = whole_grid(size)
    assert images.shape == (18432, size, size, 1)
    assert images.dtype == np.uint8
    assert ((images == 0) | (images == 255)).all()
    area = (images > 0).sum((1, 2, 3))
    alike = GRID[:, 0] * 6 + GRID[:, 1]  # equal shape and scale: only the raster makes a difference
    for group in range(18):
        areas = area[alike == group]
        assert areas.min() > 0
        assert np.ptp(areas) <= 2 * np.sqrt(areas.mean()) + 3  # an upright square gains a row and a column


def test_all_places_shapes_and_scales_differ_at_full_resolution():
    images = whole_grid(64)
    rows = np.packbits(images.reshape(len(images), -1) > 0, axis=1)
    assert len({row.tobytes() for row in rows}) == 18432


def test_the_center_follows_x_and_y_alone():
    across = drawn(*[(2, 3, 7, x, 10) for x in range(32)])
    x, y = centers(across)
    assert (np.diff(x) > 0.5).all()
    assert np.allclose(x, 64 * (0.25 + np.linspace(0, 1, 32) / 2), atol=0.35)
    assert np.allclose(y, 64 * (0.25 + 10 / 31 / 2), atol=0.35)
    down = drawn(*[(2, 3, 7, 10, y) for y in range(32)])
    assert (np.diff(centers(down)[1]) > 0.5).all()


@pytest.mark.parametrize(("shape", "unit"), [(0, 2.0), (1, np.pi / 2), (2, 3.6607 / 1.2935**2)])
def test_the_area_grows_with_the_square_of_the_scale(shape, unit):
    area = drawn(*[(shape, scale, 3, 16, 16) for scale in range(6)]).sum((1, 2))
    assert np.allclose(area, unit * (np.linspace(0.5, 1, 6) * 16) ** 2, rtol=0.05)


@pytest.mark.parametrize(("shape", "symmetry", "distinct"), [(0, 4, 10), (1, 2, 20), (2, 1, 40)])
def test_orientations_differ_up_to_the_symmetry_of_the_shape(shape, symmetry, distinct):
    images = drawn(*[(shape, 5, orientation, 16, 16) for orientation in range(40)])
    turned = np.roll(images, 40 // symmetry, axis=0)
    assert (images != turned).sum((1, 2)).max() < 20  # pixels on the edge, by rounding
    first = images[:distinct]
    different = (first[:, None] != first[None]).sum((2, 3)) + 100 * np.eye(distinct, dtype=int)
    assert different.min() >= 20


def test_a_quarter_turn_turns_the_picture(monkeypatch):
    """With the center on a corner of pixels the raster has the symmetry itself."""
    monkeypatch.setattr(sprites, "POSITIONS", np.full(32, 0.5))
    upright, turned = drawn((2, 5, 0, 16, 16), (2, 5, 10, 16, 16))
    assert (np.rot90(upright, -1) != turned).sum() <= 4


def test_sampled_factors_are_in_range_and_repeatable():
    factors = sample_factors(500, np.random.default_rng(3))
    assert factors.shape == (500, 5)
    assert (factors.max(0) < factor_sizes()).all()
    assert (factors == sample_factors(500, np.random.default_rng(3))).all()


def test_the_index_of_a_sprite_counts_y_fastest():
    assert factors_of(np.array([0, 1, 32, COUNT - 1])).tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0],
        [2, 5, 39, 31, 31],
    ]


def test_the_source_draws_a_subset_without_repeats_by_its_seed():
    data = Data(source="sprites", sprites={"size": 16, "count": 3000})
    once, again, other = (open_source(data, seed=seed) for seed in (1, 1, 2))
    assert once.shards() == again.shards() != other.shards()
    records = [record for shard in once.shards() for record in once.read(shard)]
    ids = [int(record["id"]) for record in records]
    assert len(set(ids)) == 3000
    assert once.describe().fingerprint != other.describe().fingerprint
    factors = factors_of(np.array(ids))
    assert [[record[name] for name in FACTORS] for record in records] == factors.tolist()
    assert (np.stack([record["image"] for record in records]) == render(factors, size=16)).all()


def test_the_source_has_its_factors_and_no_label_unless_asked():
    spec = source(sprites={"count": 10}).describe().spec
    assert spec.factors == tuple(FACTORS)
    assert spec.factor_sizes == factor_sizes()
    assert spec.label is None
    assert spec.shape == (64, 64, 1)


def test_a_trained_model_sets_the_size():
    spec = source(sprites={"size": 24}).describe().spec
    assert open_source(Data(source="sprites"), expected=spec).describe().spec == spec


@pytest.mark.parametrize(("factor", "classes"), [("shape", {"square", "ellipse", "heart"}), ("scale", set("012345"))])
def test_a_factor_can_be_the_label(factor, classes):
    labelled = source(label=factor, sprites={"count": 200, "size": 16})
    assert labelled.describe().spec.label == "label"
    (shard,) = labelled.shards()
    assert {record["label"] for record in labelled.read(shard)} == classes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"sprites": {"count": 800_000}}, "data.sprites.count: there are only 737,280 sprites. Received: 800,000."),
        ({"label": "shap"}, "data.label: sprites have no factor 'shap'. Did you mean shape?"),
        (
            {"factors": ("x",)},
            "data.factors: sprites always have shape, scale, orientation, x, y. Remove data.factors.",
        ),
        ({"id": "x"}, "data.id: sprites have none. Remove data.id."),
    ],
)
def test_impossible_configurations_are_refused(data, message):
    with pytest.raises(InputError) as caught:
        source(**data).describe()
    assert str(caught.value) == message

"""Aligning one space to another, and what is measured of it: turned copies, other widths, independent references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes

from components.metrics import alignment
from components.metrics.probes import Codes
from components.metrics.procrustes import Alignment, Moments, fit
from components.metrics.targets import Targets
from components.metrics.undefined import UndefinedError

COUNT, WIDTH = 300, 5


def draws(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def turn(width: int, seed: int) -> np.ndarray:
    return np.linalg.qr(draws(seed).normal(size=(width, width)))[0]


def aligned(new: np.ndarray, old: np.ndarray, *, batches: int = 1) -> Alignment:
    moments = Moments()
    for batch in np.array_split(np.arange(len(new)), batches):
        moments.add(new[batch], old[batch])
    return fit(moments)


def noisy(seed: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Codes of uneven spread, and a turned and shifted copy with noise."""
    old = draws(seed).normal(size=(COUNT, WIDTH)) * np.arange(1, WIDTH + 1)
    return (old @ turn(WIDTH, seed)) * 0.5 + 3 + noise * draws(seed + 1).normal(size=old.shape), old


# Catches: no reflections, no centering, the scale left out, the map the wrong way round.
@given(seed=st.integers(0, 50), scale=st.floats(0.05, 20), mirrored=st.booleans())
@settings(max_examples=8, deadline=None)
def test_a_turned_shifted_and_scaled_copy_comes_back_exactly(seed, scale, mirrored):
    old = draws(seed).normal(size=(COUNT, WIDTH)) * np.arange(1, WIDTH + 1)
    rotation = turn(WIDTH, seed + 1) @ np.diag([-1.0 if mirrored else 1.0, *[1.0] * (WIDTH - 1)])
    new = scale * old @ rotation + draws(seed).normal(size=WIDTH)
    found = aligned(new, old)
    np.testing.assert_allclose(found.codes(new), old, atol=1e-9)
    assert found.residual == pytest.approx(0, abs=1e-9)
    assert found.scale == pytest.approx(1 / scale)
    assert alignment.residual(old, found.codes(new), seed=0).value == pytest.approx(0, abs=1e-9)
    assert alignment.neighbor_agreement(old, new).mean() == 1
    asked = alignment.retrieval(old, found.codes(new))
    assert (asked.agreement.mean(), asked.recall.mean()) == (1, 1)


def test_the_residual_is_that_of_scipys_procrustes_and_of_the_codes_themselves():
    new, old = noisy(3, 0.7)
    found = aligned(new, old)
    # SciPy scales by least squares: its disparity is 1 - c^2 where spread for spread leaves 2 - 2 c.
    common = np.sqrt(1 - procrustes(old, new)[2])
    assert found.residual == pytest.approx(2 - 2 * common)
    error = ((found.codes(new) - old) ** 2).sum() / ((old - old.mean(axis=0)) ** 2).sum()
    assert found.residual == pytest.approx(error)
    assert found.codes(new).var(axis=0).sum() == pytest.approx(old.var(axis=0).sum())


def test_batches_of_any_size_give_the_same_map():
    new, old = noisy(4, 0.3)
    whole, parts = aligned(new + 1e3, old), aligned(new + 1e3, old, batches=37)
    np.testing.assert_allclose(parts.matrix, whole.matrix, atol=1e-9)
    np.testing.assert_allclose(parts.offset, whole.offset, rtol=1e-9)
    assert (parts.count, parts.residual) == (COUNT, pytest.approx(whole.residual))


# No turn that one can draw does better: what the singular value decomposition gives is the minimum.
def test_no_other_turn_has_a_smaller_error():
    new, old = noisy(5, 1.0)
    found, centered, target = aligned(new, old), new - new.mean(axis=0), old - old.mean(axis=0)

    def error(rotation: np.ndarray) -> float:
        return float(((found.scale * centered @ rotation - target) ** 2).sum())

    best = error(found.matrix / found.scale)
    assert all(error(turn(WIDTH, seed)) > best for seed in range(200))


def test_a_narrower_space_is_laid_into_the_old_one_and_a_wider_one_projected_onto_it():
    old = draws(6).normal(size=(COUNT, 2)) @ np.linalg.qr(draws(7).normal(size=(5, 2)))[0].T  # a plane in 5 dimensions
    plane = old @ np.linalg.svd(old - old.mean(axis=0), full_matrices=False)[2][:2].T
    into = aligned(plane @ turn(2, 8), old)
    assert into.matrix.shape == (2, 5)
    np.testing.assert_allclose(into.matrix @ into.matrix.T, into.scale**2 * np.eye(2), atol=1e-9)
    np.testing.assert_allclose(into.codes(plane @ turn(2, 8)), old, atol=1e-9)
    wide = old @ turn(5, 9)
    onto = aligned(wide, plane)
    assert onto.matrix.shape == (5, 2)
    np.testing.assert_allclose(onto.matrix.T @ onto.matrix, onto.scale**2 * np.eye(2), atol=1e-9)
    np.testing.assert_allclose(onto.codes(wide), plane, atol=1e-9)


def test_a_standard_deviation_is_led_across_as_the_covariance_is():
    found = aligned(*noisy(10, 0.2))
    stddev = draws(11).uniform(0.1, 2, size=(4, WIDTH))
    for one, across in zip(stddev, found.stddev(stddev), strict=True):
        np.testing.assert_allclose(across**2, np.diag(found.matrix.T @ np.diag(one**2) @ found.matrix))


@pytest.mark.parametrize(
    ("new", "old", "message"),
    [
        (np.zeros((1, 2)), np.ones((1, 2)), "1 examples are too few to align spaces by"),
        (np.ones((9, 2)), np.arange(18.0).reshape(9, 2), "all codes of the new model are the same"),
        (np.arange(18.0).reshape(9, 2), np.ones((9, 2)), "all codes of the last blessed model are the same"),
        (np.full((9, 2), np.nan), np.ones((9, 2)), "some codes are not finite"),
    ],
)
def test_spaces_that_cannot_be_aligned_say_why(new, old, message):
    with pytest.raises(UndefinedError) as caught:
        aligned(new, old)
    assert str(caught.value) == message


# Catches: the example counted among its own neighbors; a share of unions; an order that matters.
def test_neighbors_are_those_of_a_plain_computation_and_unrelated_codes_share_what_chance_gives():
    old, new = draws(12).normal(size=(60, 3)), draws(13).normal(size=(60, 4))

    def near(codes: np.ndarray, row: int) -> set[int]:
        apart = np.linalg.norm(codes - codes[row], axis=1)
        apart[row] = np.inf
        return set(np.argsort(apart)[:4])

    expected = [len(near(old, row) & near(new, row)) / 4 for row in range(60)]
    np.testing.assert_allclose(alignment.neighbor_agreement(old, new, k=4), expected)
    many = [draws(seed).normal(size=(400, 3)) for seed in (14, 15)]
    assert alignment.neighbor_agreement(*many).mean() == pytest.approx(10 / 399, abs=0.01)
    assert alignment.retrieval(*many).recall.mean() == pytest.approx(10 / 400, abs=0.03)
    with pytest.raises(UndefinedError, match="11 examples are too few for 10 neighbors"):
        alignment.neighbor_agreement(old[:11], new[:11])


def test_a_probe_of_old_codes_reads_aligned_ones_as_its_own_and_cannot_read_others():
    labels = draws(16).integers(3, size=COUNT)
    old = draws(17).normal(size=(COUNT, WIDTH)) + 2 * np.eye(WIDTH)[labels]
    new = (old @ turn(WIDTH, 18)) * 3 - 1
    train, test = slice(0, 200), slice(200, None)
    found = aligned(new[train], old[train])
    read = alignment.transfer(
        Codes(old[train], old[test]),
        {"aligned": found.codes(new[test]), "unaligned": alignment.fitted_to(new[test], WIDTH)},
        Targets(labels[train], labels[test]),
        seed=0,
    )
    assert read["before"].mean() > 0.8
    np.testing.assert_array_equal(read["aligned"], read["before"])
    assert read["unaligned"].mean() < 0.6


def test_codes_of_another_width_are_cut_or_filled_up():
    codes = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(alignment.fitted_to(codes, 2), codes[:, :2])
    np.testing.assert_array_equal(alignment.fitted_to(codes, 4), np.pad(codes, ((0, 0), (0, 1))))

"""Disentanglement metrics on codes whose score theory knows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from components.metrics.disentanglement import factor_vae_score, mig

SIZES = np.array([3, 4, 6, 6, 6])
VOTES = {"batch": 32, "train": 800, "test": 400}


def factors_and_ideal(count: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Independent uniform factors, and a code with one standardized, slightly noisy dimension for each."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, SIZES, (count, len(SIZES)))
    standardized = (factors - (SIZES - 1) / 2) / np.sqrt((SIZES**2 - 1) / 12)
    return factors, standardized + 0.05 * rng.normal(size=factors.shape), rng


def codes_of(kind: str) -> tuple[np.ndarray, np.ndarray]:
    factors, ideal, rng = factors_and_ideal()
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    codes = {
        "ideal": ideal,
        "permuted": ideal[:, [3, 0, 4, 1, 2]] * np.array([-2.0, 1.0, 0.5, -1.0, 3.0]),
        "rotated": ideal @ rotation,
        "noise": rng.normal(size=ideal.shape),
        "doubled": np.concatenate([ideal, ideal], axis=1),
        "padded": np.concatenate([ideal, 0.01 * rng.normal(size=ideal.shape)], axis=1),
    }
    return codes[kind], factors


# Published values of the reference implementation on such codes.
@pytest.mark.parametrize(
    ("kind", "gap", "score"),
    [
        ("ideal", 0.989, 1.0),
        ("permuted", 0.991, 1.0),
        ("noise", 0.001, 0.17),
        ("doubled", 0.0, 1.0),
        ("padded", 0.985, 1.0),
    ],
)
def test_known_codes_get_their_known_scores(kind, gap, score):
    codes, factors = codes_of(kind)
    assert mig(codes, factors) == pytest.approx(gap, abs=0.06)
    assert factor_vae_score(codes, factors, np.random.default_rng(1), **VOTES) == pytest.approx(score, abs=0.12)


def test_rotations_of_the_ideal_code_score_far_below_it():
    factors, ideal, rng = factors_and_ideal()
    rotated = [ideal @ np.linalg.qr(rng.normal(size=(5, 5)))[0] for _ in range(8)]
    assert np.mean([mig(codes, factors) for codes in rotated]) < 0.3
    assert 0.3 < np.mean([factor_vae_score(codes, factors, rng, **VOTES) for codes in rotated]) < 0.85


def test_the_gap_is_that_of_the_definition():
    codes, factors = codes_of("rotated")
    binned = [np.digitize(code, np.histogram(code, 20)[1][:-1]) for code in codes.T]
    gaps = []
    for factor in factors.T:
        best, second = sorted((mutual_info_score(code, factor) for code in binned), reverse=True)[:2]
        gaps.append((best - second) / mutual_info_score(factor, factor))
    assert mig(codes, factors) == pytest.approx(np.mean(gaps), rel=1e-10)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_order_sign_and_scale_of_the_dimensions_do_not_matter(seed, scale, shift):
    factors, codes, rng = factors_and_ideal(count=400, seed=seed)
    codes = codes @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
    moved = codes[:, rng.permutation(5)] * scale + shift
    assert mig(moved, factors) == pytest.approx(mig(codes, factors), abs=0.02)
    scores = [factor_vae_score(c, factors, np.random.default_rng(2), dead=0.0, **VOTES) for c in (codes, moved)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-9)


def test_a_code_of_nothing_scores_nothing():
    factors, _, rng = factors_and_ideal()
    assert factor_vae_score(np.zeros((2000, 3)), factors, rng, **VOTES) == 0.0
    assert mig(np.zeros((2000, 3)), factors) == 0.0


def test_a_factor_without_variation_is_left_out_of_the_gap():
    factors, ideal, _ = factors_and_ideal()
    frozen = np.concatenate([factors, np.zeros_like(factors[:, :1])], axis=1)
    assert mig(ideal, frozen) == pytest.approx(mig(ideal, factors))

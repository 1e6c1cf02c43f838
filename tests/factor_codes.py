"""Codes of five independent factors, from ideal to useless, whose scores theory knows."""

import numpy as np

SIZES = np.array([3, 4, 6, 6, 6])
KINDS = ("ideal", "permuted", "rotated", "noise", "doubled", "padded", "mixed")
NOISE = 0.05


def factors_and_ideal(count: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Independent uniform factors, and a code with one standardized, slightly noisy dimension for each."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, SIZES, (count, len(SIZES)))
    return factors, standardized(factors) + NOISE * rng.normal(size=factors.shape), rng


def standardized(factors: np.ndarray) -> np.ndarray:
    """Factors with mean 0 and variance 1, by what their distribution has: [count, factors]."""
    return (factors - (SIZES - 1) / 2) / np.sqrt((SIZES**2 - 1) / 12)


def codes_of(kind: str, count: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes of one kind and their factors.

    Rotated codes hold everything and stand for nothing, doubled ones hold everything twice, padded ones have five
    dead dimensions, mixed ones have two factors each in two of their three dimensions, at 1 to 3.
    """
    factors, ideal, rng = factors_and_ideal(count, seed)
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    exact = standardized(factors)
    pairs = np.stack([exact[:, 0] + 3 * exact[:, 1], exact[:, 2] + 3 * exact[:, 3], exact[:, 4]], axis=1)
    codes = {
        "ideal": ideal,
        "permuted": ideal[:, [3, 0, 4, 1, 2]] * np.array([-2.0, 1.0, 0.5, -1.0, 3.0]),
        "rotated": ideal @ rotation,
        "noise": rng.normal(size=ideal.shape),
        "doubled": np.concatenate([ideal, exact + NOISE * rng.normal(size=ideal.shape)], axis=1),
        "padded": np.concatenate([ideal, 0.01 * rng.normal(size=ideal.shape)], axis=1),
        "mixed": pairs + NOISE * rng.normal(size=pairs.shape),
    }
    return codes[kind], factors


def imperfect(count: int = 600, seed: int = 0, latent: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Codes in which factors are mixed, noisy and of unequal scale: no score is at the end of its range."""
    factors, ideal, rng = factors_and_ideal(count, seed)
    mixing = rng.normal(size=(5, latent)) * (rng.random((5, latent)) < 0.6)
    scales = np.exp(rng.normal(size=latent))
    return (ideal @ mixing + rng.normal(size=(count, latent))) * scales + rng.normal(size=latent), factors

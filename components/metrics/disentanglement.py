"""How well single dimensions of a code stand for single ground-truth factors.

Codes are posterior means [count, latent], factors are class indices [count, factors], drawn independently of
each other: correlated factors make these scores meaningless.
"""

import numpy as np

BINS = 20


def mig(codes: np.ndarray, factors: np.ndarray, *, bins: int = BINS) -> float:
    """Mutual information gap: how much more the best dimension knows of a factor than the second best.

        MIG = mean_k (I_(1),k - I_(2),k) / H(factor k),   I_j,k = I(binned code j; factor k)

    Binned information is biased upward by about (bins - 1) (values - 1) / (2 count) nats.

    Args:
        codes: [count, latent]; a code of one dimension has a runner-up of zero.
        factors: [count, factors].
        bins: equal-width bins of each dimension.

    Returns:
        From 0 to 1; factors without variation are left out.

    Reference:
        Chen et al. 2018, Isolating Sources of Disentanglement, arXiv:1802.04942, Section 4.1, discretized as
        in Locatello et al. 2019, arXiv:1811.12359.
    """
    binned = np.stack([np.digitize(code, np.histogram(code, bins)[1][:-1]) - 1 for code in codes.T], axis=1)
    gaps = []
    for factor in factors.T:
        _, values = np.unique(factor, return_inverse=True)
        entropy = _entropy(np.bincount(values))
        if entropy > 0:
            information = np.sort([_information(code, values, bins) for code in binned.T] + [0.0])
            gaps.append((information[-1] - information[-2]) / entropy)
    return float(np.mean(gaps))


def factor_vae_score(
    codes: np.ndarray,
    factors: np.ndarray,
    rng: np.random.Generator,
    *,
    batch: int = 64,
    train: int = 10_000,
    test: int = 5_000,
    dead: float = 0.05,
) -> float:
    """FactorVAE score: how well the steadiest dimension tells which factor a batch of examples shares.

    A vote fixes one factor, draws a batch that shares its value, and names the dimension of least variance
    relative to its variance over all examples. Each dimension stands for the factor of most of its votes;
    the score is the accuracy on fresh votes.

    Args:
        codes: [count, latent].
        factors: [count, factors].
        rng: source of the draws.
        batch: examples a vote, drawn with replacement from those that share the value.
        train: votes that decide what a dimension stands for.
        test: votes that are scored.
        dead: dimensions whose standard deviation is below this do not vote.

    Returns:
        From 0 to 1; 0 if no dimension is alive.

    Reference:
        Kim and Mnih 2018, Disentangling by Factorising, arXiv:1802.05983, Section 4.
    """
    spread = codes.std(axis=0, ddof=1)
    alive = np.flatnonzero(spread >= dead)
    if not alive.size:
        return 0.0
    scaled = codes[:, alive] / spread[alive]
    fixed = rng.integers(0, factors.shape[1], train + test)
    steadiest = np.empty(train + test, np.int64)
    for factor in range(factors.shape[1]):
        votes = np.flatnonzero(fixed == factor)
        steadiest[votes] = _steadiest(scaled, factors[:, factor], len(votes), batch, rng)
    counts = np.zeros((len(alive), factors.shape[1]), np.int64)
    np.add.at(counts, (steadiest[:train], fixed[:train]), 1)
    return float(np.mean(counts.argmax(axis=1)[steadiest[train:]] == fixed[train:]))


def _steadiest(scaled: np.ndarray, factor: np.ndarray, votes: int, batch: int, rng: np.random.Generator) -> np.ndarray:
    """The dimension of least variance in each of so many batches that share a value of the factor: [votes]."""
    order = np.argsort(factor, kind="stable")
    chosen = factor[rng.integers(0, len(factor), votes)]
    start, end = (np.searchsorted(factor[order], chosen, side=side) for side in ("left", "right"))
    places = start[:, None] + (rng.random((votes, batch)) * (end - start)[:, None]).astype(np.int64)
    answers = [
        scaled[order[rows]].var(axis=1, ddof=1).argmin(axis=1) for rows in np.array_split(places, 1 + votes // 500)
    ]
    return np.concatenate(answers)


def _information(code: np.ndarray, values: np.ndarray, bins: int) -> float:
    """I(code; values) of two index arrays, nats."""
    joint = np.bincount(values * bins + code, minlength=(values.max() + 1) * bins).reshape(-1, bins)
    return _entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1)) - _entropy(joint.ravel())


def _entropy(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())

"""A comparison in one line."""

from components.drift.schema import Drift


def in_words(drift: Drift) -> str:
    """Returns whether there is drift, in what, and the numbers behind it."""
    verdict = f"drift in {', '.join(drift.drifted)}" if drift.drifted else "no drift"
    sides = f"{_counted(drift.live.sampled, drift.live.total)} live against {drift.reference.sampled:,} evaluated"
    left_out = f", {drift.live.nonfinite:,} not finite left out" if drift.live.nonfinite else ""
    return f"{verdict}: {_codes(drift)}; {_dimensions(drift)}{_rate(drift)}; {sides}{left_out}; {drift.space}"


def _codes(drift: Drift) -> str:
    return f"MMD^2 {drift.kernel.mmd2:.4f} ({_p(drift.kernel.p_value)})"


def _dimensions(drift: Drift) -> str:
    moved = [place for place, dimension in enumerate(drift.dimensions) if dimension.drifted]
    most = max(drift.dimensions, key=lambda dimension: dimension.statistic)
    count = len(drift.dimensions)
    if not moved:
        return f"0 of {count} dimensions moved (largest KS {most.statistic:.2f}, {_p(most.p_value)})"
    named = ", ".join(map(str, moved[:5])) + (", ..." if len(moved) > 5 else "")
    return f"{len(moved)} of {count} dimensions moved ({named}; largest KS {most.statistic:.2f}, {_p(most.p_value)})"


def _rate(drift: Drift) -> str:
    if drift.rate is None:
        return ""
    low, high = drift.rate.interval
    return f"; rate {drift.rate.shift:+.2f} nats [{low:+.2f}, {high:+.2f}] ({_p(drift.rate.p_value)})"


def _p(value: float) -> str:
    """Returns a p-value; one below what a double holds well is no zero."""
    return "p < 1e-300" if value < 1e-300 else f"p {value:.2g}"


def _counted(sampled: int, total: int) -> str:
    return f"{sampled:,}" if sampled == total else f"{sampled:,} of {total:,}"

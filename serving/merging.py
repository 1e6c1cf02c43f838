"""Several processes' metrics as one, in Prometheus' text format."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# What is no amount: the rest adds up.
RULES: dict[str, Callable[[float, float], float]] = {"_info": max, "_created": min, "_start_time_seconds": min}
GROWING = frozenset(("counter", "histogram"))


@dataclass
class Family:
    """One metric.

    Attributes:
        head: its comment lines.
        kind: counter, gauge, histogram.
        samples: values by what stands before them in their lines, in the order of the lines.
    """

    head: list[str] = field(default_factory=list)
    kind: str = ""
    samples: dict[str, float] = field(default_factory=dict)


def read(text: bytes) -> dict[str, Family]:
    """Returns the metrics of an exposition, by name.

    Args:
        text: as a `Metrics` writes it: comments before samples, no time stamps.
    """
    found: dict[str, Family] = {}
    family = Family()
    # At line feeds only: label values may hold what other rules take for the end of a line.
    for line in filter(None, text.decode().split("\n")):
        if line.startswith("# "):
            _, what, name, rest = line.split(" ", 3)
            family = found.setdefault(name, Family())
            family.head.append(line)
            if what == "TYPE":
                family.kind = rest
        else:
            key, _, value = line.rpartition(" ")
            family.samples[key] = float(value)
    return found


def merged(expositions: Iterable[dict[str, Family]]) -> dict[str, Family]:
    """Returns the sum of several processes' metrics.

    Times of starting are the earliest, informations stay 1. Samples whose labels differ stay apart.

    Args:
        expositions: of each process; not changed.
    """
    found: dict[str, Family] = {}
    for exposition in expositions:
        for name, family in exposition.items():
            known = found.setdefault(name, Family(family.head, family.kind))
            add = next((rule for end, rule in RULES.items() if name.endswith(end)), float.__add__)
            for key, value in family.samples.items():
                known.samples[key] = add(known.samples[key], value) if key in known.samples else value
    return found


def growing(exposition: dict[str, Family]) -> dict[str, Family]:
    """Returns the counters and histograms: what must not shrink when the process that counted ends."""
    return {name: family for name, family in exposition.items() if family.kind in GROWING}


def written(exposition: dict[str, Family]) -> bytes:
    """Returns metrics in Prometheus' text format."""
    lines: list[str] = []
    for family in exposition.values():
        lines += family.head
        lines += (f"{key} {value:.17g}" for key, value in family.samples.items())
    return ("\n".join(lines) + "\n").encode()

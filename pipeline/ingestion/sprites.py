"""The built-in `sprites`: images rendered from known factors, those of the dSprites data set."""

import math
from collections.abc import Iterator

import numpy as np

from models.errors import InputError
from models.features.spec import IMAGE, FeatureSpec
from pipeline.ingestion.source import Description, Record, Shard, Source, suggestion

FACTORS = {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}
"""Factor -> number of values, slowest first; with dSprites' names and sizes."""
SHAPES = ("square", "ellipse", "heart")
SCALES = np.linspace(0.5, 1, 6)
ANGLES = np.linspace(0, 2 * np.pi, 40, endpoint=False)
POSITIONS = np.linspace(0, 1, 32)

LABEL = "label"
COUNT = math.prod(FACTORS.values())
HEART_CENTER, HEART_RADIUS = np.float32(0.2935), np.float32(1.2935)
"""Height of the centroid of the heart curve, and its greatest distance from there."""
SUBSAMPLES = 4
CHUNK = 16
"""Images rendered at a time: few enough that the work fits into a processor's cache."""
ROWS = 2048
RENDERER = 1
"""Raise it when the same factors give other pixels: it is part of the fingerprint."""


def factor_sizes() -> tuple[int, ...]:
    """Returns the number of values of each factor, in the order of `FACTORS`."""
    return tuple(FACTORS.values())


def sample_factors(count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns `count` independent, uniform factor vectors: int64 [count, 5] in the order of `FACTORS`."""
    return rng.integers(0, factor_sizes(), (count, len(FACTORS)))


def factors_of(indices: np.ndarray) -> np.ndarray:
    """Returns the factors of images by their index in the full set (0 to 737,279): int64 [n, 5].

    The order is that of dSprites: `y` changes fastest.
    """
    return np.stack(np.unravel_index(indices, factor_sizes()), axis=-1)


def render(factors: np.ndarray, *, size: int = 64) -> np.ndarray:
    """Renders sprites, white on black.

    The centre lies at size * (1/4 + position / 2) along each axis (x to the right, y down) and a sprite
    of scale 1 reaches size / 4 from it, so none is ever cut off. Orientation turns clockwise as seen. A
    pixel is white where the sprite covers at least half of its 4x4 samples.

    Args:
        factors: class indices of shape, scale, orientation, x and y: integers [n, 5].
        size: pixels a side.

    Returns:
        uint8 [n, size, size, 1], 0 or 255.

    Note:
        The forms are our own. dSprites spaces its orientations so that the last repeats the first; here
        all 40 differ.

    Reference: L. Matthey et al., dSprites: Disentanglement testing Sprites dataset, 2017.
    """
    factors = np.asarray(factors)
    images = np.zeros((len(factors), size, size, 1), np.uint8)
    for start in range(0, len(factors), CHUNK):
        _paint(images[start : start + CHUNK], factors[start : start + CHUNK])
    return images


def _paint(images: np.ndarray, factors: np.ndarray) -> None:
    size = images.shape[1]
    width = math.ceil(size / 2) + 2  # of a window that holds the largest sprite
    centers = size * (0.25 + POSITIONS[factors[:, 3:]] / 2)  # [n, 2], x then y
    corners = np.clip(np.floor(centers - width / 2), 0, size - width).astype(np.int64)
    radii = SCALES[factors[:, 1]] * size / 4
    samples = (np.arange(width * SUBSAMPLES) + 0.5) / SUBSAMPLES
    offsets = (samples - (centers - corners)[:, :, None]) / radii[:, None, None]  # [n, 2, samples]
    windows = _covered(factors, offsets.astype(np.float32))
    for image, (left, top), window in zip(images, corners, windows, strict=True):
        image[top : top + width, left : left + width, 0] = window


def _covered(factors: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    angles = ANGLES[factors[:, 2]].astype(np.float32)[:, None, None]
    across, down = offsets[:, 0, None, :], offsets[:, 1, :, None]
    along = np.cos(angles) * across + np.sin(angles) * down  # [n, samples, samples], turned back
    upright = np.cos(angles) * down - np.sin(angles) * across
    inside = np.empty(along.shape, bool)
    for shape, contains in enumerate((_square, _ellipse, _heart)):
        chosen = factors[:, 0] == shape
        inside[chosen] = contains(along[chosen], upright[chosen])
    pixels = offsets.shape[2] // SUBSAMPLES
    rows = inside.view(np.uint8).reshape(-1, pixels, SUBSAMPLES, offsets.shape[2]).sum(axis=2, dtype=np.uint8)
    counts = rows.reshape(-1, pixels, pixels, SUBSAMPLES).sum(axis=3, dtype=np.uint8)
    return np.where(counts * 2 >= SUBSAMPLES**2, np.uint8(255), np.uint8(0))


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) <= np.float32(math.sqrt(0.5))


def _ellipse(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x * x + 4 * y * y <= 1


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The curve (x^2 + y^2 - 1)^3 = x^2 y^3, moved to its centroid and shrunk into the unit circle."""
    x, y = x * HEART_RADIUS, HEART_CENTER - y * HEART_RADIUS
    squares = x * x
    ring = squares + y * y - 1
    return ring * ring * ring <= squares * y * y * y


class Sprites(Source):
    """Sprites of `data.sprites.size` pixels: all 737,280, or `data.sprites.count` of them drawn by the seed.

    The factors are features under their own names. They may also be the label: `data.label: shape`
    adds the feature `label` with the names of the shapes, or with the index of another factor.
    """

    kind = "sprites"
    seeded = True

    def _inspect(self) -> Description:
        self._check_roles()
        count = self.data.sprites.count or COUNT
        if count > COUNT:
            raise InputError(f"data.sprites.count: there are only {COUNT:,} sprites. Received: {count:,}.")
        model = self.expected
        size = model.shape[0] if model and model.kind == "image" else self.data.sprites.size
        spec = FeatureSpec(
            "image",
            (size, size, 1),
            "uint8",
            label=LABEL if self.data.label else None,
            factors=tuple(FACTORS),
            factor_sizes=factor_sizes(),
        )
        fingerprint = f"sprites {RENDERER}, {count} of {size}x{size}, seed {self.seed}"
        return Description("sprites", "sprites", self.settle(spec), count, fingerprint)

    def _check_roles(self) -> None:
        label, factors = self.data.label, self.data.factors
        if label is not None and label not in FACTORS:
            raise InputError(f"data.label: sprites have no factor {label!r}. {suggestion(label, FACTORS)}")
        if factors and factors != tuple(FACTORS):
            raise InputError(f"data.factors: sprites always have {', '.join(FACTORS)}. Remove data.factors.")
        for role in ("sensitive", "targets", "id"):
            if getattr(self.data, role):
                raise InputError(f"data.{role}: sprites have none. Remove data.{role}.")

    def _shards(self) -> list[Shard]:
        """Returns shards of at most 2,048 images; the draw is made once, here."""
        rng = np.random.default_rng(self.seed)
        drawn = rng.choice(COUNT, self.describe().count, replace=False)
        return [Shard("", start, tuple(drawn[start : start + ROWS].tolist())) for start in range(0, len(drawn), ROWS)]

    def read(self, shard: Shard) -> Iterator[Record]:
        """Yields the images of one shard; the id is the index in the full set."""
        spec = self.spec
        for start in range(0, len(shard.items), CHUNK):
            indices = shard.items[start : start + CHUNK]
            factors = factors_of(np.array(indices))
            images = render(factors, size=spec.shape[0])
            for index, values, image in zip(indices, factors.tolist(), images, strict=True):
                record = {IMAGE: image, spec.id: str(index)}
                named = dict(zip(FACTORS, values, strict=True))
                record |= {name: named[name] for name in spec.factors if name in named}
                if spec.label and self.data.label in named:
                    value = named[self.data.label]
                    record[spec.label] = SHAPES[value] if self.data.label == "shape" else str(value)
                yield record

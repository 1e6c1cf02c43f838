"""Drift: the tests err as often as they say, see what moved, and look at a sample that anybody can draw again."""

import dataclasses
import datetime
import hashlib

import encoders
import numpy as np
import pyarrow as pa
import pytest
from encoders import SPACE, write_codes

from components.drift.compare import Settings, compare
from components.drift.kernel_test import kernel_test
from components.drift.sample import draw
from components.drift.schema import DRIFT_FILE, read_drift, write_drift
from components.drift.wording import in_words
from components.embedder import files
from models.errors import InputError

NOW = datetime.datetime(2026, 7, 3, 12, tzinfo=datetime.UTC)
WIDTH = 4


def normal(count: int, seed: int, *, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width))


def rates(count: int, seed: int, mean: float = 5.0) -> pa.Array:
    return pa.array(np.random.default_rng(seed).normal(mean, 1.0, count), pa.float32())


def held(path, codes, **columns) -> files.Embeddings:
    return files.read(write_codes(path, codes, **columns))


def test_the_kernel_tests_value_is_mmd_by_its_definition():
    reference, live = normal(40, 0), normal(30, 1) + 0.5
    found = kernel_test(reference, live, permutations=9, seed=0)
    pooled = np.concatenate([reference, live])
    distances = np.linalg.norm(pooled[:, None] - pooled[None], axis=2)
    scale = np.median(distances[np.triu_indices(70, 1)])
    gram = np.mean([np.exp(-(distances**2) / (2 * (m * scale) ** 2)) for m in (0.5, 1.0, 2.0)], axis=0)
    within = sum(
        (block.sum() - np.trace(block)) / (len(block) * (len(block) - 1)) for block in (gram[:40, :40], gram[40:, 40:])
    )
    assert found.lengthscale == pytest.approx(scale)
    assert found.mmd2 == pytest.approx(within - 2 * gram[:40, 40:].mean())
    assert found.p_value == 0.1  # none of nine divisions is as far apart


def test_the_kernel_test_errs_as_often_as_it_says():
    """Of 100 pairs without a difference, a share of 0.2 has p at most 0.2, and of 0.05 at most 0.05."""
    found = [
        kernel_test(normal(30, 2 * seed), normal(40, 2 * seed + 1), permutations=19, seed=seed).p_value
        for seed in range(100)
    ]
    for level in (0.05, 0.2, 0.5):  # within three standard deviations
        expected = 100 * level
        assert abs(np.sum(np.array(found) <= level + 1e-9) - expected) < 3 * np.sqrt(expected * (1 - level))


def test_equal_samples_are_as_near_as_any():
    assert kernel_test(normal(30, 0), normal(30, 0), permutations=99, seed=0).p_value == 1.0


def test_a_sample_is_of_the_smallest_hashes_whatever_the_files(tmp_path):
    codes = normal(500, 0)
    held(tmp_path / "many" / "a.parquet", codes[:120], rate=rates(120, 0), rows=50)
    held(tmp_path / "many" / "b.parquet", codes[120:], start=120, rate=rates(380, 1))
    found = draw(files.read(tmp_path / "many"), 100)
    order = sorted(range(500), key=lambda row: hashlib.sha256(f"row {row}".encode()).digest()[:8])
    np.testing.assert_array_equal(found.codes, codes[order[:100]].astype(np.float32))
    assert (found.total, found.nonfinite, found.rates is not None and len(found.rates)) == (500, 0, 100)
    other = held(tmp_path / "one.parquet", codes[::-1])
    assert draw(other, 100).rates is None
    assert draw(other, 1_000).total == 500


def test_what_is_not_finite_is_left_out_and_counted(tmp_path):
    codes = normal(50, 0)
    codes[3, 1] = np.nan
    broken = pa.array([np.inf, *[1.0] * 49], pa.float32())
    found = draw(held(tmp_path / "codes.parquet", codes, rate=broken), 100)
    assert (len(found.codes), found.total, found.nonfinite) == (48, 48, 2)


def test_only_what_was_asked_lately_is_looked_at(tmp_path):
    times = [NOW - datetime.timedelta(hours=row) for row in range(100)]
    stamps = pa.array(times, pa.timestamp("us", tz="UTC"))
    live = held(tmp_path / "log.parquet", normal(100, 0), time=stamps)
    assert draw(live, 1_000, since=NOW - datetime.timedelta(hours=9.5)).total == 10
    reference = held(tmp_path / "reference.parquet", normal(100, 1))
    assert compare(reference, live, Settings(hours=49.5), now=NOW).live.total == 50
    with pytest.raises(InputError) as caught:
        compare(reference, reference, Settings(hours=1.0), now=NOW)
    assert str(caught.value) == f"{reference.place}: does not say when (no column time). Leave --hours out."
    with pytest.raises(InputError) as caught:
        compare(reference, live, Settings(hours=9.5), now=NOW)
    assert str(caught.value) == (
        f"{live.place}: 10 embeddings of the last 9.5 hours of {SPACE} are too few to tell; it takes 30. Wait for "
        "more, or look at another file."
    )


def test_codes_that_are_all_not_finite_are_named(tmp_path):
    reference = held(tmp_path / "reference.parquet", normal(100, 1))
    live = held(tmp_path / "live.parquet", np.full((50, WIDTH), np.nan))
    with pytest.raises(InputError) as caught:
        compare(reference, live, Settings(), now=NOW)
    assert str(caught.value) == (
        f"{live.place}: 50 of 50 embeddings of {SPACE} have a code or a rate that is not finite, and it takes 30 that "
        "are. Check what this encoder was given, or look at another file."
    )


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    return held(folder / "codes.parquet", normal(400, 100), rate=rates(400, 100))


def moved(place, *, by: float, dimension: int):
    codes = normal(400, 101)
    codes[:, dimension] += by
    return held(place / "live.parquet", codes, rate=rates(400, 101))


def test_the_same_distribution_is_no_drift(reference, tmp_path):
    found = compare(reference, moved(tmp_path, by=0.0, dimension=0), Settings(), now=NOW)
    assert found.drifted == ()
    assert not any(dimension.drifted for dimension in found.dimensions)


def test_a_dimension_that_moved_is_named(reference, tmp_path):
    found = compare(reference, moved(tmp_path, by=0.8, dimension=2), Settings(), now=NOW)
    assert found.drifted == ("codes", "dimensions")
    assert [dimension.drifted for dimension in found.dimensions] == [False, False, True, False]
    assert found.kernel.p_value == 0.002


def test_what_only_codes_together_show_is_seen_by_the_kernel_test(reference, tmp_path):
    """Two dimensions that became one have the distributions they had."""
    codes = normal(400, 101)
    codes[:, 1] = codes[:, 0]
    found = compare(reference, held(tmp_path / "live.parquet", codes, rate=rates(400, 101)), Settings(), now=NOW)
    assert found.drifted == ("codes",)


def test_a_rate_that_rose_is_drift_in_the_rate(reference, tmp_path):
    live = held(tmp_path / "live.parquet", normal(400, 101), rate=rates(400, 101, mean=6.0))
    found = compare(reference, live, Settings(), now=NOW)
    assert found.drifted == ("rate",)
    assert found.rate is not None
    low, high = found.rate.interval
    assert low < 1.0 < high
    assert found.rate.shift == pytest.approx(found.rate.live - found.rate.reference)
    assert found.rate.surprising > 0.03


@pytest.mark.parametrize("signature", ["embed_aligned", "embed_aligned_bytes"])
def test_the_rate_of_an_encoder_that_was_aligned_to_the_space_is_not_compared(reference, tmp_path, signature):
    """A log's rows of one space: the new encoder's rates are about its own."""
    asked = ["embed", signature] * 200
    mixed = pa.array([5.0 if name == "embed" else 50.0 for name in asked], pa.float32())
    mixed = pa.array(np.asarray(mixed) + np.asarray(rates(400, 101, mean=0.0)), pa.float32())
    live = held(tmp_path / "live.parquet", normal(400, 101), rate=mixed, signature=pa.array(asked))
    found = compare(reference, live, Settings(), now=NOW)
    assert (found.drifted, found.live.total) == ((), 400)
    assert found.rate is not None
    assert found.rate.live == pytest.approx(5.0, abs=0.3)
    few = pa.array(["embed"] * 29 + [signature] * 371)
    live = held(tmp_path / "few.parquet", normal(400, 101), rate=mixed, signature=few)
    found = compare(reference, live, Settings(), now=NOW)
    assert (found.rate, found.drifted, found.level) == (None, (), 0.005)


def test_without_rates_the_other_tests_share_the_false_alarms(reference, tmp_path):
    live = held(tmp_path / "live.parquet", normal(400, 101))
    assert compare(reference, live, Settings(), now=NOW).level == pytest.approx(0.01 / 2)
    found = compare(reference, moved(tmp_path, by=0.0, dimension=0), Settings(), now=NOW)
    assert found.level == pytest.approx(0.01 / 3)
    constant = held(tmp_path / "constant.parquet", normal(400, 101), rate=pa.array([5.0] * 400, pa.float32()))
    alike = compare(constant, constant, Settings(), now=NOW)
    assert alike.rate is not None
    assert (alike.rate.shift, alike.rate.p_value, alike.drifted) == (0.0, 1.0, ())


def test_the_verdict_is_one_line(reference, tmp_path):
    found = compare(reference, moved(tmp_path, by=0.8, dimension=2), Settings(sample=300), now=NOW)
    assert in_words(found) == (
        f"drift in codes, dimensions: MMD^2 {found.kernel.mmd2:.4f} (p 0.002); 1 of 4 dimensions moved (2; largest KS "
        f"{found.dimensions[2].statistic:.2f}, p {found.dimensions[2].p_value:.2g}); rate {found.rate.shift:+.2f} nats "
        f"[{found.rate.interval[0]:+.2f}, {found.rate.interval[1]:+.2f}] (p {found.rate.p_value:.2g}); 300 of 400 live "
        f"against 300 evaluated; {SPACE}"
    )
    calm = dataclasses.replace(found, drifted=(), rate=None, dimensions=found.dimensions[:1])
    sure = dataclasses.replace(found, kernel=dataclasses.replace(found.kernel, p_value=0.0))
    assert f"MMD^2 {found.kernel.mmd2:.4f} (p < 1e-300); 1 of 4" in in_words(sure)
    calm = dataclasses.replace(calm, live=dataclasses.replace(found.live, nonfinite=2))
    assert in_words(calm) == (
        f"no drift: MMD^2 {found.kernel.mmd2:.4f} (p 0.002); 0 of 1 dimensions moved (largest KS "
        f"{found.dimensions[0].statistic:.2f}, p {found.dimensions[0].p_value:.2g}); 300 of 400 live against 300 "
        f"evaluated, 2 not finite left out; {SPACE}"
    )


def test_the_record_is_read_as_it_was_written(reference, tmp_path):
    found = compare(reference, moved(tmp_path, by=0.8, dimension=2), Settings(), now=NOW)
    assert read_drift(write_drift(found, tmp_path)) == found
    (tmp_path / DRIFT_FILE).write_text(encoders.record(SPACE, 2))
    with pytest.raises(InputError, match="Run `metaprior monitor` again"):
        read_drift(tmp_path / DRIFT_FILE)


def test_permutations_that_could_never_find_drift_are_refused():
    with pytest.raises(InputError) as caught:
        Settings(alpha=0.001)
    assert str(caught.value) == ("--permutations 499: too few to find drift at --alpha 0.001. It takes 3000 or more.")

"""The mathematics of a frontier: Pareto sets, the knee, paired differences, the bound, the recommendation."""

import math
from pathlib import Path

import frontiers
import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from factor_codes import codes_of
from frontiers import configuration, frontier, images, measured
from hypothesis import given

from components.frontier.bound import GREY, REASONS, TOLD, entropy, information_bound
from components.frontier.pareto import knee, pareto
from components.frontier.recommend import compare, recommend
from components.frontier.schema import Usefulness, read_frontier, write_frontier
from models.errors import InputError
from models.features.spec import Column, FeatureSpec

ACCURACY = Usefulness(metric=frontiers.PROBE, unit="accuracy", better="higher")
COSTS = arrays.arrays(float, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.integers(0, 4).map(float))


def dominates(one, other) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))


@given(COSTS)
def test_the_pareto_set_is_what_no_other_row_dominates(costs):
    expected = [not any(dominates(other, one) for other in costs) for one in costs]
    assert pareto(costs).tolist() == expected
    assert any(expected)


@given(COSTS, st.permutations(range(12)))
def test_the_pareto_set_does_not_depend_on_the_order(costs, order):
    order = [place for place in order if place < len(costs)]
    assert pareto(costs[order]).tolist() == pareto(costs)[order].tolist()


def test_equal_points_are_all_in_the_set():
    assert pareto(np.array([[1.0, 2], [1, 2], [2, 2]])).tolist() == [True, True, False]


def test_the_knee_of_a_hyperbola_is_where_its_slope_is_that_of_the_chord():
    rate = np.linspace(1, 9, 801)  # scaled, 1 / x from 1 to 9 is symmetric about x = 3
    index, distance = knee(rate, 9 / rate)
    assert rate[index] == pytest.approx(3)
    assert distance == pytest.approx((1 - 2 * 2 / 8) / math.sqrt(2))


def test_the_knee_does_not_depend_on_units_or_order():
    rate, distortion = np.array([9.0, 0, 1, 4]), np.array([100.0, 500, 180, 120])
    index, distance = knee(rate, distortion)
    assert rate[index] == 1
    assert knee(1000 * rate + 7, distortion / 3) == (index, pytest.approx(distance))


@pytest.mark.parametrize(
    ("rate", "distortion"),
    [([1, 2], [2, 1]), ([0, 1, 2], [2, 1, 0]), ([0, 1, 2], [2, 1.9, 0]), ([1, 1, 1], [3, 2, 1])],
)
def test_two_points_a_line_and_a_bulge_have_no_knee(rate, distortion):
    assert knee(np.array(rate, float), np.array(distortion, float)) is None


def test_a_paired_difference_is_the_one_sample_test_of_the_differences():
    found = compare(np.array([0.84, 0.85, 0.83]), np.array([0.80, 0.83, 0.80]))
    differences = np.array([0.04, 0.02, 0.03])
    error = differences.std(ddof=1) / math.sqrt(3)
    assert found.difference == pytest.approx(0.03)
    assert found.interval == pytest.approx((0.03 - 4.302653 * error, 0.03 + 4.302653 * error), rel=1e-5)
    statistic = 0.03 / error  # Student's t with two degrees of freedom has a distribution in closed form
    assert found.p == pytest.approx(1 - statistic / math.sqrt(2 + statistic**2))
    assert found.significant


def test_differences_without_spread_and_single_seeds_need_no_test():
    same = compare(np.array([0.5, 0.6]), np.array([0.5, 0.6]))
    assert (same.difference, same.p, same.significant) == (0.0, 1.0, False)
    shifted = compare(np.array([3.0, 4.0]), np.array([1.0, 2.0]))
    assert (shifted.difference, shifted.interval, shifted.p, shifted.significant) == (2.0, None, None, False)
    alone = compare(np.array([3.0]), np.array([1.0]))
    assert (alone.difference, alone.interval, alone.p, alone.significant) == (2.0, None, None, False)


def advice(*found, usefulness=ACCURACY):
    configurations = [one for one, _ in found]
    trials = [trial for _, own in found for trial in own]
    return recommend(configurations, trials, pareto=[one.name for one in configurations], usefulness=usefulness)


def test_a_significant_gain_is_recommended_with_its_price():
    better = configuration("beta_tcvae, beta 4, latent 4", [0.84, 0.85, 0.83], distortion=20.6)
    found = advice(configuration("vae, latent 4", [0.80, 0.83, 0.80]), better)
    assert found.text == (
        "`beta_tcvae`, beta 4, latent 4: 0.6 nats worse distortion, linear probe +3.0 ± 2.5 points over `vae`, "
        "latent 4 at 100 labels (p = 0.035, paired t-test over 3 seeds)."
    )
    assert (found.configuration, found.reference) == ("beta_tcvae, beta 4, latent 4", "vae, latent 4")
    assert found.note == (
        "The best of 2 was chosen by looking at all of them: expect a somewhat smaller gain on new seeds."
    )


def test_a_gain_that_may_be_chance_is_no_difference_and_the_reference_stays():
    found = advice(configuration("vae, latent 4", [0.80, 0.83, 0.80]), configuration("b, latent 4", [0.85, 0.80, 0.81]))
    assert found.text == (
        "No significant difference in linear probe at 100 labels: `b`, latent 4 +1.0 ± 9.9 points over `vae`, "
        "latent 4 (p = 0.71, paired t-test over 3 seeds). Keep `vae`, latent 4."
    )
    assert found.configuration == found.reference == "vae, latent 4"


def test_one_seed_is_said_to_tell_nothing():
    found = advice(configuration("vae, latent 4", [0.80]), configuration("b, latent 4", [0.85], distortion=19.0))
    assert found.text == (
        "`b`, latent 4: 1.0 nats better distortion, linear probe +5.0 points over `vae`, latent 4 at 100 labels. "
        "From one seed each, which does not tell a difference from chance: set sweep.seeds to at least 2."
    )
    assert (found.configuration, found.p) == ("b, latent 4", None)


def test_the_reference_itself_may_be_the_best():
    found = advice(configuration("vae, latent 4", [0.9, 0.9]), configuration("b, latent 4", [0.8, 0.8]))
    assert found.text == "`vae`, latent 4: linear probe 90.0 % at 100 labels; the other one does no better."
    alone = advice(configuration("vae, latent 4", [0.9, 0.9]))
    assert alone.text.endswith("at 100 labels; it is the only one that is complete.")


def test_where_less_is_better_the_least_wins():
    rate = Usefulness(metric="rate", unit="nats", better="lower")
    found = advice(
        configuration("vae, latent 4", [0.9, 0.8]), configuration("b, latent 4", [0.3, 0.2]), usefulness=rate
    )
    assert found.configuration == "b, latent 4"
    assert found.difference == pytest.approx(-0.6)


def test_different_epochs_are_not_passed_over_in_silence():
    found = advice(configuration("vae, latent 4", [0.80, 0.80]), configuration("b, latent 4", [0.85, 0.85], rung=1))
    assert "+5.0 points over `vae`, latent 4 at 100 labels (9 against 3 epochs). By the very same from " in found.text


def test_differences_without_any_spread_are_not_called_significant():
    found = advice(configuration("vae, latent 4", [0.5, 0.6]), configuration("b, latent 4", [0.6, 0.7]))
    assert found.text.endswith(
        "By the very same from each of 2 seeds, of which a t-test says nothing: give more sweep.seeds."
    )
    assert (found.configuration, found.p, found.interval) == ("b, latent 4", None, None)


def test_the_entropy_of_distinct_examples_is_the_logarithm_of_their_number():
    assert entropy(np.ones(8)) == pytest.approx(math.log(8))
    assert entropy(np.array([2, 2])) == pytest.approx(math.log(2))
    assert entropy(np.array([3, 1])) == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))


def test_binary_images_have_the_bound():
    records = images([0, 255, 0, 0], [255, 255, 0, 0], [255, 255, 0, 0])
    found = information_bound(frontiers.PIXELS, "auto", records, sums=[5.0, 4.0], told=False)
    assert (found.applies, found.distinct) == (True, 2)
    assert found.entropy == pytest.approx(math.log(3) - 2 / 3 * math.log(2))
    assert found.slack == pytest.approx(4 - found.entropy)


def test_a_table_of_categories_has_the_bound_and_one_of_numbers_has_not():
    spec = FeatureSpec(kind="table", shape=(1,), columns=(Column("job", "categorical", 3),))
    assert information_bound(spec, "auto", [], sums=[1.0], told=True).reason == TOLD
    numbers = FeatureSpec(kind="table", shape=(1,), columns=(Column("age", "numeric"),))
    assert information_bound(numbers, "auto", [], sums=[1.0], told=False).reason == REASONS["gaussian"]


@pytest.mark.parametrize(("likelihood", "reason"), [("auto", GREY), ("gaussian", REASONS["gaussian"])])
def test_grey_levels_and_densities_have_no_bound(likelihood, reason):
    found = information_bound(frontiers.PIXELS, likelihood, images([0, 128, 0, 0]), sums=[1.0], told=False)
    assert (found.applies, found.reason, found.entropy) == (False, reason, None)


def test_a_frontier_is_made_of_the_last_rung_that_has_all_seeds(tmp_path):
    trials = [measured(tmp_path, seed, useful=0.5 + seed / 10) for seed in (0, 1)]
    trials.append(measured(tmp_path, 0, rung=1, useful=0.9))
    trials += [measured(tmp_path, seed, recipe="beta_vae", parameters={"beta": 4}, rate=1.0) for seed in (0, 1)]
    found = frontier(trials)
    first = found.configurations[0]
    assert (first.name, first.rung, first.epochs, first.seeds) == ("vae, latent 4", 0, 3, (0, 1))
    assert first.usefulness.value == pytest.approx(0.55)
    assert first.usefulness.interval == pytest.approx((0.0, 1.0))  # 0.55 -+ 12.7 * 0.05, and no accuracy is beyond
    assert len(found.trials) == 5
    assert found.trials[2].usefulness.interval == pytest.approx((0.8, 1.0))
    assert found.pareto == ("beta_vae, beta 4, latent 4",)  # less rate, the same distortion, more useful
    assert found.knee.rule == "the rate-distortion Pareto set has fewer than three points"
    assert read_frontier(write_frontier(found, tmp_path)) == found


def test_the_pareto_sets_may_differ_and_the_knee_is_named(tmp_path):
    points = {0.25: (9.0, 10.0, 0.9), 1: (4.0, 12.0, 0.95), 4: (1.0, 30.0, 0.2), 8: (4.5, 13.0, 0.99)}
    trials = [
        measured(tmp_path, 0, recipe="beta_vae", parameters={"beta": beta}, rate=r, distortion=d, useful=u)
        for beta, (r, d, u) in points.items()
    ]
    found = frontier(trials)
    assert [name.split()[2] for name in found.pareto_rate_distortion] == ["0.25,", "1,", "4,"]
    assert len(found.pareto) == 4
    assert found.knee.configuration == "beta_vae, beta 1, latent 4"


def test_a_trial_without_the_metric_is_left_out_with_the_reason(tmp_path):
    trials = [measured(tmp_path, 0), measured(tmp_path, 0, latent=2, useful=None)]
    found = frontier(trials)
    assert [(item.what, item.reason) for item in found.left_out] == [
        ("vae, latent 2, seed 0", "probe/linear/100 was not measured: the evaluation has no such metric")
    ]
    with pytest.raises(InputError) as caught:
        frontier(trials[1:])
    assert str(caught.value) == "sweep: no configuration has probe/linear/100, rate and distortion of all its seeds."


def test_distortions_of_labels_and_of_examples_are_not_laid_side_by_side(tmp_path):
    found = frontier([measured(tmp_path, 0), measured(tmp_path, 0, recipe="vib", explains="label")])
    assert [one.name for one in found.configurations] == ["vae, latent 4"]
    assert [(item.what, item.reason) for item in found.left_out] == [
        ("vib, latent 4", "its distortion is of the label, that of vae, latent 4 is not")
    ]


def test_a_frontier_of_another_version_is_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        read_frontier(tmp_path / "frontier.json")
    assert str(caught.value) == f"{tmp_path / 'frontier.json'}: no such file. Run the sweep again."
    (tmp_path / "frontier.json").write_text('{"schema": 7}')
    with pytest.raises(InputError) as caught:
        read_frontier(tmp_path / "frontier.json")
    assert str(caught.value).startswith(f"{tmp_path / 'frontier.json'}: schema: Input should be 1. Run the sweep")


def test_seeds_whose_codes_are_alike_have_a_high_udr(tmp_path):
    codes, _ = codes_of("ideal", 300)
    mixing = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0]
    kinds = {"vae": [codes, codes[:, ::-1]], "beta_vae": [codes, codes @ mixing]}
    trials = []
    for recipe, seeds in kinds.items():
        for seed, each in enumerate(seeds):
            trials.append(measured(tmp_path, seed, recipe=recipe))
            np.savez(Path(trials[-1].evaluation, "codes.npz"), codes=each, rates=np.full(5, 2.0))
    alike, mixed = frontier(trials, seeds=2).configurations
    assert alike.udr == pytest.approx(0.9, abs=0.03)  # a lasso's coefficient is short of 1 by its penalty
    assert (mixed.udr or 1) < 0.7
    bare = [measured(tmp_path / "bare", seed) for seed in (0, 1)]
    assert frontier(bare, seeds=2).configurations[0].udr is None

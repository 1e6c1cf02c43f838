"""The frontier's page: everything in it, nothing from outside."""

import json
import re

import frontiers
import pytest
from frontiers import frontier, images, measured
from reports import HOSTILE, Reader

from components.frontier.page import render

BETAS = {0.25: (9.0, 10.0, 0.9), 1: (4.0, 12.0, 0.95), 4: (1.0, 30.0, 0.2)}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trials")
    trials = [measured(folder, seed, rate=2.0, distortion=25.0 + seed) for seed in (0, 1)]
    trials += [
        measured(folder, seed, recipe="beta_vae", parameters={"beta": b}, rate=r, distortion=d, useful=u + seed / 100)
        for b, (r, d, u) in BETAS.items()
        for seed in (0, 1)
    ]
    return frontier(trials, distinct(128), sweep=f"digits {HOSTILE}")


def distinct(count: int) -> list[bytes]:
    """Binary images, all of them distinct: their entropy is the logarithm of their number."""
    return images(*([255 * int(bit) for bit in f"{place:08b}"] for place in range(count)))


@pytest.fixture(scope="module")
def page(found) -> Reader:
    return Reader(render(found))


def test_the_page_says_what_to_take_and_how_it_was_found(found, page):
    assert found.recommendation.text.replace("`", "") in "".join(page.text)
    assert "beta_vae, beta 1, latent 4: the point of the rate-distortion Pareto set farthest below" in page.words
    assert "Applies: the likelihood is normalized and the data is discrete. H = 4.85 nats" in page.words
    assert "Lower rate, lower distortion, higher linear probe, 100 labels" in page.words


# Catches: "vae is recommended; compared with vae".
def test_a_reference_that_is_kept_is_not_compared_with_itself(tmp_path):
    trials = [measured(tmp_path, seed, useful=useful) for seed, useful in enumerate((0.8, 0.82))]
    beta = {"recipe": "beta_vae", "parameters": {"beta": 4}, "rate": 2.0}
    trials += [measured(tmp_path, seed, **beta, useful=useful) for seed, useful in enumerate((0.83, 0.8))]
    words = Reader(render(frontier(trials))).words
    kept = "vae, latent 4 is recommended; the most useful of the Pareto set was compared with it by a paired t-test"
    assert kept in words


def test_every_configuration_is_in_the_table(found, page):
    values = {attributes["value"] for tag, attributes in page.elements if tag == "data"}
    for one in found.configurations:
        assert one.name in page.words
        assert {str(one.rate.value), str(one.distortion.value), str(one.usefulness.value)} <= values


def test_the_plots_have_every_configuration_and_the_bound(found, page):
    figures = json.loads(page.raw["script"][0])
    points = [trace for trace in figures["curve"]["data"] if "text" in trace]
    assert sorted(x for trace in points for x in trace["x"]) == [1, 2, 4, 9]
    assert all(trace["error_x"]["array"] for trace in points)
    [dotted] = [trace for trace in figures["curve"]["data"] if trace.get("line", {}).get("dash") == "dot"]
    for rate, distortion in zip(dotted["x"], dotted["y"], strict=True):
        assert rate + distortion == pytest.approx(found.bound.entropy, rel=1e-4)
    assert len(figures["plane"]["data"][0]["x"]) == 4
    assert "Distortion by rate; the color is the linear probe, 100 labels." in page.words
    places = {attributes.get("id") for tag, attributes in page.elements if tag == "div"}
    assert {f"plot-{name}" for name in figures} <= places


def test_the_page_loads_nothing_and_takes_no_orders(page):
    [policy] = [a["content"] for tag, a in page.elements if tag == "meta" and a.get("http-equiv")]
    assert policy.startswith("default-src 'none'")
    assert not [a for tag, a in page.elements if "src" in a or (tag == "link")]
    assert HOSTILE not in "".join(page.raw["script"][:1])
    assert f"digits {HOSTILE}" in page.words


def test_what_was_left_out_is_said_and_absent_where_nothing_was(found, page, tmp_path):
    assert "Left out" not in page.words
    part = frontier([measured(tmp_path, 0), measured(tmp_path, 0, latent=2, useful=None)])
    words = Reader(render(part)).words
    assert re.search(r"Left out vae, latent 2, seed 0: probe/linear/100 was not measured", words)
    assert "Does not apply: the pixels are grey levels" in words
    assert frontiers.PROBE not in words.replace("probe/linear/100 was not", "")

"""Which recipes to try for a meta-prior, and with which starting values: rules as data, free of TensorFlow.

A wish holds the recipes for it, the best first. The starting values are the papers' where those suit small
and large data alike, and otherwise follow from the facts: how wide an example is, how long training takes.
"""

from collections.abc import Callable

from models.recipes.needs import ROLES
from models.recipes.suggest import Choice, Facts, Wish

GENERAL = "general"


def _scaled(large: float, small: float) -> Callable[[Facts], float]:
    """A value for the images of the papers, and one for smaller data, where it would drown the distortion."""
    return lambda facts: large if facts.large else small


def _part_of_training(share: float) -> Callable[[Facts], int | None]:
    return lambda facts: max(1, round(share * facts.steps)) if facts.steps else None


def _at_least(batch: int) -> Callable[[Facts], int | None]:
    """A batch that the estimate can live with, if there are as many examples."""
    return lambda facts: batch if facts.batch < batch <= facts.examples else None


def _room(facts: Facts) -> int | None:
    """A code with units to spare beside one for each factor."""
    factors = len(facts.factor_sizes)
    return None if facts.latent > factors else factors + 5


VIB = Choice(
    recipe="vib",
    why="keeps what the label needs and forgets the rest, nat by nat.",
    parameters={"beta": 1e-3},
)
INFORMATION_DROPOUT = Choice(
    recipe="information_dropout",
    why="drowns what the label does not need in noise, as strong as each input allows.",
    parameters={"beta": 3.0},
)
ANNEALED_VAE = Choice(
    recipe="annealed_vae",
    why="gives the code a fixed number of nats, little by little, so that the most useful factor enters first.",
    parameters={
        "capacity": _scaled(25.0, 5.0),
        "gamma": _scaled(1000.0, 30.0),
        "steps": _part_of_training(0.5),
    },
)
INFO_VAE = Choice(
    recipe="info_vae",
    why="keeps the codes informative and matches all of them together to the prior.",
    parameters={"alpha": 1.0, "lam": 100.0},
    settings={"training.batch": _at_least(128)},
)
VAE = Choice(
    recipe="vae",
    why="is the plain evidence lower bound, the baseline to beat.",
)

WISHES: dict[str, Wish] = {
    GENERAL: Wish(
        meaning="a general representation",
        choices=(
            Choice(
                recipe="beta_vae",
                why="with beta below 1 keeps more of each example than the plain bound, often what probes gain from.",
                parameters={"beta": 0.5},
            ),
            INFO_VAE,
            VAE,
        ),
    ),
    "disentanglement": Wish(
        meaning="disentanglement (one factor of variation a unit)",
        metapriors=("disentanglement",),
        implied_by="factors",
        choices=(
            Choice(
                recipe="beta_tcvae",
                why="punishes the dependence between units and leaves their information alone; it needs no critic.",
                parameters={"beta": 6.0},
            ),
            Choice(
                recipe="dc_ign",
                why="learns a unit for each factor from groups in which only that factor varies.",
                settings={"model.latent": _room},
                unless=(
                    lambda facts: not facts.recurring,
                    "in so few examples, hardly two agree in all factors but one",
                ),
            ),
            Choice(
                recipe="dip_vae_i",
                why="decorrelates the posterior means at about the reconstruction of a plain VAE, and is cheap.",
                parameters={"off_diagonal": 10.0, "diagonal": 100.0},
            ),
            Choice(
                recipe="factor_vae",
                why="lets a critic judge the independence of units; slower, and without a batch's bias.",
                parameters={"gamma": _scaled(35.0, 5.0), "critic_units": _scaled(1000, 128)},
            ),
            Choice(
                recipe="hfvae",
                why="makes groups of units independent, for factors that need several units each.",
                parameters={"groups": 2, "between": 7.0},
            ),
            Choice(
                recipe="dip_vae_ii",
                why="decorrelates the code itself and lets units that are not needed fall silent.",
                parameters={"off_diagonal": 10.0, "diagonal": 10.0},
            ),
            Choice(
                recipe="beta_vae",
                why="trades reconstruction for a short, factorized code by a single weight.",
                parameters={"beta": _scaled(4.0, 1.5)},
            ),
        ),
    ),
    "invariance": Wish(
        meaning="invariance (a code that does not tell an attribute or a nuisance)",
        metapriors=("invariance",),
        implied_by="sensitive",
        choices=(
            Choice(
                recipe="vfae",
                why="draws the codes of the groups together, and keeps what the label needs if there is one.",
                parameters={"lam": 100.0},
                settings={"training.batch": _at_least(128)},
            ),
            Choice(
                recipe="hsic_vae",
                why="punishes any dependence of the code on the attribute by a kernel; one weight and no critic.",
                parameters={"weight": 1000.0},
                settings={"training.batch": _at_least(128)},
                needs=("sensitive",),
            ),
            Choice(
                recipe="fader",
                why="hides the attribute from a critic, so that decoding with another value changes it alone.",
                parameters={"leakage": 0.01, "ramp": _part_of_training(1 / 3)},
            ),
            VIB,
            INFORMATION_DROPOUT,
        ),
    ),
    "bottleneck": Wish(
        meaning="a bottleneck (a code of as few nats as wished)",
        choices=(
            VIB,
            INFORMATION_DROPOUT,
            ANNEALED_VAE,
            Choice(
                recipe="beta_vae",
                why="puts a price on each nat; the rate follows from it.",
                parameters={"beta": _scaled(4.0, 1.5)},
            ),
            Choice(
                recipe="target_rate",
                why="holds the code at so many nats at least, where a strong decoder would empty it.",
                parameters={"target": _scaled(25.0, 10.0)},
            ),
        ),
    ),
    "hierarchy": Wish(
        meaning="hierarchy (coarse features above fine ones)",
        metapriors=("hierarchy",),
        choices=(ANNEALED_VAE,),
    ),
    "clustering": Wish(
        meaning="clustering (a discrete part of the code)",
        metapriors=("clustering",),
        note="The codes below have no clusters built in: cluster the embeddings.",
        choices=(INFO_VAE, VAE),
    ),
    "semi-supervised": Wish(
        meaning="semi-supervised learning (few labels among many examples)",
        metapriors=("semi-supervised",),
        note="M1 is a VAE on all examples and a classifier on its code: what a run does below, in its probes.",
        choices=(VAE, INFO_VAE),
    ),
    "sequences": Wish(
        meaning="sequences (what stays apart from what moves)",
        metapriors=("static and dynamic", "sequences"),
        note="Sequences cannot be given as data yet; their frames can, one by one and without their order.",
    ),
}


def implied(roles: frozenset[str]) -> str:
    """Returns the wish that the data's own roles speak for: a sensitive attribute, then factors."""
    speaking = {wish.implied_by: name for name, wish in WISHES.items() if wish.implied_by}
    return next((speaking[role] for role in ("sensitive", "factors") if role in roles & speaking.keys()), GENERAL)


def lacking(choices: tuple[Choice, ...], facts: Facts) -> dict[str, list[str]]:
    """Returns the recipes that wait for a role, by the first role that the data lack."""
    found: dict[str, list[str]] = {role: [] for role in ROLES}
    for choice in choices:
        for role in choice.missing(facts)[:1]:
            found[role] += [choice.recipe]
    return {role: list(dict.fromkeys(names)) for role, names in found.items() if names}

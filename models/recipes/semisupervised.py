"""Generative models of data of which a few carry labels."""

from models.recipes.records import Family, planned

PAPER = "Kingma et al. 2014, arXiv:1406.5298"

planned(
    Family.SEMI_SUPERVISED,
    "m1",
    title="M1",
    metaprior="semi-supervised",
    mechanism="factorization",
    labels="label (few)",
    objective="D + R on all x, then a classifier on z",
    reference=PAPER,
)
planned(
    Family.SEMI_SUPERVISED,
    "m2",
    title="M2",
    metaprior="semi-supervised",
    mechanism="factorization",
    labels="label (few)",
    objective="l(x, y) on labeled + sum_y q(y|x) * (l(x, y) + log q(y|x)) on others + alpha * E[-log q(y|x)]",
    reference=PAPER,
)
planned(
    Family.SEMI_SUPERVISED,
    "m1_m2",
    title="M1+M2",
    metaprior="semi-supervised",
    mechanism="factorization",
    labels="label (few)",
    objective="M2 on the code of M1",
    reference=PAPER,
    aliases=("m1m2",),
)

"""Graphical models as priors."""

from models.recipes.records import Family, planned

planned(
    Family.STRUCTURED,
    "svae",
    title="SVAE",
    metaprior="clustering, sequences",
    mechanism="prior",
    objective="D + KL(q(z) q(y) || p(z, y | theta)) + KL(q(theta) || p(theta)) / N",
    reference="Johnson et al. 2016, Composing Graphical Models with Neural Networks, arXiv:1603.06277",
    aliases=("gmm_svae", "structured_vae"),
    note="Others use SVAE for hyperspherical or sequential variational autoencoders.",
)

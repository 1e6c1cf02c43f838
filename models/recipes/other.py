"""Autoencoders outside the variational family."""

from models.recipes.records import Family, planned

planned(
    Family.OTHER,
    "dae",
    title="DAE",
    mechanism="corrupted input",
    objective="E_C(x'|x)[-log p(x | encode(x'))]",
    reference="Vincent et al. 2008, Extracting and Composing Robust Features, ICML",
    aliases=("denoising_autoencoder",),
)
planned(
    Family.OTHER,
    "ali",
    title="ALI",
    mechanism="joint matching",
    r2="JS(q(x, z), p(x, z)), by a critic",
    objective="JS(q(x, z), p(x, z)), stochastic encoder",
    reference="Dumoulin et al. 2017, arXiv:1606.00704",
    aliases=("adversarially_learned_inference",),
)
planned(
    Family.OTHER,
    "bigan",
    title="BiGAN",
    mechanism="joint matching",
    r2="JS(q(x, z), p(x, z)), by a critic",
    objective="JS(q(x, z), p(x, z)), deterministic encoder",
    reference="Donahue et al. 2017, arXiv:1605.09782",
)

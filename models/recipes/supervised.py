"""Information bottlenecks, invariance to an attribute, control of an attribute."""

from models.recipes.records import Family, planned

planned(
    Family.SUPERVISED,
    "vib",
    title="VIB",
    metaprior="invariance",
    mechanism="regularization",
    r1="beta * KL(q(z|x) || r(z)), D of the label in place of D",
    labels="label",
    objective="E_q(z|x)[-log p(y|z)] + beta * KL(q(z|x) || r(z))",
    reference="Alemi et al. 2017, arXiv:1612.00410",
    aliases=("deep_vib", "variational_information_bottleneck"),
)
planned(
    Family.SUPERVISED,
    "information_dropout",
    title="Information Dropout",
    metaprior="invariance, disentanglement",
    mechanism="regularization",
    r1="beta * KL(q(z|x) || q_0(z)), multiplicative noise",
    labels="label",
    objective="E_q(z|x)[-log p(y|z)] + beta * KL(q(z|x) || q_0(z))",
    reference="Achille and Soatto 2018, arXiv:1611.01353",
)
planned(
    Family.SUPERVISED,
    "pixelgan_ae",
    title="PixelGAN autoencoder",
    metaprior="clustering, semi-supervised",
    mechanism="regularization + factorization",
    r1="-KL(q(z|x) || p(z))",
    r2="KL(q(z) || p(z)), by a critic",
    labels="label (optional)",
    objective="D + JS(q(z), p(z))",
    reference="Makhzani and Frey 2017, arXiv:1706.00531",
    aliases=("pixelgan",),
)
planned(
    Family.SUPERVISED,
    "vfae",
    title="VFAE",
    metaprior="invariance",
    mechanism="regularization + factorization",
    r2="lambda * MMD^2(q(z|s=0), q(z|s=1))",
    labels="sensitive, label (optional)",
    objective="D + R + alpha * E[-log q(y|z)] + lambda * MMD^2(q(z|s=0), q(z|s=1))",
    reference="Louizos et al. 2016, arXiv:1511.00830",
    aliases=("variational_fair_autoencoder",),
)
planned(
    Family.SUPERVISED,
    "fader",
    title="Fader Networks",
    metaprior="invariance",
    mechanism="regularization + factorization",
    r2="-lambda_E * E[log P(1 - y | z)], by a critic",
    labels="sensitive",
    objective="|x - decode(z, y)|^2 - lambda_E * E[log P(1 - y | z)]",
    reference="Lample et al. 2017, arXiv:1706.00409",
    aliases=("fader_networks",),
)
planned(
    Family.SUPERVISED,
    "dc_ign",
    title="DC-IGN",
    metaprior="disentanglement",
    mechanism="factorization",
    labels="factors (which of them varies in a batch)",
    objective="D + R, inactive dimensions clamped to their batch mean",
    reference="Kulkarni et al. 2015, arXiv:1503.03167",
    aliases=("dcign",),
)

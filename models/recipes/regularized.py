"""Models whose meta-prior is a penalty on the posterior or the aggregate posterior."""

from typing import TYPE_CHECKING

from models.recipes import parts
from models.recipes.records import Family, NonNegative, planned, recipe

if TYPE_CHECKING:
    from models.autoencoder import Autoencoder
    from models.recipes.plan import Plan


@recipe(
    Family.REGULARIZED,
    title="VAE",
    aliases=("aevb", "variational_autoencoder"),
)
def vae(plan: "Plan") -> "Autoencoder":
    """Variational autoencoder: the evidence lower bound itself, the start of the whole family.

    Objective:
        E_q(z|x)[-log p(x|z)] + KL(q(z|x) || p(z))

    Use:
        The baseline, and the right choice where a likelihood or an uncertainty is wanted more than a
        particular structure of the code. One reparameterized sample per example, closed-form KL.

    Limits:
        A strong decoder may ignore the code (posterior collapse: the rate falls to zero). Nothing asks
        the dimensions of the code to mean anything one by one.

    Args:
        plan: the data and the width of the code.

    Reference:
        Kingma and Welling 2014, Auto-Encoding Variational Bayes, arXiv:1312.6114, Eq. 7 and 10; Rezende
        et al. 2014, arXiv:1401.4082.
    """
    return parts.Autoencoder(
        encoder=parts.DiagonalNormal(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=plan.decoder(),
        terms=[parts.NegativeLogLikelihood(), parts.KL()],
        seed=plan.seed,
    )


@recipe(
    Family.REGULARIZED,
    title="beta-VAE",
    metaprior="disentanglement",
    mechanism="regularization",
    r1="(beta - 1) * KL(q(z|x) || p(z))",
    aliases=("betavae", "bvae"),
)
def beta_vae(plan: "Plan", *, beta: NonNegative = 4.0) -> "Autoencoder":
    """beta-VAE: one knob between a faithful code and a short, factorized one.

    Objective:
        E_q(z|x)[-log p(x|z)] + beta * KL(q(z|x) || p(z))

    Use:
        To trade distortion for rate: the optimum moves along the rate-distortion frontier with slope
        -beta. Above 1 it pulls the dimensions of the code apart and drops the least useful; below 1 it
        favors reconstruction; at 0 it is a stochastic autoencoder.

    Limits:
        beta > 1 also punishes the information in the code, so disentanglement is bought with
        reconstruction. Its scale depends on the data: comparing data sets of P elements and codes of
        d dimensions, keep beta * d / P.

    Args:
        plan: the data and the width of the code.
        beta: weight of the rate, in nats of distortion per nat of rate.

    Reference:
        Higgins et al. 2017, beta-VAE: Learning Basic Visual Concepts with a Constrained Variational
        Framework, ICLR, Eq. 4.
    """
    return parts.Autoencoder(
        encoder=parts.DiagonalNormal(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=plan.decoder(),
        terms=[parts.NegativeLogLikelihood(), parts.KL(weight=beta)],
        seed=plan.seed,
    )


planned(
    Family.REGULARIZED,
    "annealed_vae",
    title="AnnealedVAE",
    metaprior="disentanglement",
    mechanism="regularization",
    r1="gamma * |R - C(step)| in place of R",
    objective="D + gamma * |R - C(step)|, C rising linearly to C_max",
    reference="Burgess et al. 2018, arXiv:1804.03599",
    aliases=("capacity_vae", "controlled_capacity_vae"),
)
planned(
    Family.REGULARIZED,
    "target_rate",
    title="Target rate",
    mechanism="regularization",
    r1="|sigma - R| in place of R",
    objective="D + |sigma - R|",
    reference="Alemi et al. 2018, Fixing a Broken ELBO, arXiv:1711.00464",
    aliases=("broken_elbo",),
)
planned(
    Family.REGULARIZED,
    "factor_vae",
    title="FactorVAE",
    metaprior="disentanglement",
    mechanism="regularization",
    r2="gamma * TC(q(z)), by a critic",
    objective="D + R + gamma * TC(q(z))",
    reference="Kim and Mnih 2018, arXiv:1802.05983",
    aliases=("factorvae",),
)
planned(
    Family.REGULARIZED,
    "beta_tcvae",
    title="beta-TCVAE",
    metaprior="disentanglement",
    mechanism="regularization",
    r2="(beta - 1) * TC(q(z)), by minibatch",
    objective="D + alpha * I(x; z) + beta * TC(q(z)) + gamma * sum_j KL(q(z_j) || p(z_j))",
    reference="Chen et al. 2018, arXiv:1802.04942",
    aliases=("btcvae", "tcvae", "betatcvae", "beta_tc_vae"),
)
planned(
    Family.REGULARIZED,
    "info_vae",
    title="InfoVAE",
    metaprior="disentanglement",
    mechanism="regularization",
    r1="-alpha * KL(q(z|x) || p(z))",
    r2="(alpha + lambda - 1) * MMD(q(z), p(z))",
    objective="D + (1 - alpha) * R + (alpha + lambda - 1) * MMD(q(z), p(z))",
    reference="Zhao et al. 2017, arXiv:1706.02262",
    aliases=("infovae", "mmd_vae", "mmdvae"),
)
planned(
    Family.REGULARIZED,
    "dip_vae_i",
    title="DIP-VAE-I",
    metaprior="disentanglement",
    mechanism="regularization",
    r2="lambda_od * sum_{i!=j} C_ij^2 + lambda_d * sum_i (C_ii - 1)^2, C = Cov[mu(x)]",
    objective="D + R + R2",
    reference="Kumar et al. 2018, arXiv:1711.00848",
    aliases=("dipvae", "dip_vae"),
)
planned(
    Family.REGULARIZED,
    "dip_vae_ii",
    title="DIP-VAE-II",
    metaprior="disentanglement",
    mechanism="regularization",
    r2="lambda_od * sum_{i!=j} C_ij^2 + lambda_d * sum_i (C_ii - 1)^2, C = Cov[z]",
    objective="D + R + R2",
    reference="Kumar et al. 2018, arXiv:1711.00848",
)
planned(
    Family.REGULARIZED,
    "hsic_vae",
    title="HSIC-VAE",
    metaprior="disentanglement, invariance",
    mechanism="regularization",
    r2="lambda * HSIC(q(z_1), q(z_2)) or lambda * HSIC(z, s)",
    labels="sensitive (optional)",
    objective="D + R + lambda * HSIC",
    reference="Lopez et al. 2018, arXiv:1805.08672",
    aliases=("hcv",),
)
planned(
    Family.REGULARIZED,
    "hfvae",
    title="HFVAE",
    metaprior="disentanglement",
    mechanism="regularization",
    r1="weight on I(x; z)",
    r2="total correlation between and within groups of dimensions",
    objective="D + w_I * I(x; z) + w_B * TC_between + w_W * TC_within + w_D * sum KL(q(z_j) || p(z_j))",
    reference="Esmaeili et al. 2019, arXiv:1804.02086",
)

"""Models that draw the aggregate posterior q(z) towards the prior."""

from typing import TYPE_CHECKING

from models.recipes import parts
from models.recipes.records import Family, recipe
from models.recipes.types import AtMostOne, Positive, Weight

if TYPE_CHECKING:
    from models.autoencoder import Autoencoder
    from models.recipes.plan import Plan


@recipe(
    Family.REGULARIZED,
    title="InfoVAE",
    metaprior="disentanglement",
    mechanism="regularization",
    r1="-alpha * KL(q(z|x) || p(z))",
    r2="(alpha + lam - 1) * MMD^2(q(z), p(z))",
    formula=r"D + (1 - \alpha) \, R + (\alpha + \lambda - 1) \, \mathrm{MMD}^2(q(z), p(z))",
    aliases=("infovae", "mmd_vae", "mmdvae"),
)
def info_vae(plan: "Plan", *, alpha: AtMostOne = 1.0, lam: Positive = 100.0) -> "Autoencoder":
    """InfoVAE: the codes of all data together match the prior; each one may say as much as it likes.

    Objective:
        D + (1 - alpha) * R + (alpha + lam - 1) * MMD^2(q(z), p(z))

    Use:
        For informative codes whose distribution is nevertheless the prior's: sampling works, and a strong
        decoder does not empty the code. alpha = 1 is the MMD-VAE, alpha = 0 with lam = 1 the `vae`.

    Limits:
        MMD^2 is below 2 where the distortion is tens of nats, so lam has to be about a hundred to count. The
        estimate's noise grows with it: with small batches a lam of 1000, the paper's, can drown the
        distortion's gradient and empty the code. At alpha = 1 nothing keeps the posterior's variance
        from shrinking, so the rate is no measure of the code any more.

    Args:
        plan: the data and the width of the code.
        alpha: 1 less the weight of the rate, at most 1; at 1 a code may say as much as it likes.
        lam: weight of the divergence of the aggregate posterior from the prior (lambda), above 0.

    Reference:
        Zhao et al. 2017, InfoVAE: Information Maximizing Variational Autoencoders, arXiv:1706.02262, Eq. 6
        and Section 4.
    """
    return parts.Autoencoder(
        encoder=parts.DiagonalNormal(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=plan.decoder(),
        terms=[
            parts.NegativeLogLikelihood(),
            parts.KL(weight=1.0 - alpha),
            parts.MMD(plan.kernel(plan.latent), weight=alpha + lam - 1.0),
        ],
        seed=plan.seed,
    )


@recipe(
    Family.REGULARIZED,
    title="DIP-VAE-I",
    metaprior="disentanglement",
    mechanism="regularization",
    r2="off_diagonal * sum_{i!=j} C_ij^2 + diagonal * sum_i (C_ii - 1)^2, C = Cov[mu(x)]",
    formula=r"D + R + \lambda_{od} \sum_{i \neq j} C_{ij}^2 + \lambda_d \sum_i (C_{ii} - 1)^2, "
    r"\quad C = \mathrm{Cov}[\mu(x)]",
    aliases=("dipvae", "dip_vae"),
)
def dip_vae_i(plan: "Plan", *, off_diagonal: Weight = 10.0, diagonal: Weight = 100.0) -> "Autoencoder":
    """DIP-VAE-I: uncorrelated posterior means of unit variance.

    Objective:
        D + R + off_diagonal * sum_{i!=j} C_ij^2 + diagonal * sum_i (C_ii - 1)^2, C = Cov[mu(x)]

    Use:
        For disentanglement at about the reconstruction of the `vae`, cheaply. Keeps every dimension of the
        code in use: the means themselves must vary.

    Limits:
        Uncorrelated is less than independent. As every dimension has to vary, a code that is wider than the
        data's factors spreads them.

    Args:
        plan: the data and the width of the code.
        off_diagonal: weight of the squared covariances (lambda_od).
        diagonal: weight of the squared distances of the variances from 1 (lambda_d).

    Reference:
        Kumar et al. 2018, Variational Inference of Disentangled Latent Concepts from Unlabeled
        Observations, arXiv:1711.00848, Eq. 6.
    """
    return parts.Autoencoder(
        encoder=parts.DiagonalNormal(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=plan.decoder(),
        terms=[
            parts.NegativeLogLikelihood(),
            parts.KL(),
            parts.OffDiagonalCovariance(aggregate=False, weight=off_diagonal),
            parts.DiagonalCovariance(aggregate=False, weight=diagonal),
        ],
        seed=plan.seed,
    )


@recipe(
    Family.REGULARIZED,
    title="DIP-VAE-II",
    metaprior="disentanglement",
    mechanism="regularization",
    r2="off_diagonal * sum_{i!=j} C_ij^2 + diagonal * sum_i (C_ii - 1)^2, C = Cov[z]",
    formula=r"D + R + \lambda_{od} \sum_{i \neq j} C_{ij}^2 + \lambda_d \sum_i (C_{ii} - 1)^2, "
    r"\quad C = \mathrm{Cov}_{q(z)}[z]",
)
def dip_vae_ii(plan: "Plan", *, off_diagonal: Weight = 10.0, diagonal: Weight = 10.0) -> "Autoencoder":
    """DIP-VAE-II: an aggregate posterior with the prior's covariance.

    Objective:
        D + R + off_diagonal * sum_{i!=j} C_ij^2 + diagonal * sum_i (C_ii - 1)^2, C = Cov[z] under q(z)

    Use:
        Like `dip_vae_i` where the code is wider than the data's factors: a dimension that carries nothing
        has the right variance already, and may stay empty.

    Limits:
        Uncorrelated is less than independent. It lowers the rate a little.

    Args:
        plan: the data and the width of the code.
        off_diagonal: weight of the squared covariances (lambda_od).
        diagonal: weight of the squared distances of the variances from 1 (lambda_d).

    Reference:
        Kumar et al. 2018, Variational Inference of Disentangled Latent Concepts from Unlabeled
        Observations, arXiv:1711.00848, Eq. 7.
    """
    return parts.Autoencoder(
        encoder=parts.DiagonalNormal(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=plan.decoder(),
        terms=[
            parts.NegativeLogLikelihood(),
            parts.KL(),
            parts.OffDiagonalCovariance(aggregate=True, weight=off_diagonal),
            parts.DiagonalCovariance(aggregate=True, weight=diagonal),
        ],
        seed=plan.seed,
    )

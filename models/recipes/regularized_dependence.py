"""Models that punish what the dimensions of the code know of each other."""

from typing import TYPE_CHECKING

from models.recipes import parts
from models.recipes.records import Family, recipe
from models.recipes.types import Count, Groups, Positive, Weight

if TYPE_CHECKING:
    from models.autoencoder import Autoencoder
    from models.recipes.plan import Plan


@recipe(
    Family.REGULARIZED,
    title="FactorVAE",
    metaprior="disentanglement",
    mechanism="regularization",
    r2="gamma * TC(q(z)), by a critic",
    formula=r"D + R + \gamma \, \mathrm{KL}\left(q(z) \,\|\, \prod_j q(z_j)\right)",
    aliases=("factorvae",),
)
def factor_vae(
    plan: "Plan",
    *,
    gamma: Weight = 35.0,
    critic_units: Count = 1000,
    critic_layers: Count = 6,
    critic_learning_rate: Positive = 1e-4,
) -> "Autoencoder":
    """FactorVAE: independent dimensions, with a critic to judge their independence.

    Objective:
        D + R + gamma * TC(q(z)), TC by a critic that tells codes from codes with permuted dimensions

    Use:
        For disentanglement at less cost in reconstruction than `beta_vae`: only the dependence between
        dimensions is punished, not the information in the code.

    Limits:
        The critic underestimates the total correlation, the more the longer the encoder has fooled it: a
        reported value near zero is no proof. Compare with the exact `total_correlation` that TensorBoard
        shows for the evaluation split. A step costs several times one of `beta_tcvae`, most of it for the
        critic.

    Args:
        plan: the data and the width of the code.
        gamma: nats of distortion per nat of total correlation.
        critic_units: units of each of the critic's hidden layers.
        critic_layers: number of its hidden layers.
        critic_learning_rate: learning rate of its own Adam (beta_1 = 0.5, beta_2 = 0.9).

    Reference:
        Kim and Mnih 2018, Disentangling by Factorising, arXiv:1802.05983, Eq. 2-3, Algorithm 1, Table 1.
    """
    return parts.Autoencoder(
        encoder=parts.DiagonalNormal(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=plan.decoder(),
        terms=[
            parts.NegativeLogLikelihood(),
            parts.KL(),
            parts.CriticTotalCorrelation(
                plan.critic(1, [critic_units] * critic_layers, parts.Adam(critic_learning_rate, 0.5, 0.9)),
                weight=gamma,
            ),
        ],
        seed=plan.seed,
    )


@recipe(
    Family.REGULARIZED,
    title="beta-TCVAE",
    metaprior="disentanglement",
    mechanism="regularization",
    r2="(beta - 1) * TC(q(z)), by minibatch",
    formula=r"D + \alpha \, I(x; z) + \beta \, \mathrm{TC}(q(z)) + \gamma \sum_j \mathrm{KL}(q(z_j) \,\|\, p(z_j))",
    aliases=("btcvae", "tcvae", "betatcvae", "beta_tc_vae"),
)
def beta_tcvae(plan: "Plan", *, beta: Weight = 6.0, alpha: Weight = 1.0, gamma: Weight = 1.0) -> "Autoencoder":
    """beta-TCVAE: the rate in three parts, each at its own price.

    Objective:
        D + alpha * I(x; z) + beta * TC(q(z)) + gamma * sum_j KL(q(z_j) || p(z_j))

    Use:
        For disentanglement without a critic: beta punishes the dependence between dimensions and leaves the
        information in the code alone. The first to try where factors are thought to be independent.

    Limits:
        The parts are estimated from a batch. The information part is biased upward for batches much smaller
        than the data, so an alpha other than 1 wants large ones, and the encoder can exploit the estimate
        when beta is large.

    Args:
        plan: the data and the width of the code.
        beta: nats of distortion per nat of total correlation.
        alpha: weight of the mutual information of data and code.
        gamma: weight of the dimension-wise KL.

    Reference:
        Chen et al. 2018, Isolating Sources of Disentanglement in VAEs, arXiv:1802.04942, Eq. 4.
    """
    return parts.Autoencoder(
        encoder=parts.DiagonalNormal(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=plan.decoder(),
        terms=[
            parts.NegativeLogLikelihood(),
            parts.MutualInformation(plan.examples, weight=alpha),
            parts.TotalCorrelation(plan.examples, weight=beta),
            parts.DimensionWiseKL(plan.examples, weight=gamma),
        ],
        seed=plan.seed,
    )


@recipe(
    Family.REGULARIZED,
    title="HFVAE",
    metaprior="disentanglement",
    mechanism="regularization",
    r1="(information - 1) * I(x; z)",
    r2="(between - 1) * TC(z^1, ..., z^G) + (within - 1) * sum_g TC(z^g)",
    formula=r"D + w_I \, I(x; z) + w_B \, \mathrm{TC}(z^1, \ldots, z^G) + w_W \sum_g \mathrm{TC}(z^g) "
    r"+ w_D \sum_j \mathrm{KL}(q(z_j) \,\|\, p(z_j))",
)
def hfvae(
    plan: "Plan",
    *,
    groups: Groups = 2,
    between: Weight = 7.0,
    within: Weight = 4.0,
    information: Weight = 1.0,
    dimensions: Weight = 1.0,
) -> "Autoencoder":
    """HFVAE: independent groups of dimensions, each a small code of its own.

    Objective:
        D + information * I(x; z) + between * TC(z^1, ..., z^G) + within * sum_g TC(z^g)
        + dimensions * sum_j KL(q(z_j) || p(z_j))

    Use:
        Where a factor needs several dimensions (a position, a color): independence between the groups has
        its own price, and independence inside a group another, which may be lower. Groups of one dimension
        make it `beta_tcvae`.

    Limits:
        Estimated from the batch like `beta_tcvae`, with the same bias. Which factor goes to which group is
        not decided by anything.

    Args:
        plan: the data and the width of the code.
        groups: number of groups of neighboring dimensions.
        between: weight of the total correlation between groups (w_B).
        within: weight of the total correlation inside groups (w_W).
        information: weight of the mutual information of data and code (w_I).
        dimensions: weight of the dimension-wise KL (w_D).

    Reference:
        Esmaeili et al. 2019, Structured Disentangled Representations, arXiv:1804.02086, Eq. 4-6.
    """
    return parts.Autoencoder(
        encoder=parts.DiagonalNormal(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=plan.decoder(),
        terms=[
            parts.NegativeLogLikelihood(),
            parts.MutualInformation(plan.examples, weight=information),
            parts.CorrelationBetweenGroups(plan.examples, plan.blocks(groups), weight=between),
            parts.CorrelationWithinGroups(plan.examples, plan.blocks(groups), weight=within),
            parts.DimensionWiseKL(plan.examples, weight=dimensions),
        ],
        seed=plan.seed,
    )


@recipe(
    Family.REGULARIZED,
    title="HSIC-VAE",
    metaprior="disentanglement, invariance",
    mechanism="regularization",
    r2="weight * HSIC(z, s) or weight * dHSIC(z^1, ..., z^G)",
    labels="sensitive (optional)",
    formula=r"D + R + \lambda \, \mathrm{HSIC}(z, s) \quad \mathrm{or} \quad "
    r"D + R + \lambda \, \mathrm{dHSIC}(z^1, \ldots, z^G)",
    aliases=("hcv",),
)
def hsic_vae(plan: "Plan", *, weight: Weight = 1000.0, groups: Groups = 2) -> "Autoencoder":
    """HSIC-VAE: independence by a kernel, of a sensitive attribute or between groups of dimensions.

    Objective:
        D + R + weight * HSIC(z, s) where data.sensitive is set, otherwise
        D + R + weight * dHSIC(z^1, ..., z^G)

    Use:
        With a sensitive attribute, for a code that does not tell it; the decoder is given it instead.
        Without one, for groups of dimensions that know nothing of each other. Needs no critic.

    Limits:
        The estimate is never below about 1 / batch, so use batches of at least 128. A kernel of one width
        misses dependence at other scales. HSIC lies between 0 and 0.1, so a weight that counts beside the
        distortion is in the hundreds or thousands.

    Args:
        plan: the data and the width of the code.
        weight: weight of the dependence (lambda).
        groups: number of groups of neighboring dimensions, where there is no sensitive attribute.

    Reference:
        Lopez et al. 2018, Information Constraints on Auto-Encoding Variational Bayes, arXiv:1805.08672,
        Eq. 8.
    """
    return parts.Autoencoder(
        encoder=parts.DiagonalNormal(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=plan.informed_decoder(),
        terms=[parts.NegativeLogLikelihood(), parts.KL(), plan.independence(groups, weight)],
        seed=plan.seed,
    )

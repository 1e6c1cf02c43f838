"""Models whose meta-prior is a penalty on the posterior q(z|x): on the rate."""

from typing import TYPE_CHECKING

from models.recipes import parts
from models.recipes.records import Family, recipe
from models.recipes.types import Count, NonNegative, NonNegativeCount, Weight

if TYPE_CHECKING:
    from models.autoencoder import Autoencoder
    from models.recipes.plan import Plan


@recipe(
    Family.REGULARIZED,
    title="VAE",
    formula=r"\mathbb{E}_{q(z|x)}[-\log p(x|z)] + \mathrm{KL}(q(z|x) \,\|\, p(z))",
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
    formula=r"\mathbb{E}_{q(z|x)}[-\log p(x|z)] + \beta \, \mathrm{KL}(q(z|x) \,\|\, p(z))",
    aliases=("betavae", "bvae"),
)
def beta_vae(plan: "Plan", *, beta: Weight = 4.0) -> "Autoencoder":
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


@recipe(
    Family.REGULARIZED,
    title="AnnealedVAE",
    metaprior="disentanglement",
    mechanism="regularization",
    r1="gamma * |R - C(step)| in place of R",
    formula=r"D + \gamma \, |R - C_t|, \quad C_t = \min(C, C \, t / T)",
    aliases=("capacity_vae", "controlled_capacity_vae"),
)
def annealed_vae(
    plan: "Plan", *, gamma: NonNegative = 1000.0, capacity: NonNegative = 25.0, steps: Count = 100_000
) -> "Autoencoder":
    """AnnealedVAE: the code gets its capacity little by little, the most useful factor first.

    Objective:
        D + gamma * |R - C(step)|, C rising linearly from 0 to `capacity` within `steps`

    Use:
        To decide the rate, in nats, instead of a price for it; and to watch in which order factors enter
        the code while its capacity grows.

    Limits:
        `steps` is the paper's: a training of fewer steps never reaches the capacity, so set it to about half
        of yours. With a large gamma and a small capacity the gradient changes sign from step to step and
        costs reconstruction.

    Args:
        plan: the data and the width of the code.
        gamma: price of a nat that the rate is away from the capacity.
        capacity: the rate in the end, nats (C).
        steps: training steps until the capacity is reached (T).

    Reference:
        Burgess et al. 2018, Understanding disentangling in beta-VAE, arXiv:1804.03599, Eq. 8.
    """
    return parts.Autoencoder(
        encoder=parts.DiagonalNormal(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=plan.decoder(),
        terms=[parts.NegativeLogLikelihood(), parts.RateTarget(parts.Linear(0.0, capacity, steps), weight=gamma)],
        seed=plan.seed,
    )


@recipe(
    Family.REGULARIZED,
    title="Target rate",
    mechanism="regularization",
    r1="|target - R| in place of R",
    formula=r"D + |\sigma - R|, \quad R = \mathrm{KL}(q(z|x) \,\|\, m(z))",
    aliases=("broken_elbo",),
)
def target_rate(plan: "Plan", *, target: NonNegative = 10.0, components: NonNegativeCount = 0) -> "Autoencoder":
    """Target rate: a code that must carry so many nats, against posterior collapse.

    Objective:
        D + |target - R|, R = KL(q(z|x) || m(z))

    Use:
        Where a strong decoder ignores the code: below the target every nat of rate is rewarded.

    Limits:
        It can only raise the rate. The absolute value has slope 1, so for targets below the rate of the
        plain `vae` the optimum is that of the plain `vae`. To lower the rate use `annealed_vae` with a
        gamma above 1, or `beta_vae`.

    Args:
        plan: the data and the width of the code.
        target: the wished rate, nats (sigma); the paper sweeps it.
        components: Gaussians in the learned marginal m(z); 0 for a fixed N(0, I).

    Reference:
        Alemi et al. 2018, Fixing a Broken ELBO, arXiv:1711.00464, Section 4.
    """
    return parts.Autoencoder(
        encoder=parts.DiagonalNormal(plan.trunk(), plan.latent),
        prior=plan.marginal(components),
        decoder=plan.decoder(),
        terms=[parts.NegativeLogLikelihood(), parts.RateTarget(target)],
        seed=plan.seed,
    )

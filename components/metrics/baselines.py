"""Representations that cost nothing: what an encoder must beat to have earned its keep."""

from sklearn.decomposition import PCA

from components.metrics.probes import Codes


def pca(features: Codes, *, width: int, seed: int) -> Codes:
    """Returns the first principal components of the features, fitted on the training part.

    Args:
        features: raw features.
        width: number of components; fewer if the features or training examples are fewer.
        seed: seed of the randomized solver that wide features get.
    """
    model = PCA(min(width, *features.train.shape), random_state=seed)
    train = model.fit_transform(features.train)
    return Codes(train=train, test=model.transform(features.test))

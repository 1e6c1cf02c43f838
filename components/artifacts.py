"""The artifact types that the pipeline's own components pass on."""

from tfx.types.artifact import Artifact, Property, PropertyType

RUN = "METAPRIOR_RUN"
"""Environment variable that tells components the id of the run they are part of."""


class Embeddings(Artifact):
    """Every example's code, and what the encoder's bounds say about it, as Parquet.

    `Split-<split>/embeddings-*.parquet` holds a row per example (id, embedding, stddev, rate, distortion,
    elbo and, where the data has them, label, sensitive and `factor:<name>`);
    `Split-<split>/baselines-*.parquet` holds the model's input and a random encoder's code for a sample.

    Properties: `space` (id of the embedding space), `latent` (width of a code), `split_names` (a JSON list).
    """

    TYPE_NAME = "Embeddings"
    PROPERTIES = {
        "space": Property(type=PropertyType.STRING),
        "latent": Property(type=PropertyType.INT),
        "split_names": Property(type=PropertyType.STRING),
    }


class RepresentationEvaluation(Artifact):
    """What a representation is good for: `evaluation.json` (versioned), `report.html` (self-contained), `tensorboard/`.

    Properties: `space`, `recipe`, `data` (the data's name), `blessed` (1 or 0) and `reasons` (a line per
    bound that was not met).
    """

    TYPE_NAME = "RepresentationEvaluation"
    PROPERTIES = {
        "space": Property(type=PropertyType.STRING),
        "recipe": Property(type=PropertyType.STRING),
        "data": Property(type=PropertyType.STRING),
        "blessed": Property(type=PropertyType.INT),
        "reasons": Property(type=PropertyType.STRING),
    }


class Frontier(Artifact):
    """What the configurations of a sweep trade for one another: `frontier.json` (versioned) and `frontier.html`.

    Properties: `sweep` (its name) and `recommended` (a configuration, in words).
    """

    TYPE_NAME = "Frontier"
    PROPERTIES = {
        "sweep": Property(type=PropertyType.STRING),
        "recommended": Property(type=PropertyType.STRING),
    }

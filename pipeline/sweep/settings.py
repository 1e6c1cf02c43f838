"""What a sweep tries and how long it may take: the run configuration's `sweep` section."""

from typing import Annotated, Any

from pydantic import Field

from components.section import Positive, Section


class Halving(Section):
    """Successive halving: every configuration trains a little, the better ones go on."""

    epochs: Positive | None = Field(
        default=None, description="Epochs of the first rung; null trains every configuration in full."
    )
    factor: Annotated[int, Field(ge=2, le=10)] = Field(
        default=3,
        description="One in so many is promoted, and each rung has so many times the epochs of the one before, "
        "up to `training.epochs`.",
    )


class Sweep(Section):
    """What `metaprior sweep` tries; `metaprior run` does not look at it."""

    recipes: dict[str, dict[str, Any]] = Field(
        default={},
        description="Recipes and their parameters, such as `beta_vae: {beta: [0.5, 1, 4]}`; a list holds "
        "alternatives. The first recipe is the reference that others are compared with.",
    )
    latent: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        default=(), description="Widths of the embedding to try; an empty list takes `model.latent`."
    )
    seeds: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3, description="Seeds of each configuration, from the run's `seed` on."
    )
    minutes: Annotated[float, Field(gt=0)] = Field(
        default=30, description="How long one command may train; the same command later goes on."
    )
    jobs: Annotated[int, Field(ge=1, le=64)] = Field(default=1, description="Trials at once.")
    halving: Halving = Halving()
    usefulness: str | None = Field(
        default=None,
        description="The metric that decides promotions and is the third axis; null takes the linear probe with the "
        "most labels.",
    )


class Choose(Section):
    """Which encoder of the sweep of the run's name `metaprior run` takes; without a task, the model is `model`."""

    task: str | None = Field(
        default=None,
        description="What the encoder shall be best at: a metric, or a column, which stands for its linear probe with "
        "the most labels. The run takes recipe, parameters, latent, seed and epochs from the frontier.",
    )
    max_rate: float | None = Field(default=None, description="The most a code may say, nats.")
    max_distortion: float | None = Field(default=None, description="The most a code may leave out, nats.")
    max_leakage: float | None = Field(
        default=None, description="The most the worst `leakage/...` metric may be: what codes give away."
    )

"""The run configuration: one validated object, the only reader of configuration files and flags."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_\-]{0,62}$")]
SourceKind = Literal["digits", "npz", "images", "keras", "table", "sprites"]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base of every section: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Splits(Section):
    """Relative sizes of the splits; records are assigned by a hash of their id."""

    train: Positive = 8
    eval: Positive = 1
    test: Positive = 1


class Images(Section):
    """How image files become arrays.

    `size` is (height, width); None takes the first image's own. `letterbox` keeps the aspect ratio and
    pads with black, otherwise the image is stretched. `channels` is 1 (grey) or 3 (colour).
    """

    size: tuple[Positive, Positive] | None = None
    channels: Literal[1, 3] | None = None
    letterbox: bool = True


class Columns(Section):
    """Overrides of the inferred kinds of a table's columns; `ignore` leaves columns out."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


class Sprites(Section):
    """The sprites renderer: `size` pixels a side (16 to 64), `count` images drawn by the run's seed (None: all)."""

    size: Annotated[int, Field(ge=16, le=64)] = 64
    count: Positive | None = None


class Data(Section):
    """Where the data is and which part each column plays.

    `source` is a path (npz, csv, parquet, or a folder of images) or a built-in name (digits, sprites,
    mnist, fashion_mnist, cifar10). `array` names the npz array that holds the examples.
    """

    source: str
    kind: SourceKind | None = None
    array: str | None = None
    label: str | None = None
    factors: tuple[str, ...] = ()
    sensitive: str | None = None
    id: str | None = None
    images: Images = Images()
    columns: Columns = Columns()
    missing: tuple[str, ...] = ("", "?", "NA", "N/A", "NaN", "nan", "null", "None")
    sprites: Sprites = Sprites()
    splits: Splits = Splits()
    data_schema: Path | None = None


class Model(Section):
    """Which recipe, how wide its latent, and the recipe's own parameters."""

    recipe: str = "beta_vae"
    latent: Annotated[int, Field(ge=1, le=4096)] = 10
    network: Literal["auto", "mlp", "conv"] = "auto"
    likelihood: Literal["auto", "bernoulli", "gaussian", "gaussian_learned"] = "auto"
    parameters: dict[str, Any] = {}


class Training(Section):
    """How long and how fast to train.

    `epochs` is the most, `patience` the number of epochs without a better evaluation ELBO before
    stopping, `checkpoint_every` the steps between checkpoints.
    """

    epochs: Positive = 100
    batch: Positive = 64
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    patience: Positive = 10
    checkpoint_every: Positive = 500
    xla: Literal["auto", "on", "off"] = "auto"


class Bound(Section):
    """A bound on one metric: absolute (`min`, `max`) and against the last blessed model (`drop`, `rise`)."""

    min: float | None = None
    max: float | None = None
    drop: float | None = Field(default=None, ge=0)
    rise: float | None = Field(default=None, ge=0)


class Evaluation(Section):
    """What is measured, and the bounds a model must meet to be blessed.

    `labels` are the label budgets of the probes, `seeds` the number of draws behind each interval,
    `examples` the most examples of a split that the probes and baselines look at.
    """

    labels: tuple[Positive | Literal["all"], ...] = (10, 100, 1000, "all")
    seeds: Annotated[int, Field(ge=2, le=100)] = 5
    examples: Annotated[int, Field(ge=100)] = 10_000
    bless: dict[str, Bound] = {}


class Serving(Section):
    """Where blessed encoders are pushed (None: `serving` below the run's folder) and how many versions stay."""

    path: Path | None = None
    model: Name = "encoder"
    keep: Positive = 5


class Config(Section):
    """Everything one run of the pipeline depends on."""

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    output: Path = Path("runs")
    data: Data
    model: Model = Model()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    serving: Serving = Serving()
    beam: tuple[str, ...] = ("--runner=FnApiRunner",)

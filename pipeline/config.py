"""The run configuration: one validated object that holds everything a run depends on.

Only the shape lives here. `pipeline.loading` reads files and flags into it, `pipeline.rules` checks what
one field alone cannot say, and `pipeline.reference` writes docs/configuration.md from the descriptions.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from components.evaluator.settings import Settings
from components.section import Positive, Section
from pipeline.sweep.settings import Choose, Sweep

SourceKind = Literal["digits", "npz", "images", "keras", "table", "sprites"]

# `expects` is how a message and the reference name a value that a pattern alone would not explain.
Name = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9_\-]{0,62}$",
        json_schema_extra={
            "expects": "a name of at most 63 small letters, digits, - and _, beginning with a letter or digit"
        },
    ),
]
Flag = Annotated[
    str,
    Field(pattern=r"^--", json_schema_extra={"expects": "a flag that begins with --"}),
]


class Splits(Section):
    """Relative sizes of the splits. Records are assigned by a hash of their id."""

    train: Positive = Field(default=8, description="Share the model and the probes learn from.")
    eval: Positive = Field(default=1, description="Share that early stopping looks at.")
    test: Positive = Field(default=1, description="Share every reported number comes from.")


class Images(Section):
    """How the files of an image folder become arrays of one shape."""

    size: tuple[Positive, Positive] | None = Field(
        default=None, description="[height, width] in pixels; null takes the first image's own."
    )
    channels: Literal[1, 3] | None = Field(
        default=None, description="1 (grey) or 3 (colour); null takes the first image's own."
    )
    letterbox: bool = Field(
        default=True,
        description="Keep the aspect ratio and pad with black; false stretches the image.",
    )


class Columns(Section):
    """Overrides of the kinds inferred for a table's columns."""

    numeric: tuple[str, ...] = Field(default=(), description="Columns to treat as numbers.")
    categorical: tuple[str, ...] = Field(default=(), description="Columns to treat as categories.")
    ignore: tuple[str, ...] = Field(default=(), description="Columns to leave out.")


class Sprites(Section):
    """The sprites renderer: white shapes on black with known factors."""

    size: Annotated[int, Field(ge=16, le=64)] = Field(default=64, description="Pixels a side.")
    count: Positive | None = Field(
        default=None,
        description="How many images to draw at random with the run's seed; null renders all 737,280.",
    )


class Data(Section):
    """Where the data is, and which part each of its columns plays."""

    source: str = Field(
        min_length=1,
        description="A path (npz, csv or parquet file, or a folder of images) or a built-in name: "
        "digits, sprites, mnist, fashion_mnist, cifar10.",
        json_schema_extra={"expects": "a path or a built-in name (--data gives it, too)"},
    )
    kind: SourceKind | None = Field(default=None, description="What the source is; null tells it from the name.")
    array: str | None = Field(default=None, description="npz only: the array that holds the examples.")
    label: str | None = Field(
        default=None,
        description="The column or array with the label. Probes need one; training does not look at it.",
    )
    factors: tuple[str, ...] = Field(
        default=(), description="Columns or arrays with ground-truth factors (whole numbers)."
    )
    sensitive: str | None = Field(default=None, description="The column or array with a sensitive attribute.")
    targets: tuple[str, ...] = Field(
        default=(),
        description="Further columns or arrays to predict from the embedding, each a measure of its usefulness and "
        "never an input: classes (text, or at most 20 whole numbers), real numbers, or, in npz files, a 0/1 matrix "
        "(examples, labels). Missing values stay missing.",
    )
    id: str | None = Field(
        default=None,
        description="The column or array with each example's id; null numbers the examples.",
    )
    images: Images = Images()
    columns: Columns = Columns()
    missing: tuple[str, ...] = Field(
        default=("", "?", "NA", "N/A", "NaN", "nan", "null", "None"),
        description="Cells of a table, and labels, that mean: no value here.",
    )
    sprites: Sprites = Sprites()
    splits: Splits = Splits()
    schema_path: Path | None = Field(
        default=None,
        alias="schema",
        description="A schema of your own (TensorFlow Metadata, text format) that the data must meet; null infers one.",
    )


class Model(Section):
    """Which recipe, how wide its latent, and the recipe's own parameters."""

    recipe: str = Field(default="beta_vae", description="A name from `metaprior models`.")
    latent: Annotated[int, Field(ge=1, le=4096)] = Field(default=10, description="Width of the embedding.")
    network: Literal["auto", "mlp", "conv"] = Field(
        default="auto",
        description="Encoder and decoder networks; auto chooses by the data's shape.",
    )
    likelihood: Literal["auto", "bernoulli", "gaussian", "gaussian_learned"] = Field(
        default="auto",
        description="How the decoder explains an example: gaussian has a fixed variance, "
        "gaussian_learned learns it; auto chooses by the data's kind.",
    )
    parameters: dict[str, Any] = Field(
        default={}, description="The recipe's own parameters, as `metaprior models NAME` lists them."
    )


class Training(Section):
    """How long and how fast to train."""

    epochs: Positive = Field(default=100, description="The most passes over the training split.")
    batch: Positive = Field(default=64, description="Examples a step.")
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(default=1e-3, description="Adam's step size.")
    patience: Positive = Field(
        default=10,
        description="Epochs without a lower evaluation objective (for `vae`: minus the ELBO) before training stops.",
    )
    checkpoint_every: Positive = Field(
        default=500, description="Steps between checkpoints, from which a killed run resumes."
    )
    xla: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Compile the training step; auto does so on accelerators and, on CPUs, for long trainings "
        "of networks without convolutions.",
    )


class Serving(Section):
    """Where blessed encoders are pushed."""

    path: Path | None = Field(default=None, description="The serving folder; null means `serving` in the run's folder.")
    model: Name = Field(default="encoder", description="The name the model is served under.")
    keep: Positive = Field(default=5, description="How many versions stay in the serving folder.")
    validate_with: Literal["auto", "embedded", "tensorflow_model_server"] = Field(
        default="auto",
        description="The server that must answer as the trainer does before a push: the embedded one, or "
        "TensorFlow Serving's binary; auto takes the latter where it is on the PATH.",
    )


class Config(Section):
    """Everything one run of the pipeline depends on."""

    name: Name = Field(description="The run's name and folder; taken from the data when left out.")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(default=0, description="Decides every random draw of the run.")
    output: Path = Field(default=Path("runs"), description="The folder that holds all runs.")
    data: Data
    model: Model = Model()
    training: Training = Training()
    evaluation: Settings = Settings()
    serving: Serving = Serving()
    sweep: Sweep = Sweep()
    choose: Choose = Choose()
    beam: tuple[Flag, ...] = Field(default=("--runner=FnApiRunner",), description="Flags for Apache Beam.")

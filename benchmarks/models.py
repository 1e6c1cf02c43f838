"""What each paper claims, at a size two cores can carry, beside the claim.

    python -m benchmarks.models [--seeds 3] [--only sprites,adult,noise,target] [--data-folder FOLDER]

Every number is the mean over seeds with its 95 % interval (Student's t). A claim is `seen` where the interval of
the difference over the same seeds excludes zero, `not seen at this size` where it does not, and `contradicted`
where it excludes zero on the other side. `adult` and `noise` read `adult-train.csv` and `mnist.npz` from the
folder, and are left out without them.
"""

import argparse
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ |= {"TF_USE_LEGACY_KERAS": "1", "TF_ENABLE_ONEDNN_OPTS": "1"}  # as in `models`; here TensorFlow comes first
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from components.metrics.disentanglement import factor_vae_score, mig
from models import recipes
from models.autoencoder import Autoencoder
from models.factors import Deterministic, LabelLikelihood
from models.features.spec import Column, FeatureSpec
from models.networks import dense
from models.priors import StandardNormal
from models.terms import NegativeLogLikelihood
from pipeline.ingestion.sprites import FACTORS, factor_sizes, render, sample_factors

Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class Claim:
    """One comparison of the table: that the first row's column exceeds the second's by more than zero."""

    paper: str
    text: str
    better: str
    worse: str
    column: str


def fit(model: Autoencoder, data: Batch, *, steps: int, batch: int, rate: float, xla: bool = True) -> Autoencoder:
    """Trains a model on random batches and returns it."""
    rows = tf.data.Dataset.from_tensor_slices(data).shuffle(len(data["x"]), seed=0).repeat()
    model.compile(keras.optimizers.Adam(rate), jit_compile=xla, steps_per_execution=20)
    model.fit(rows.batch(batch, drop_remainder=True), steps_per_epoch=steps, verbose=0, shuffle=False)
    return model


def codes(model: Autoencoder, x: np.ndarray) -> np.ndarray:
    """Returns posterior means, [count, latent]."""
    return np.concatenate([model.encode(part).mean() for part in np.array_split(x, 1 + len(x) // 2000)])


def averages(model: Autoencoder, data: Batch) -> dict[str, float]:
    """Returns rate and distortion, nats, averaged over the data."""
    scores = model.evaluate(tf.data.Dataset.from_tensor_slices(data).batch(1000), verbose=0, return_dict=True)
    return {name: scores[name] for name in ("rate", "distortion")}


# Disentanglement on sprites.

SPRITES = {
    "vae": ("vae", {}),
    "beta_vae 4": ("beta_vae", {"beta": 4.0}),
    "beta_tcvae 6": ("beta_tcvae", {"beta": 6.0}),
    "factor_vae 20": ("factor_vae", {"gamma": 20.0, "critic_units": 256, "critic_layers": 3}),
    "dip_vae_ii 10": ("dip_vae_ii", {"off_diagonal": 10.0, "diagonal": 10.0}),
}
SPRITES_CLAIMS = [
    Claim("Chen et al. 2018, Fig. 4", "higher MIG than beta-VAE", "beta_tcvae 6", "beta_vae 4", "MIG"),
    Claim("Kim and Mnih 2018, Fig. 5", "higher score than beta-VAE", "factor_vae 20", "beta_vae 4", "FactorVAE score"),
    Claim("Kim and Mnih 2018, Fig. 5", "at less distortion", "beta_vae 4", "factor_vae 20", "distortion"),
    Claim("Higgins et al. 2017, Table 1", "more disentangled than the VAE", "beta_vae 4", "vae", "FactorVAE score"),
]


@functools.cache
def sprites(count: int = 20_000) -> tuple[FeatureSpec, Batch, np.ndarray]:
    """Sprites of 32x32 pixels from random factors."""
    factors = sample_factors(count, np.random.default_rng(0))
    x = (render(factors, size=32) / 255).astype(np.float32)
    spec = FeatureSpec(
        "image", (32, 32, 1), "uint8", factors=tuple(FACTORS), factor_sizes=factor_sizes(), examples=count
    )
    return spec, {"x": x}, factors


def on_sprites(name: str, seed: int) -> dict[str, float]:
    spec, data, factors = sprites()
    recipe, parameters = SPRITES[name]
    model = recipes.build(recipe, spec, latent=10, network="mlp", seed=seed, **parameters)
    fit(model, data, steps=4000, batch=128, rate=1e-3)
    z = codes(model, data["x"])
    score = factor_vae_score(z, factors, np.random.default_rng(seed))
    return {"MIG": mig(z, factors), "FactorVAE score": score} | averages(model, data)


# Invariance on Adult.

ADULT = {
    "vae": ("vae", {}),
    "vfae 1000": ("vfae", {"lam": 1000.0}),
    "hsic_vae 1000": ("hsic_vae", {"weight": 1000.0}),
    "fader 0.1": ("fader", {"leakage": 0.1, "ramp": 1000, "critic_units": 128, "critic_learning_rate": 1e-3}),
}
ADULT_CLAIMS = [
    Claim("Louizos et al. 2016, Fig. 3", "tells less of sex, linearly", "vae", "vfae 1000", "AUC of sex, linear"),
    Claim("Louizos et al. 2016, Fig. 3", "tells less of sex at all", "vae", "vfae 1000", "AUC of sex, MLP"),
    Claim("Lopez et al. 2018, Fig. 5", "tells less of sex, linearly", "vae", "hsic_vae 1000", "AUC of sex, linear"),
    Claim("Lample et al. 2017, Table 2", "tells less of sex at all", "vae", "fader 0.1", "AUC of sex, MLP"),
]


@functools.cache
def adult(folder: Path) -> tuple[FeatureSpec, Batch]:
    """The census table as model inputs; sex is the sensitive attribute, income the label."""
    table = pd.read_csv(folder / "adult-train.csv", na_values="?", skipinitialspace=True).drop(columns="fnlwgt")
    label, sensitive = (pd.factorize(table.pop(name), sort=True) for name in ("income", "sex"))
    numeric, categorical = table.select_dtypes("number"), table.select_dtypes(exclude="number")
    kinds = [pd.factorize(categorical[name], sort=True) for name in categorical]
    columns = [Column(name, "numeric") for name in numeric]
    columns += [Column(name, "categorical", len(values)) for name, (_, values) in zip(categorical, kinds, strict=True)]
    scaled = ((numeric - numeric.mean()) / numeric.std()).to_numpy()
    one_hot = [(index[:, None] == np.arange(len(values))) for index, values in kinds]
    mask = table[[column.name for column in columns]].notna().to_numpy()
    spec = FeatureSpec(
        "table",
        (len(columns),),
        columns=tuple(columns),
        label="income",
        classes=tuple(label[1]),
        sensitive="sex",
        groups=tuple(sensitive[1]),
        examples=20_000,
    )
    x = np.concatenate([scaled, *one_hot, mask], axis=1).astype(np.float32)
    return spec, {"x": x, "label": label[0].astype(np.int64), "sensitive": sensitive[0].astype(np.int64)}


def on_adult(name: str, seed: int, folder: Path) -> dict[str, float]:
    spec, data = adult(folder)
    order = np.random.default_rng(seed).permutation(len(data["x"]))
    train, test = ({key: values[part] for key, values in data.items()} for part in (order[:20_000], order[20_000:]))
    recipe, parameters = ADULT[name]
    model = recipes.build(recipe, spec, latent=8, seed=seed, **parameters)
    fit(model, train, steps=3000, batch=256, rate=1e-3)
    scaler = StandardScaler().fit(codes(model, train["x"]))
    z, probed = (scaler.transform(codes(model, part["x"])) for part in (train, test))
    linear, deep = LogisticRegression(max_iter=500), MLPClassifier((32,), early_stopping=True, random_state=seed)
    income = LogisticRegression(max_iter=500).fit(z, train["label"]).score(probed, test["label"])
    leaks = [
        roc_auc_score(test["sensitive"], probe.fit(z, train["sensitive"]).predict_proba(probed)[:, 1])
        for probe in (linear, deep)
    ]
    return {"AUC of sex, linear": leaks[0], "AUC of sex, MLP": leaks[1], "accuracy of income": income}


# Noise on MNIST.

NOISE = {"classifier": None, "vib 0.001": 1e-3, "vib 0.01": 1e-2}
NOISE_CLAIMS = [
    Claim("Alemi et al. 2017, Table 1", "higher accuracy", "vib 0.001", "classifier", "clean"),
    Claim("Alemi et al. 2017, Fig. 3", "sturdier", "vib 0.01", "classifier", "noise 0.5"),
    Claim("Alemi et al. 2017, Fig. 3", "sturdier", "vib 0.01", "classifier", "noise 1.0"),
]


@functools.cache
def mnist(folder: Path) -> tuple[FeatureSpec, Batch, Batch]:
    """Ten thousand training digits of 28x28 pixels, and the test split."""
    with np.load(folder / "mnist.npz") as file:
        parts = [(file[f"x_{split}"], file[f"y_{split}"]) for split in ("train", "test")]
    train, test = ({"x": (x[..., None] / 255).astype(np.float32), "label": y.astype(np.int64)} for x, y in parts)
    spec = FeatureSpec("image", (28, 28, 1), "uint8", label="digit", classes=tuple("0123456789"), examples=10_000)
    return spec, {key: values[:10_000] for key, values in train.items()}, test


def on_noise(name: str, seed: int, folder: Path) -> dict[str, float]:
    spec, train, test = mnist(folder)
    beta = NOISE[name]
    if beta is None:
        model = plain_classifier(spec, seed)
    else:
        model = recipes.build("vib", spec, latent=64, network="mlp", seed=seed, beta=beta)
    fit(model, train, steps=3000, batch=100, rate=5e-4)
    rng = np.random.default_rng(seed)
    columns = {"clean": 0.0, "noise 0.5": 0.5, "noise 1.0": 1.0}
    noisy = {key: test["x"] + scale * rng.normal(size=test["x"].shape) for key, scale in columns.items()}
    return {key: accuracy(model, x.astype(np.float32), test["label"]) for key, x in noisy.items()}


def plain_classifier(spec: FeatureSpec, seed: int) -> Autoencoder:
    """The same networks with a code that is a point, and nothing but the label's likelihood."""
    keras.utils.set_random_seed(seed)
    model = Autoencoder(
        encoder=Deterministic(dense.encoder(spec.event_shape), latent=64),
        prior=StandardNormal(64),
        decoder=LabelLikelihood(dense.decoder((10,), ())),
        terms=[NegativeLogLikelihood()],
        seed=seed,
    )
    model.build({"x": (None, *spec.event_shape)})
    return model


def accuracy(model: Autoencoder, x: np.ndarray, label: np.ndarray) -> float:
    """Returns the accuracy of the probabilities averaged over 12 samples of the code."""
    right = []
    for images, labels in zip(np.array_split(x, 20), np.array_split(label, 20), strict=True):
        z = model.encode(tf.constant(images)).sample(12, seed=(0, 1))
        right.append(np.argmax(tf.reduce_mean(model.decode(z).mean(), axis=0), axis=-1) == labels)
    return float(np.mean(np.concatenate(right)))


# Target rates on sprites.

TARGETS = (20.0, 25.0, 30.0)


def on_target(name: str, seed: int) -> dict[str, float]:
    spec, data, _ = sprites()
    model = recipes.build("target_rate", spec, latent=10, network="mlp", seed=seed, target=float(name))
    fit(model, data, steps=8000, batch=128, rate=1e-3)
    reached = averages(model, data)
    return reached | {"off by, %": 100 * abs(reached["rate"] / float(name) - 1)}


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Returns the mean and half the width of its 95 % interval."""
    if len(values) < 2:
        return float(np.mean(values)), float("nan")
    return float(np.mean(values)), float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def report(
    title: str, names: Sequence[str], run: Callable[[str, int], dict], claims: Sequence[Claim], seeds: int
) -> None:
    """Runs every row of one table for every seed and prints the table and what becomes of the claims."""
    print(f"\n## {title}", flush=True)
    results = {}
    for name in names:
        results[name] = pd.DataFrame([run(name, seed) for seed in range(seeds)])
        cells = [f"{column} {mean:.3f} +- {half:.3f}" for column, (mean, half) in _intervals(results[name])]
        print(f"{name:16} {', '.join(cells)}", flush=True)
    for claim in claims:
        difference = results[claim.better][claim.column] - results[claim.worse][claim.column]
        mean, half = interval(difference)
        verdict = "seen" if mean > half else "contradicted" if mean < -half else "not seen at this size"
        words = f"{claim.column} of {claim.better} less that of {claim.worse}: {mean:+.3f} +- {half:.3f}"
        print(f"  {claim.paper}, {claim.text}: {words}: {verdict}", flush=True)


def _intervals(frame: pd.DataFrame) -> Iterator[tuple[str, tuple[float, float]]]:
    return ((str(column), interval(frame[column].tolist())) for column in frame)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="sprites,target,adult,noise")
    parser.add_argument("--data-folder", type=Path, default=Path("data"))
    arguments = parser.parse_args()
    folder = arguments.data_folder
    tables = {
        "sprites": ("Disentanglement: sprites, 32x32, 20,000 of them", list(SPRITES), on_sprites, SPRITES_CLAIMS),
        "target": ("Target rate: sprites, 32x32", [str(target) for target in TARGETS], on_target, []),
        "adult": ("Invariance: Adult", list(ADULT), functools.partial(on_adult, folder=folder), ADULT_CLAIMS),
        "noise": ("Bottleneck: MNIST, 10,000", list(NOISE), functools.partial(on_noise, folder=folder), NOISE_CLAIMS),
    }
    files = {"adult": "adult-train.csv", "noise": "mnist.npz"}
    for name in arguments.only.split(","):
        if name in files and not (folder / files[name]).exists():
            print(f"\n{name}: left out, there is no {files[name]} in {folder}", flush=True)
            continue
        report(*tables[name], arguments.seeds)


if __name__ == "__main__":
    main()

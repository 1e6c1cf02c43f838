"""Trials as a sweep leaves them: evaluations and models with given numbers, and frontiers of them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from components.evaluator.schema import VERSION, DataFacts, Evaluation, Metric, write_evaluation
from components.frontier.assemble import assemble
from components.frontier.request import Measured, Request
from components.frontier.schema import Configuration, Frontier, Trial, Value
from models.artifact import METADATA, SERVING, TRAINING
from models.features.spec import FeatureSpec

PROBE = "probe/linear/100"
PIXELS = FeatureSpec(kind="image", shape=(2, 2, 1), dtype="uint8")
RUN = {
    "name": "sweep",
    "seed": 0,
    "output": "/runs",
    "data": {"source": "digits"},
    "model": {"recipe": "vae", "latent": 4, "network": "auto", "likelihood": "auto", "parameters": {}},
    "training": {"epochs": 9},
}


def metric(name: str, value: float, unit: str) -> Metric:
    return Metric(name, "encoder", value, unit, (value - 0.1, value + 0.1), "test", 180, 1)


def measured(
    folder: Path, seed: int, *, recipe="vae", parameters=None, latent=4, rung=0, explains="x", **numbers: float
) -> Measured:
    """A trial in a folder of its own; `numbers` by metric, with `_` for `/`, and `useful` for the probe."""
    place = folder / f"{recipe}-{json.dumps(parameters or {})}-{latent}-{seed}-{rung}".replace("/", "_")
    rate, distortion = numbers.pop("rate", 5.0), numbers.pop("distortion", 20.0)
    metrics = [metric("rate", rate, "nats"), metric("distortion", distortion, "nats")]
    if (useful := numbers.pop("useful", 0.8)) is not None:
        metrics.append(metric(PROBE, useful, "accuracy"))
    metrics += [metric(name.replace("_", "/"), value, "accuracy") for name, value in numbers.items()]
    evaluation = Evaluation(
        schema=VERSION,
        space=place.name,
        recipe=recipe,
        parameters=parameters or {},
        objective="nll + kl",
        latent=latent,
        data=DataFacts("digits", "image", {"train": 1437, "test": 180}, label="label", explains=explains),
        metrics=tuple(metrics),
        bounds=(),
        blessed=True,
        seed=seed,
    )
    model = place / "model"
    (model / SERVING / METADATA).parent.mkdir(parents=True)
    (model / SERVING / METADATA).write_text(json.dumps({"spec": dataclasses.asdict(PIXELS)}))
    (model / TRAINING).write_text(json.dumps({"rate": rate, "distortion": distortion + 0.5}))
    write_evaluation(evaluation, place)
    return Measured(
        recipe=recipe,
        parameters=parameters or {},
        latent=latent,
        seed=seed,
        rung=rung,
        epochs=(3, 9)[rung],
        evaluation=str(place),
        model=str(model),
    )


def images(*pixels: list[int]) -> list[bytes]:
    """Serialized examples with an image each."""

    def example(values: list[int]) -> bytes:
        one = tf.train.Example()
        one.features.feature["image"].bytes_list.value.append(np.array(values, np.uint8).tobytes())
        return one.SerializeToString()

    return [example(values) for values in pixels]


def frontier(trials: list[Measured], records: list[bytes] | None = None, **changes: Any) -> Frontier:
    settings = {"sweep": "sweep", "run": RUN, "usefulness": PROBE, "seeds": len({one.seed for one in trials})}
    request = Request(trials=tuple(trials), **settings | changes)
    return assemble(request, images([0, 255, 0, 0], [0, 0, 0, 9]) if records is None else records)


def configuration(name: str, useful: list[float], *, distortion=20.0, rung=0) -> tuple[Configuration, list[Trial]]:
    """A configuration and its trials, seeds 0, 1, ..., for what needs no files."""
    recipe = name.split(",")[0]
    value, rate = Value(float(np.mean(useful)), None), Value(5.0, None)
    shared = {"recipe": recipe, "parameters": {"of": name}, "latent": 4, "rung": rung, "epochs": (3, 9)[rung]}
    trials = [
        Trial(
            configuration=name,
            seed=seed,
            rate=rate,
            distortion=Value(distortion, None),
            usefulness=Value(one, None),
            evaluation="",
            model="",
            **shared,
        )
        for seed, one in enumerate(useful)
    ]
    seeds = tuple(range(len(useful)))
    one = Configuration(
        name=name, seeds=seeds, rate=rate, distortion=Value(distortion, None), usefulness=value, **shared
    )
    return one, trials

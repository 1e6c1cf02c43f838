"""The model card: what a pushed encoder is, was trained on, was measured at, and must not be trusted with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from components.evaluator.names import Name
from components.evaluator.schema import REPRESENTATIONS, Evaluation, Metric
from components.evaluator.wording import heading
from components.pusher.markdown import markdown
from components.report.omissions import by_reason
from models import recipes
from models.artifact import SERVING, TRAINING, read_metadata
from models.features.spec import FeatureSpec

JSON_FILE, TEXT_FILE = Path("assets.extra", "model_card.json"), Path("assets.extra", "model_card.md")
SCHEMA = 1
TRAINED = ("steps", "epochs", "best_epoch", "stopped", "seconds")
ON_HELD_OUT = ("rate", "distortion", "elbo")


@dataclass(frozen=True)
class Lineage:
    """Where a pushed version comes from.

    Args:
        model: id of the model artifact in ML Metadata.
        evaluation: id of the evaluation artifact.
        fingerprint: digest of what changes with the data's content; "" where it is not known.
        served: name that the model is served by.
    """

    model: int
    evaluation: int
    fingerprint: str
    served: str


def files(
    model: Path, evaluation: Evaluation, lineage: Lineage, *, served: Mapping[str, Any] | None = None
) -> dict[Path, bytes]:
    """Returns the card as JSON and as Markdown, by path inside a pushed version.

    Args:
        model: folder of the model artifact.
        evaluation: what was measured of it.
        lineage: where it comes from.
        served: what a version that stays says of itself; the model's encoder where it becomes a version.
    """
    training = json.loads((model / TRAINING).read_text(encoding="utf-8"))
    found = card(served or read_metadata(model / SERVING), evaluation, training, lineage)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    return {JSON_FILE: f"{text}\n".encode(), TEXT_FILE: markdown(found).encode()}


def card(
    record: Mapping[str, Any], evaluation: Evaluation, training: Mapping[str, Any], lineage: Lineage
) -> dict[str, Any]:
    """Returns the card in plain values with stable keys; what is not known is left out.

    Args:
        record: what the exported encoder says of itself, `metaprior.json`.
        evaluation: what was measured of it.
        training: how its training went, `training.json`.
        lineage: where it comes from.
    """
    recipe = recipes.find(evaluation.recipe)
    spec = FeatureSpec.from_json(json.dumps(record["spec"]))
    return _without_nothing(
        {
            "schema": SCHEMA,
            "model": {
                "recipe": evaluation.recipe,
                "title": recipe.title,
                "summary": recipe.summary,
                "parameters": evaluation.parameters,
                "latent": evaluation.latent,
                "objective": evaluation.objective,
                "distortion_of": "the label" if evaluation.data.explains == "label" else "the example",
                "use": recipe.use,
                "reference": recipe.reference,
            },
            "data": _data(evaluation, spec, lineage),
            "training": {name: training[name] for name in TRAINED}
            | {"evaluation_split": {name: training[name] for name in ON_HELD_OUT}},
            "metrics": [_metric(evaluation, metric) for metric in _whole(evaluation)],
            "verdict": {
                "blessed": evaluation.blessed,
                "bounds": [_bound(bound) for bound in evaluation.bounds],
            },
            "limits": {
                "recipe": recipe.limits,
                "note": recipe.note,
                "warnings": [*evaluation.warnings, *training["warnings"]],
                "not_measured": _not_measured(evaluation),
            },
            "lineage": {
                "space": evaluation.space,
                "aligned_to": (record.get("aligned_to") or {}).get("space"),
                "model_artifact": lineage.model,
                "evaluation_artifact": lineage.evaluation,
                "data_fingerprint": lineage.fingerprint,
                "evaluated_by": evaluation.code,
                "metaprior": record["metaprior"],
                "seed": evaluation.seed,
            },
            "query": {"served_as": lineage.served, "inputs": _inputs(spec)},
        }
    )


def _data(evaluation: Evaluation, spec: FeatureSpec, lineage: Lineage) -> dict[str, Any]:
    data = evaluation.data
    return {
        "name": PurePath(data.name).name,
        "kind": data.kind,
        "shape": list(data.shape),
        "counts": data.counts,
        "fingerprint": lineage.fingerprint,
        "label": spec.label,
        "sensitive": spec.sensitive,
        "factors": list(spec.factors),
        "targets": [target.name for target in spec.targets],
    }


def _whole(evaluation: Evaluation) -> list[Metric]:
    """Returns the encoder's metrics on all test examples."""
    own = (metric for metric in evaluation.metrics if metric.representation == "encoder")
    return [metric for metric in own if Name.parse(metric.name).slice is None]


def _metric(evaluation: Evaluation, metric: Metric) -> dict[str, Any]:
    others = {m.representation: m.value for m in evaluation.metrics if m.name == metric.name}
    return {
        "name": metric.name,
        "in_words": heading(metric.name, explains=evaluation.data.explains),
        "value": metric.value,
        "unit": metric.unit,
        "interval": list(metric.interval) if metric.interval else None,
        "split": metric.split,
        "count": metric.count,
        "beside": {of: others[of] for of in (*REPRESENTATIONS[1:], "ceiling") if of in others},
    }


def _bound(bound: Any) -> dict[str, Any]:
    names = ("metric", "kind", "bound", "value", "reference", "p_value", "ok", "reason")
    return {name: getattr(bound, name) for name in names}


def _not_measured(evaluation: Evaluation) -> list[str]:
    return [f"{'; '.join(names)} ({reason})" for reason, names in by_reason(evaluation).items()]


def _inputs(spec: FeatureSpec) -> dict[str, str]:
    """Returns what the signature `embed` takes, by name."""
    shape = ", ".join(str(size) for size in spec.shape)
    if spec.kind == "image":
        return {"image": f"{spec.dtype} [batch, {shape}]"}
    if spec.kind == "vector":
        return {"vector": f"float32 [batch, {shape}]"}
    types = {"numeric": "float32 [batch]", "categorical": "text [batch]"}
    return {column.name: types[column.kind] for column in spec.columns}


def _without_nothing(value: Any) -> Any:
    """Returns plain values without keys whose value is empty or unknown."""
    if isinstance(value, dict):
        kept = {key: _without_nothing(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, "", [], {})}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value

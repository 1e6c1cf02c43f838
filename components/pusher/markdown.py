"""The model card as Markdown: short, and without empty sections."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components.evaluator.names import Name
from components.evaluator.wording import WORDS, number
from models.recipes.wording import parameter_in_words

MARKUP = re.compile(r"[\\`*\[\]|#~]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown may take for markup; an underscore within a word is none."""
MOST = 12
"""Names that a list spells out."""
TOLD = ("rate", "distortion", "elbo", "active_units", "alignment/neighbors", "alignment/probe")
ALL, AFTER = "/all", ("disentanglement", "clustering", "leakage", "attribute_inference", "fairness", "membership")
SIDE = ("pca", "random", "raw", "ceiling")


def markdown(card: Mapping[str, Any]) -> str:
    """Returns a card as Markdown.

    Args:
        card: as `components.pusher.card.card` makes it.
    """
    sections = [
        _section(f"{plain(card['data']['name'])}, encoded by `{card['model']['recipe']}`", _intro(card), level=1),
        _section("Data", _data(card["data"])),
        _section("Model", _model(card["model"])),
        _section("Training", _training(card["training"])),
        _section("Measured", _measured(card)),
        _section("Verdict", _verdict(card["verdict"])),
        _section("Limits", _limits(card.get("limits", {}))),
        _section("Lineage", _lineage(card["lineage"])),
        _section("How to query it", _query(card)),
    ]
    return "\n".join(section for section in sections if section)


def plain(text: str) -> str:
    """Returns a text from the data as one line that Markdown shows as it is."""
    marked = MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(heading: str, lines: Iterator[str], *, level: int = 2) -> str:
    found = list(lines)
    return "\n".join([f"{'#' * level} {heading}", *found, ""]) if found else ""


def _intro(card: Mapping[str, Any]) -> Iterator[str]:
    model = card["model"]
    yield f"An encoder of {_kind(card['data'])} into {model['latent']} values: {model['title']}."


def _kind(data: Mapping[str, Any]) -> str:
    shape = " x ".join(str(size) for size in data.get("shape", []))
    return {"image": f"images of {shape}", "vector": f"vectors of {shape}", "table": "rows of a table"}[data["kind"]]


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    counts = ", ".join(f"{count:,} {split}" for split, count in data["counts"].items())
    yield f"- {plain(data['name'])}: {counts} examples"
    roles = {"label": "label", "sensitive": "sensitive attribute"}
    for key, words in roles.items():
        if key in data:
            yield f"- {words}: {plain(data[key])}"
    for key in ("targets", "factors"):
        if key in data:
            yield f"- {key}: {_several([plain(name) for name in data[key]])}"
    if "fingerprint" in data:
        yield f"- fingerprint: {plain(data['fingerprint'])}"


def _model(model: Mapping[str, Any]) -> Iterator[str]:
    if "summary" in model:
        yield f"- {model['summary']}"
    yield f"- minimizes `{model['objective']}`, nats per example; distortion is of {model['distortion_of']}"
    if "parameters" in model:
        yield "- " + ", ".join(f"{name} {parameter_in_words(value)}" for name, value in model["parameters"].items())
    yield f"- {model['reference']}"


def _training(training: Mapping[str, Any]) -> Iterator[str]:
    held_out = training["evaluation_split"]
    values = ", ".join(f"{name} {number(value, 'nats')}" for name, value in held_out.items())
    stopped = "stopped early" if training["stopped"] == "early" else "to the last epoch"
    yield f"- {training['epochs']} epochs, {training['steps']:,} steps, {stopped}; {training['seconds']:.0f} s"
    yield f"- the weights of epoch {training['best_epoch']}: {values} nats on the evaluation split"


def _measured(card: Mapping[str, Any]) -> Iterator[str]:
    told = [metric for metric in card["metrics"] if _is_told(metric["name"])]
    sides = [of for of in SIDE if any(of in metric.get("beside", {}) for metric in told)]
    yield "Intervals are 95 %; every other number is in `model_card.json`."
    yield ""
    yield f"| | encoder | interval | {' | '.join([*(WORDS[of] for of in sides), 'unit'])} |"
    yield "| --- " * (4 + len(sides)) + "|"
    for metric in told:
        unit = metric["unit"]
        interval = " to ".join(number(end, unit) for end in metric.get("interval", []))
        others = [number(metric["beside"][of], unit) if of in metric.get("beside", {}) else "" for of in sides]
        cells = [plain(metric["in_words"]), number(metric["value"], unit), interval, *others, unit]
        yield f"| {' | '.join(cells)} |"


def _is_told(name: str) -> bool:
    base = Name.parse(name).base
    return base in TOLD or base.split("/")[0] in AFTER or (base.startswith("probe/") and base.endswith(ALL))


def _verdict(verdict: Mapping[str, Any]) -> Iterator[str]:
    bounds = verdict.get("bounds", [])
    yield f"{'Blessed' if verdict['blessed'] else 'Refused'}{'.' if bounds else ': no bounds were set.'}"
    if bounds:
        yield ""
    for bound in bounds:
        yield f"- {'met' if bound['ok'] else 'not met'}: {plain(bound['reason'])}"


def _limits(limits: Mapping[str, Any]) -> Iterator[str]:
    for key in ("recipe", "note"):
        if key in limits:
            yield f"- {limits[key]}"
    for warning in limits.get("warnings", []):
        yield f"- {plain(warning)}"
    for line in limits.get("not_measured", []):
        yield f"- not measured: {plain(line)}"


def _lineage(lineage: Mapping[str, Any]) -> Iterator[str]:
    yield f"- embedding space `{lineage['space']}`: codes of other spaces cannot be compared with these"
    if "aligned_to" in lineage:
        yield f"- the signature `embed_aligned` answers in space `{lineage['aligned_to']}`, which was blessed before"
    yield f"- model artifact {lineage['model_artifact']}, evaluation artifact {lineage['evaluation_artifact']}"
    if "evaluated_by" in lineage:
        yield f"- evaluated by code {lineage['evaluated_by']}, seed {lineage['seed']}"
    yield f"- exported by Metaprior {lineage['metaprior']}"


def _query(card: Mapping[str, Any]) -> Iterator[str]:
    name, inputs = card["query"]["served_as"], card["query"]["inputs"]
    kind = card["data"]["kind"]
    asked = {"image": "picture.png", "vector": "vectors.json", "table": "rows.csv"}[kind]
    takes = _several([f"{plain(key)} ({of})" for key, of in inputs.items()])
    yield "    metaprior serve --path FOLDER    # the folder that holds the numbered versions"
    yield f"    metaprior query --model {name} {asked}"
    yield ""
    yield f"Signature `embed` takes {takes}, and gives `embedding`, `stddev` and `rate` (nats)."


def _several(names: Sequence[str]) -> str:
    """Returns names in a line, the first twelve of them."""
    more = f" and {len(names) - MOST:,} more" if len(names) > MOST else ""
    return f"{', '.join(names[:MOST])}{more}"

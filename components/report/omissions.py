"""What was asked for and could not be measured."""

from components.evaluator.schema import Evaluation
from components.evaluator.wording import in_words


def by_reason(evaluation: Evaluation) -> dict[str, list[str]]:
    """Returns what could not be measured, in words, each once, by reason."""
    reasons: dict[str, list[str]] = {}
    for omission in evaluation.omitted:
        words = in_words(omission.metric, explains=evaluation.data.explains)
        reasons.setdefault(omission.reason, []).append(words)
    return {reason: list(dict.fromkeys(names)) for reason, names in reasons.items()}

"""Suggests recipes for a person's data: the facts about it, the commands to try, and what it lacks."""

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from models.recipes.needs import ROLES
from models.recipes.suggest import Choice, Facts, Wish
from models.recipes.wishes import WISHES, implied, lacking
from pipeline import offers
from pipeline.catalogue import value
from pipeline.config import Config
from pipeline.ingestion.source import Source
from pipeline.preflight import in_words
from pipeline.show import program

MOST = 3  # recipes to suggest


@dataclass(frozen=True)
class Suggestion:
    """A recipe to try.

    Args:
        recipe: its name.
        why: what speaks for it, one sentence that begins with its name.
        start: starting values by their keys in the configuration.
        command: what to type.
    """

    recipe: str
    why: str
    start: dict[str, Any]
    command: str


@dataclass(frozen=True)
class Advice:
    """What there is to say about some data and a wish.

    Args:
        data: what the data is, in words.
        metaprior: the wish.
        meaning: what it means, in words.
        because: where the wish comes from, if it was not asked for.
        served: whether a working recipe is made for it.
        suggestions: at most three, the best first.
        planned: names of models made for it that have no recipe yet.
        lacking: sentences about recipes that wait for a role in the data.
        note: what to know about the wish.
    """

    data: str
    metaprior: str
    meaning: str
    because: str
    served: bool
    suggestions: tuple[Suggestion, ...]
    planned: tuple[str, ...]
    lacking: tuple[str, ...]
    note: str


def advise(config: Config, source: Source, *, metaprior: str | None, flags: Sequence[str]) -> Advice:
    """Returns what to try on the data of a configuration.

    Args:
        config: the configuration.
        source: its source, described.
        metaprior: a key of `WISHES`; None tells it from the data.
        flags: the flags that made the configuration, for the commands.
    """
    facts = facts_of(config, source)
    name = metaprior or implied(facts.roles)
    wish = WISHES[name]
    able = [choice for choice in wish.choices if not choice.missing(facts) and not choice.unsuited(facts)]
    wanted = wish.choices if metaprior else tuple(choice for each in WISHES.values() for choice in each.choices)
    return Advice(
        data=in_words(source.describe()),
        metaprior=name,
        meaning=wish.meaning,
        because="" if metaprior else _because(wish),
        served=wish.served(),
        suggestions=tuple(_suggestion(choice, facts, flags) for choice in able[:MOST]),
        planned=tuple(record.name for record in wish.planned()),
        lacking=(*_waiting(wanted, facts, source), *_useless(wish.choices, facts)),
        note=wish.note,
    )


def facts_of(config: Config, source: Source) -> Facts:
    """Returns what the rules ask about the data and the training."""
    description, splits, training = source.describe(), config.data.splits, config.training
    spec, share = description.spec, splits.train / (splits.train + splits.eval + splits.test)
    examples = round((description.count or 0) * share)
    return Facts(
        width=math.prod(spec.shape),
        examples=examples,
        steps=examples // training.batch * training.epochs,
        batch=training.batch,
        latent=config.model.latent,
        roles=frozenset(role for role in ROLES if getattr(spec, role)),
        factor_sizes=spec.factor_sizes,
    )


def show(advice: Advice, console: Console | None = None) -> None:
    """Prints the advice for a person."""
    console = console or Console()
    _say(console, f"{advice.data}\n")
    reason = f", {advice.because}" if advice.because else ""
    _say(console, f"To try for {advice.meaning}{reason}:")
    if not advice.served:
        names = ", ".join(advice.planned)
        _say(console, f"No working recipe is made for this yet; planned are {names}.")
    if advice.note:
        _say(console, advice.note)
    if not advice.suggestions:
        _say(console, "There is nothing to suggest for this data.")
    for suggestion in advice.suggestions:
        console.print()
        why = Text(suggestion.why)
        why.stylize("bold", 0, len(suggestion.recipe))
        console.print(Padding(why, (0, 0, 0, 2)))
        console.print(f"    {suggestion.command}", soft_wrap=True, markup=False, highlight=False)
    if advice.served and advice.planned:
        _say(console, f"\nPlanned for this, too: {', '.join(advice.planned)}.")
    if advice.lacking:
        console.print()
    for line in advice.lacking:
        _say(console, line)
    if advice.because:
        others = ", ".join(name for name in WISHES if name != advice.metaprior)
        _say(console, f"\nAsk for something else with --metaprior: {others}.")


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False)


def _suggestion(choice: Choice, facts: Facts, flags: Sequence[str]) -> Suggestion:
    start = choice.start(facts)
    sets = (part for key, start_value in start.items() for part in ("--set", f"{key}={value(start_value)}"))
    command = shlex.join([program(), "run", *flags, "--model", choice.recipe, *sets])
    return Suggestion(choice.recipe, f"{choice.recipe} {choice.why}", start, command)


def _because(wish: Wish) -> str:
    return f"as the data has {ROLES[wish.implied_by]}" if wish.implied_by else "as nothing in the data asks for more"


def _waiting(choices: tuple[Choice, ...], facts: Facts, source: Source) -> Iterable[str]:
    """Which recipes wait for a role that the data lack, and how they get it."""
    for role, names in lacking(choices, facts).items():
        verb = "needs" if len(names) == 1 else "need"
        yield f"{', '.join(names)} {verb} {ROLES[role]}. {offers.advice(source, role)}"


def _useless(choices: tuple[Choice, ...], facts: Facts) -> Iterable[str]:
    """Which recipes the data could feed and yet would be of no use, and why."""
    for choice in choices:
        reason = choice.unsuited(facts)
        if reason and not choice.missing(facts):
            yield f"{choice.recipe} would learn nothing: {reason}."

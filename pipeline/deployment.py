"""Production files for a model that was pushed: from its folder of versions to a folder to deploy."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.pusher.versions import versions
from models.atomic import placed
from models.errors import InputError
from serving.deploy.model import read
from serving.deploy.plan import Plan
from serving.deploy.render import render
from serving.status import ServingError

# What the files can hold anywhere unquoted, and a URL as it is.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,62}")


@dataclass(frozen=True)
class Deployed:
    """What was written.

    Args:
        plan: the deployment.
        files: paths below the folder.
    """

    plan: Plan
    files: tuple[str, ...]


def deploy(folder: Path, out: Path, *, labels: Mapping[str, int], only: int | None = None, **choices: Any) -> Deployed:
    """Writes the production files of a served model, all of them or none.

    Args:
        folder: its folder of versions, whose name is the model's name for clients.
        out: where they go; a folder that is empty or not there.
        labels: versions by label.
        only: the one version to load; None for the labelled or the newest ones.
        choices: the further fields of `Plan`.

    Raises:
        InputError: if there is no version to serve, a label names a version that is not there, or `out` is
            taken or cannot be written.
    """
    there = versions(folder)
    _check(folder, there, labels)
    out = out.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: is there already, and may have been edited. Give a new folder, or remove it.")
    try:
        model = read(folder, there if only is None else [only], name=folder.name)
    except ServingError as error:
        raise InputError(f"{folder}: {error.message}") from None
    plan = Plan(model=model, labels=labels, only=only, above=os.path.relpath(folder.parent, out), **choices)
    files = render(plan)
    try:
        with placed(out) as temporary:
            for path, text in files.items():
                (temporary / path).parent.mkdir(parents=True, exist_ok=True)
                (temporary / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror}. Choose another folder.") from error
    return Deployed(plan, tuple(sorted(files)))


def _check(folder: Path, there: Iterable[int], labels: Mapping[str, int]) -> None:
    if not there:
        raise InputError(f"{folder}: no version to serve. It must hold folders named 1, 2, ...")
    if not NAME.fullmatch(folder.name):
        raise InputError(f"{folder}: its name, the model's, must be letters, digits, ., _ and -. Rename the folder.")
    for label, version in labels.items():
        if version not in there:
            listed = ", ".join(str(number) for number in there)
            raise InputError(f"--label {label}={version}: there is no version {version}. There are: {listed}.")

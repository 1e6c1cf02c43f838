"""What a model of images makes of its data, as pictures inside the page."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

MOST = 1040
"""Pixels a side of a picture in the page: twice what it takes on the screen."""
KNOWN = {
    "reconstructions": (
        "Reconstructions",
        "Above examples of the evaluation split, below what the decoder makes of their codes.",
    ),
    "traversals": (
        "Latent traversals",
        "One example; in each row one dimension of its code goes from -2 to 2, the others stay.",
    ),
    "samples": ("Samples of the prior", "What the decoder makes of codes drawn from the prior."),
}


@dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Args:
        name: such as `traversals`.
        title: its heading.
        caption: what it shows.
        uri: the picture itself, as a `data:` URI.
    """

    name: str
    title: str
    caption: str
    uri: str


def read(folder: Path) -> dict[str, bytes]:
    """Returns the known PNG files of a folder by name; none where there is no such folder."""
    return {name: path.read_bytes() for name in KNOWN if (path := folder / f"{name}.png").is_file()}


def pictures(files: Mapping[str, bytes]) -> list[Picture]:
    """Returns the page's pictures; those of more than 1,040 pixels a side are made smaller.

    Args:
        files: PNG files by name.
    """
    return [
        Picture(name, title, caption, f"data:image/png;base64,{base64.b64encode(_fitted(files[name])).decode()}")
        for name, (title, caption) in KNOWN.items()
        if name in files
    ]


def _fitted(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as image:
        if max(image.size) <= MOST:
            return content
        image.thumbnail((MOST, MOST), Image.Resampling.BOX)
        smaller = io.BytesIO()
        image.save(smaller, "PNG")
    return smaller.getvalue()

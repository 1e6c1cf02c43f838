"""The `metaprior` command."""

from pipeline.cli.group import main

__all__ = ["main"]

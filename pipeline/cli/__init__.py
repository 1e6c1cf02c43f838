"""The `metaprior` command."""

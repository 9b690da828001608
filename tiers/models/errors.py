"""What goes wrong with model files. Each is a sentence on what, why and what to do."""

from __future__ import annotations


class ModelError(Exception):
    """Something about a model file that its reader can do something about."""


class CatalogueError(ModelError):
    """A catalogue that cannot be read, or a model that is in none."""


class HubError(ModelError):
    """The hub does not have it, does not give it, or does not answer."""


class NoSpaceError(ModelError):
    """The disk cannot hold it."""


class MismatchError(ModelError):
    """What came is not what was promised. It was kept aside."""

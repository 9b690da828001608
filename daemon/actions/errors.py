"""Why an action is not possible. Each message is a sentence for people and models."""

from __future__ import annotations


class ActionError(Exception):
    """The action cannot be, or cannot be now."""


class UnknownActionError(ActionError):
    """There is no such kind of action."""


class ParameterError(ActionError):
    """A parameter is missing, unknown or out of its bounds."""


class TargetError(ActionError):
    """The target is not in the host's inventory, or is of another type."""


class PreconditionError(ActionError):
    """The host is not in a state in which this action makes sense."""


class PrivilegeError(ActionError):
    """The daemon lacks the privilege, and the sentence says how it is granted."""


class HostUnavailableError(ActionError):
    """What would measure or act (systemd's bus, the root helper, a program) does not answer."""


REFUSALS = (TargetError, PreconditionError, PrivilegeError)
"""Out of `Kind.run` they say that nothing was begun."""

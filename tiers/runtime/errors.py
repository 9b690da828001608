"""What keeps a llama-server from running. Each sentence names what, why and what to do."""

from __future__ import annotations


class RuntimeFaultError(Exception):
    """A server cannot run now. Trying again later may help."""


class MisconfiguredError(RuntimeFaultError):
    """A server cannot run until somebody changes something: no such model, no such program."""


class PortTakenError(RuntimeFaultError):
    """Another process listens on the port."""

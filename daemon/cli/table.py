"""Which module holds which command. A module is imported when its command is used or its help is
shown, so that `triaged status` need not wait for what only `triaged run` needs.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

MODULES = {
    "run": "daemon.cli.run",
    "check-config": "daemon.cli.check",
    "doctor": "daemon.cli.check",
    "status": "daemon.cli.status",
    "inject": "daemon.cli.inject",
    "scan": "daemon.cli.scan",
    "incidents": "daemon.cli.incidents",
    "proposals": "daemon.cli.proposals",
    "actions": "daemon.cli.actions",
    "policy": "daemon.cli.policy",
    "replay": "daemon.cli.replay",
    "ask": "daemon.cli.ask",
    "chat": "daemon.cli.chat",
    "review": "daemon.cli.review",
    "memory": "daemon.cli.memory",
    "models": "daemon.cli.models",
    "bench": "daemon.cli.bench",
    "hardware": "daemon.cli.hardware",
    "llama": "daemon.cli.llama",
    "notify": "daemon.cli.notify",
    "keys": "daemon.cli.keys",
    "serve-model": "daemon.cli.serve_model",
    "audit": "daemon.cli.audit",
    "backup": "daemon.cli.backup",
    "restore": "daemon.cli.backup",
}
"""In the order of the help. A module has `register(app)` for single commands, or `app` for a
command that has commands of its own."""

BESIDE = {"policy": "daemon.cli.switch"}
"""More commands of a command, each with its own module and `register(app)`."""


class CommandTable(MutableMapping[str, Any]):
    """Commands by name, made when they are asked for."""

    def __init__(self, *, modules: Mapping[str, str], made: Mapping[str, Any]) -> None:
        """`made` are commands that are there already."""
        self._modules = modules
        self._made = dict(made)

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _make(name, self._modules[name])
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._modules
        yield from (name for name in self._made if name not in self._modules)

    def __len__(self) -> int:
        return len(self._modules.keys() | self._made.keys())

    def __contains__(self, name: object) -> bool:
        return name in self._modules or name in self._made


class Commands(TyperGroup):
    """The `triaged` command itself."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = CommandTable(modules=MODULES, made=self.commands)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, without making the commands."""
        return list(self.commands)


def _make(name: str, module: str) -> Any:
    loaded = importlib.import_module(module)
    holder = typer.Typer(rich_markup_mode="rich", add_completion=False)
    group = getattr(loaded, "app", None)
    if group is None:
        loaded.register(holder)
    else:
        if (beside := BESIDE.get(name)) is not None:
            importlib.import_module(beside).register(group)
        holder.add_typer(group, name=name)
    return get_group(holder).commands[name]

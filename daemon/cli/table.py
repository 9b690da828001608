"""Which module holds which command. A module is imported when its command is used or its own help
is shown, so that `triaged status` and `triaged --help` need not wait for what only `triaged run`
needs.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from daemon.cli.shared_options import accept_behind

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

SHORT = {
    "run": "Watch this host. Ctrl-C stops everything in order.",
    "check-config": "Read the configuration and the rules; exit code 5 when there are mistakes.",
    "doctor": "Look for what keeps an installation from working; exit code 6 when something "
    "was found.",
    "status": "Every part of the running daemon; exit code 6 while it is not ready.",
    "inject": "Hand an event to the running daemon.",
    "scan": "Run files through intake and the tiers, without a daemon.",
    "incidents": "Incidents: what was escalated, and what came of it.",
    "proposals": "Actions that wait for your answer.",
    "actions": "Actions on this host: what was asked for, and what became of it.",
    "policy": "What may be done to this host: explain a decision, test examples, show the policy.",
    "replay": "What triaged would have done under a policy, next to what happened. Changes "
    "nothing.",
    "ask": "Ask about this host.",
    "chat": "Chat about this host.",
    "review": "Look over everything since the last review, now.",
    "memory": "What past incidents taught.",
    "models": "Model files: which there are, which fit, and getting them.",
    "bench": "Measure prompt and answer speed, time to the first token, processor and memory.",
    "hardware": "Processors, memory, GPUs and disks, as models see them.",
    "llama": "The llama-server program: which one runs, and building one.",
    "notify": "Notifications: try the channels.",
    "keys": "Keys of the API: who may ask, as what, and how much.",
    "serve-model": "Become the llama-server of a tier; systemd's llama-*.service do.",
    "audit": "The ledger: every decision and every effect, and whether anybody changed it.",
    "backup": "Write all state into one file: database and keys. The daemon may run on.",
    "restore": "Replace all state by a backup's, while no daemon runs. What is there now is "
    "gone then.",
}
"""What the list of commands says of each; the first words of the command's own help."""

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

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help, without making the commands."""
        with self._only_named():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Names and options, without making the commands."""
        with self._only_named():
            return super().shell_complete(ctx, incomplete)

    @contextlib.contextmanager
    def _only_named(self) -> Iterator[None]:
        whole = self.commands
        self.commands = {
            name: TyperCommand(name, help=SHORT[name]) if name in SHORT else whole[name]
            for name in whole
        }
        try:
            yield
        finally:
            self.commands = whole


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
    command = get_group(holder).commands[name]
    accept_behind(command)
    return command

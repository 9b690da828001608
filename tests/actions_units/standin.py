"""systemd's manager as far as actions need it, on a real bus: what stands at the edge."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from daemon.systemd.names import name_of, path_of

NAME = "org.freedesktop.systemd1"
DENIED = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
_TYPES = {
    "Id": "s", "Names": "as", "LoadState": "s", "ActiveState": "s", "SubState": "s",
    "Description": "s", "UnitFileState": "s", "InvocationID": "ay", "ActiveEnterTimestamp": "t",
    "InactiveEnterTimestamp": "t", "StateChangeTimestamp": "t", "CanStart": "b", "CanStop": "b",
    "CanReload": "b", "RefuseManualStart": "b", "RefuseManualStop": "b", "StartLimitBurst": "u",
    "StartLimitIntervalUSec": "t", "Triggers": "as", "TriggeredBy": "as", "RequiredBy": "as",
    "BoundBy": "as", "ConsistsOf": "as", "DropInPaths": "as", "Result": "s", "NRestarts": "u",
    "MainPID": "u", "Type": "s", "ReloadResult": "s", "LastTriggerUSec": "t",
}  # fmt: skip
_SPECIAL = ("Result", "NRestarts", "MainPID", "Type", "ReloadResult", "LastTriggerUSec")


@dataclasses.dataclass
class Unit:
    """`file`: the state of its unit file, "" without one. `loaded`: systemd has it in memory."""

    name: str
    file: str = "enabled"
    loaded: bool = True
    aliases: tuple[str, ...] = ()
    properties: dict[str, Any] = dataclasses.field(default_factory=dict)

    def run_anew(self, *, active: str = "active", sub: str = "running", **more: Any) -> None:
        """What a start does to it."""
        now = int(time.time() * 1e6)
        self.properties |= {
            "InvocationID": bytes([len(str(now))]) + now.to_bytes(15, "big"),
            "ActiveState": active,
            "SubState": sub,
            "ActiveEnterTimestamp": now,
            "StateChangeTimestamp": now,
        } | more

    def all(self) -> dict[str, Any]:
        return {
            "Id": self.name,
            "Names": [self.name, *self.aliases],
            "LoadState": "loaded",
            "ActiveState": "inactive",
            "SubState": "dead",
            "UnitFileState": self.file,
            "CanStart": True,
            "CanStop": True,
        } | self.properties


def _snake(member: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", member).lower()


Effect = Callable[[Unit], str | None]
"""What a job does to a unit, and its result; None: it never ends."""


class StandIn:
    """Answers as the manager does. `jobs` has the effects by verb ("StartUnit")."""

    def __init__(self, connection: MessageBus) -> None:
        self.connection = connection
        self.units: dict[str, Unit] = {}
        self.jobs: dict[str, Effect] = {}
        self.refused: tuple[str, str] | None = None
        self.calls: list[tuple[str, list[Any]]] = []
        self.loaded_by_name: list[str] = []
        self.silent_end = False
        """Jobs end without a signal."""
        self.merges = False
        """Jobs that are asked for while one runs are that one."""
        self._number = 0
        self._running: set[int] = set()
        connection.add_message_handler(self._handle)

    def add(self, name: str, **more: Any) -> Unit:
        fields = {f.name for f in dataclasses.fields(Unit)}
        unit = Unit(name=name, **{k: v for k, v in more.items() if k in fields})
        unit.properties = {k: v for k, v in more.items() if k not in fields}
        self.units[name] = unit
        return unit

    def called(self, member: str) -> list[list[Any]]:
        return [body for name, body in self.calls if name == member]

    def find(self, name: str) -> Unit | None:
        for unit in self.units.values():
            if name in (unit.name, *unit.aliases):
                return unit
        return None

    def end_job(self, number: int, unit: str, result: str) -> None:
        self._running.discard(number)
        if not self.silent_end:
            path = f"/org/freedesktop/systemd1/job/{number}"
            body = [number, path, unit, result]
            self.connection.send(
                Message.new_signal(
                    "/org/freedesktop/systemd1", f"{NAME}.Manager", "JobRemoved", "uoss", body
                )
            )

    def _handle(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        member = message.member or ""
        if message.destination not in (NAME, self.connection.unique_name):
            return None
        self.calls.append((member, list(message.body)))
        answer = getattr(self, f"_on_{_snake(member)}", None)
        if answer is not None:
            return answer(message)
        if member.endswith("Unit"):
            return self._job(message)
        return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", member)

    def _job(self, message: Message) -> Message:
        if self.refused is not None:
            return Message.new_error(message, *self.refused)
        name, mode = message.body[0], message.body[1]
        assert mode in ("replace", "fail")
        unit = self.find(name)
        if unit is None:
            return self._no_unit(message, name)
        if self.merges and self._running:
            path = f"/org/freedesktop/systemd1/job/{self._number}"
            return Message.new_method_return(message, "o", [path])
        self._number += 1
        number = self._number
        self._running.add(number)
        effect = self.jobs[message.member or ""]

        def work() -> None:
            result = effect(unit)
            if result is not None:
                self.end_job(number, unit.name, result)

        asyncio.get_running_loop().call_later(0.02, work)
        path = f"/org/freedesktop/systemd1/job/{number}"
        return Message.new_method_return(message, "o", [path])

    def _no_unit(self, message: Message, name: str) -> Message:
        text = f"Unit {name} not loaded."
        return Message.new_error(message, f"{NAME}.NoSuchUnit", text)

    # --- methods, by their names on the bus ---------------------------------------------------

    def _on_subscribe(self, message: Message) -> Message:
        return Message.new_method_return(message)

    def _on_ref(self, message: Message) -> Message:
        return Message.new_method_return(message)

    def _on_unref(self, message: Message) -> Message:
        return Message.new_error(message, f"{NAME}.NotReferenced", "Unit has not been referenced")

    def _on_get_unit(self, message: Message) -> Message:
        unit = self.find(message.body[0])
        if unit is None or not unit.loaded:
            return self._no_unit(message, message.body[0])
        return Message.new_method_return(message, "o", [path_of(unit.name)])

    def _on_load_unit(self, message: Message) -> Message:
        name = message.body[0]
        self.loaded_by_name.append(name)
        unit = self.find(name)
        if unit is not None:
            unit.loaded = True
        return Message.new_method_return(message, "o", [path_of(name)])

    def _on_get_unit_file_state(self, message: Message) -> Message:
        unit = self.find(message.body[0])
        if unit is None or not unit.file:
            name = "org.freedesktop.DBus.Error.FileNotFound"
            return Message.new_error(message, name, "No such file or directory")
        return Message.new_method_return(message, "s", [unit.file])

    def _on_get_all(self, message: Message) -> Message:
        unit = self.find(name_of(message.path or ""))
        special = not message.body[0].endswith(".Unit")
        stub = {"LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead"}
        found: Mapping[str, Any] = unit.all() if unit is not None else stub
        values = {k: Variant(_TYPES[k], v) for k, v in found.items() if (k in _SPECIAL) == special}
        return Message.new_method_return(message, "a{sv}", [values])

    def _on_list_units(self, message: Message) -> Message:
        rows = []
        for unit in self.units.values():
            all_ = unit.all()
            states = [all_["LoadState"], all_["ActiveState"], all_["SubState"]]
            if unit.loaded:
                rows.append([unit.name, "", *states, "", path_of(unit.name), 0, "", "/"])
        return Message.new_method_return(message, "a(ssssssouso)", [rows])

    def _on_list_unit_files(self, message: Message) -> Message:
        rows = [
            [f"/etc/systemd/system/{name}", unit.file]
            for unit in self.units.values()
            for name in (unit.name, *unit.aliases)
            if unit.file
        ]
        return Message.new_method_return(message, "a(ss)", [rows])

    def _on_reset_failed_unit(self, message: Message) -> Message:
        if self.refused is not None:
            return Message.new_error(message, *self.refused)
        unit = self.find(message.body[0])
        if unit is None:
            return self._no_unit(message, message.body[0])
        unit.properties |= {"ActiveState": "inactive", "SubState": "dead", "Result": "success"}
        return Message.new_method_return(message)

    def _on_get_job(self, message: Message) -> Message:
        (number,) = message.body
        if number not in self._running:
            return Message.new_error(message, f"{NAME}.NoSuchJob", "Job does not exist.")
        path = f"/org/freedesktop/systemd1/job/{number}"
        return Message.new_method_return(message, "o", [path])

    def _on_start_transient_unit(self, message: Message) -> Message:
        if self.refused is not None:
            return Message.new_error(message, *self.refused)
        name = message.body[0]
        self.add(name, file="transient", ActiveState="active", SubState="waiting")
        return self._job(message)

"""Which change of the host a sentence asks for, for chats of small models. Pure.

Only a whole sentence counts that names one verb and one thing ("please restart nginx"): a wish with
conditions, several things or a doubt in it is not for code to read. Whether the thing is there, and
whether it may be asked for, is for the catalogue and the inventory.
"""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
import re
from collections.abc import Callable, Mapping

from tiers.chat_spans import SPAN, seconds_of


class Thing(enum.StrEnum):
    """What the user names, and so how it becomes a target."""

    UNIT = "unit"  # looked up among the host's units
    PROCESS = "process"  # a number, to which the host says the start
    NAMED = "named"  # as it is: an address, a network, a folder


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """`kind` of action, what the user calls its target, and the parameters that were said."""

    kind: str
    name: str
    thing: Thing = Thing.UNIT
    parameters: Mapping[str, str | int] = dataclasses.field(default_factory=dict)


_UNIT_KINDS = {
    "restart": "restart_unit",
    "start": "start_unit",
    "stop": "stop_unit",
    "reload": "reload_unit",
    "enable": "enable_unit",
    "disable": "disable_unit",
    "stoppe": "stop_unit",
    "aktiviere": "enable_unit",
    "deaktiviere": "disable_unit",
}
_BEGIN = r"(?:(?:please|can[ ]you|could[ ]you|would[ ]you|now|bitte|jetzt|kannst[ ]du)[ ,]+)*"
_SOON = r"(?:please|right[ ]now|now|for[ ]me|at[ ]once|immediately|bitte|jetzt|sofort)"
_END = rf"(?:[ ,]+{_SOON})*[ ]*[.!?]*"
_NAME = r"(?P<name>[a-z0-9][a-z0-9@._:-]{0,200}?)"
_UNIT = r"(?:service|unit|daemon|dienst)"
_THE_UNIT = rf"(?:(?:the|my|den)[ ]+)?(?:{_UNIT}[ ]+)?{_NAME}(?:[ ]+{_UNIT})?"
_ADDRESS = (
    r"(?:(?:the|this|die|das)[ ]+)?"
    r"(?:(?:ip[ -]address|ip|address|network|subnet|adresse|netz)[ ]+)?"
    r"(?P<name>[0-9a-f:.]{2,45}(?:/[0-9]{1,3})?)"
)
_PROCESS = (
    r"(?:(?:the|den)[ ]+)?(?:(?:process|prozess|pid|process[ ]id)[ ]+)?(?:number[ ]+|no\.?[ ]*|#)?"
    r"(?P<name>[1-9][0-9]{0,6})"
)
_FOLDER = r"(?P<name>/[a-z0-9._/-]{1,200}?)/?"
_OLD = (
    r"(?:(?:of[ ]+)?(?:files[ ]+)?(?:that[ ]are[ ]+)?older[ ]than[ ]+"
    r"(?P<days>[0-9]{1,4})[ ]+days?)"
)
_WORDS = """it that this them they everything all both one something anything server machine host
computer system box again service services unit units daemon es ihn sie das alles"""
_NO_NAMES = frozenset(_WORDS.split())


def wish_in(sentence: str) -> Wish | None:
    """The wish that is the whole sentence, None where there is none."""
    text = " ".join(sentence.split()).replace("`", "").replace('"', "")
    for pattern, read in _READERS:
        if (found := pattern.fullmatch(text)) is not None:
            return read(found)
    return None


def _whole(body: str) -> re.Pattern[str]:
    # "ä" and "ü" are written out, so that no other letter beside ASCII is one of a name.
    return re.compile(rf"{_BEGIN}{body}{_END}", re.IGNORECASE | re.ASCII)


def _verb(found: re.Match[str]) -> Wish | None:
    return _unit(_UNIT_KINDS[found["verb"].lower()], found["name"])


def _start(found: re.Match[str]) -> Wish | None:
    return _unit("restart_unit" if found["again"] else "start_unit", found["name"])


def _reload(found: re.Match[str]) -> Wish | None:
    return _unit("reload_unit", found["name"])


def _unit(kind: str, name: str) -> Wish | None:
    name = name.rstrip(".")
    return None if name.lower() in _NO_NAMES or not name else Wish(kind=kind, name=name)


def _block(found: re.Match[str]) -> Wish | None:
    seconds = seconds_of(found)
    return _addressed("block", found["name"], {} if seconds is None else {"seconds": seconds})


def _unblock(found: re.Match[str]) -> Wish | None:
    return _addressed("unblock", found["name"], {})


def _addressed(verb: str, name: str, parameters: Mapping[str, str | int]) -> Wish | None:
    """One address in its usual form, or a network as it was said: the catalogue has a sentence for
    one that is none."""
    name = name.rstrip(".")
    bare = name.removesuffix("/32" if "." in name else "/128")
    try:
        kind, target = f"{verb}_address", str(ipaddress.ip_address(bare))
    except ValueError:
        address, slash, _ = name.partition("/")
        try:
            ipaddress.ip_address(address)
        except ValueError:
            return None
        if not slash:
            return None
        kind, target = f"{verb}_network", name
    return Wish(kind=kind, name=target, thing=Thing.NAMED, parameters=parameters)


def _end_process(found: re.Match[str]) -> Wish | None:
    forced = found["forced"] or found["nine"]
    return Wish(
        kind="end_process",
        name=found["name"],
        thing=Thing.PROCESS,
        parameters={"signal": "kill"} if forced else {},
    )


def _end_german(found: re.Match[str]) -> Wish | None:
    return Wish(kind="end_process", name=found["name"], thing=Thing.PROCESS)


def _clean(found: re.Match[str]) -> Wish | None:
    days = found.groupdict().get("days")
    return Wish(
        kind="clean_tmp",
        name=found["name"],
        thing=Thing.NAMED,
        parameters={"older_than_days": int(days)} if days else {},
    )


_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Wish | None]], ...] = (
    (_whole(rf"(?P<verb>{'|'.join(_UNIT_KINDS)})[ ]+{_THE_UNIT}"), _verb),
    (_whole(rf"starte?[ ]+{_THE_UNIT}(?P<again>[ ]+neu)?"), _start),
    (_whole(rf"lade[ ]+{_THE_UNIT}[ ]+neu"), _reload),
    (_whole(rf"(?:block|ban)[ ]+{_ADDRESS}(?:[ ]+for[ ]+{SPAN})?"), _block),
    (_whole(rf"(?:blockiere|sperre)[ ]+{_ADDRESS}(?:[ ]+f(?:ü|ue)r[ ]+{SPAN})?"), _block),
    (_whole(rf"(?:unblock|unban|entsperre)[ ]+{_ADDRESS}"), _unblock),
    (
        _whole(
            r"(?:(?P<forced>force[ -]kill)|kill|end|terminate)[ ]+(?P<nine>-9[ ]+|-kill[ ]+)?"
            rf"{_PROCESS}"
        ),
        _end_process,
    ),
    (_whole(rf"beende[ ]+{_PROCESS}"), _end_german),
    (
        _whole(
            r"(?:clean|tidy)(?:[ ]+(?:up|out))?[ ]+(?:old[ ]files[ ]in[ ]+|files[ ]in[ ]+)?"
            rf"(?:the[ ]+)?(?:folder[ ]+|directory[ ]+)?{_FOLDER}(?:[ ]+up)?(?:[ ]+{_OLD})?"
        ),
        _clean,
    ),
    (_whole(rf"r(?:ä|ae)ume[ ]+{_FOLDER}[ ]+auf"), _clean),
)

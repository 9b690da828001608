"""Which action on a unit a sentence asks for, for chats of small models. Pure.

Only a whole sentence counts that names one verb and one unit ("please restart nginx"): a wish with
conditions, several units or a doubt in it is not for code to read.
"""

from __future__ import annotations

import dataclasses
import re

_KINDS = {
    "restart": "restart_unit",
    "start": "start_unit",
    "stop": "stop_unit",
    "reload": "reload_unit",
    "enable": "enable_unit",
    "disable": "disable_unit",
    "stoppe": "stop_unit",
}
_NAME = r"(?P<name>[a-z0-9][a-z0-9@._:-]{0,200}?)"
_THING = r"(?:service|unit|daemon|dienst)"
_END = r"(?:[ ,]+(?:please|now|for[ ]me|bitte|jetzt))*[ ]*[.!?]*"
_BEGIN = r"(?:(?:please|can[ ]you|could[ ]you|would[ ]you|now|bitte|jetzt)[ ,]+)*"
_ENGLISH = re.compile(
    rf"{_BEGIN}(?P<verb>restart|start|stop|reload|enable|disable|stoppe)[ ]+"
    rf"(?:(?:the|my|den)[ ]+)?(?:{_THING}[ ]+)?{_NAME}(?:[ ]+{_THING})?{_END}",
    re.IGNORECASE | re.ASCII,
)
_GERMAN = re.compile(
    rf"{_BEGIN}starte?[ ]+(?:den[ ]+)?(?:{_THING}[ ]+)?"
    rf"{_NAME}(?:[ ]+{_THING})?(?P<again>[ ]+neu)?{_END}",
    re.IGNORECASE | re.ASCII,
)
_WORDS = """it that this them they everything all both one something anything server machine host
computer system box again service services unit units daemon es ihn sie das alles"""
_NO_NAMES = frozenset(_WORDS.split())


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """`kind` of action and what the user calls the unit."""

    kind: str
    name: str


def wish_in(sentence: str) -> Wish | None:
    """The wish that is the whole sentence, None where there is none."""
    text = " ".join(sentence.split()).replace("`", "").replace('"', "")
    if (found := _ENGLISH.fullmatch(text)) is not None:
        return _wish(_KINDS[found["verb"].lower()], found["name"])
    if (found := _GERMAN.fullmatch(text)) is not None:
        return _wish("restart_unit" if found["again"] else "start_unit", found["name"])
    return None


def _wish(kind: str, name: str) -> Wish | None:
    name = name.rstrip(".")
    return None if name.lower() in _NO_NAMES or not name else Wish(kind=kind, name=name)

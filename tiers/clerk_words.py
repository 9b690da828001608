"""What frontends ask beside a chat, written by code: titles, tags, follow-up questions and queries
out of the user's own words and the tools' own phrases. Pure.

For hosts whose small tiers run models that only know the host's events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import orjson

from tiers.arguments import fill
from tiers.chat_contracts import Errand
from tiers.contracts import ToolSpec
from tiers.llm.neutralise import neutralise
from tiers.routing import ToolRetriever
from tiers.vocabulary import Category

KEYS = {
    Errand.TITLE: "title",
    Errand.TAGS: "tags",
    Errand.FOLLOW_UPS: "follow_ups",
    Errand.QUERY: "queries",
    Errand.AUTOCOMPLETE: "text",
}
"""Under which name the frontends' prompts ask for it, where they ask for JSON."""
LISTS = frozenset({Errand.TAGS, Errand.FOLLOW_UPS, Errand.QUERY})

_MOST_CHARS = 200_000
_TITLE_WORDS = 7
_TITLE_CHARS = 60
_QUERY_CHARS = 120
_FOLLOW_UPS = 3
_HISTORY = re.compile(r"<chat_history>\s*(.*?)\s*</chat_history>", re.DOTALL)
_CONVERSATION = re.compile(r"^Conversation:\s*\n(.*)", re.DOTALL | re.MULTILINE)
_SPEAKER = re.compile(r"^(user|human|assistant|ai|system)\s*:[ \t]*", re.IGNORECASE | re.MULTILINE)
_TYPED = re.compile(r"<text>(.*?)</text>", re.DOTALL)
_MESSAGE = re.compile(r"Message:\s*```(.*)```", re.DOTALL)
_FILLER = re.compile(
    r"^(?:(?:hi|hello|hey|hallo|ok|okay|so|well|please|bitte|and|und|then|now|thanks)\b[\s,!.]*"
    r"|(?:can|could|would) you(?: please)?\s+(?:tell|show|give) me\s+|tell me\s+"
    r"|i (?:want|would like) to know\s+|(?:can|could) you(?: please)?\s+)+",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"^(?:how|what|which|who|is|are|am|when|did|why|has|have|does|do|any)\b", re.IGNORECASE
)
_WORRY = re.compile(
    r"\b(?:fail\w*|broken?|error\w*|down|crash\w*|wrong|dead|slow|full|kaputt|fehler)\b",
    re.IGNORECASE,
)
_THANKS = re.compile(r"\b(?:thanks?|great|perfect|nice|danke|super)\b", re.IGNORECASE)

_CATEGORY_OF: Mapping[str, Category] = {
    "disk_usage": Category.STORAGE,
    "inode_usage": Category.STORAGE,
    "directory_sizes": Category.STORAGE,
    "memory_usage": Category.MEMORY,
    "cpu_load": Category.CPU,
    "top_processes": Category.CPU,
    "listening_sockets": Category.NETWORK,
    "network_interfaces": Category.NETWORK,
    "unit_status": Category.SERVICE,
    "unit_log": Category.SERVICE,
    "failed_units": Category.SERVICE,
    "process_detail": Category.APPLICATION,
    "recent_changes": Category.PACKAGE,
    "login_sessions": Category.AUTH,
    "timers": Category.TIME,
}
_EVERY_TAG = "linux"


class CodeClerk:
    """Writes what it can. `specs` are the tools of the host."""

    def __init__(self, *, specs: Sequence[ToolSpec]) -> None:
        self._specs = tuple(specs)
        self._retriever = ToolRetriever(specs=self._specs)

    def write(self, errand: Errand, prompt: str) -> str | None:
        """The text for a frontend's prompt; None for an errand that only a model can do."""
        text = prompt[-_MOST_CHARS:]
        said = [_plain(each) for each in said_by_user(text)]
        match errand:
            case Errand.TITLE:
                return formed(errand, text, _title(said[0] if said else ""))
            case Errand.TAGS:
                return formed(errand, text, self._tags(said))
            case Errand.FOLLOW_UPS:
                return formed(errand, text, self._follow_ups(said))
            case Errand.QUERY:
                return formed(errand, text, self._queries(said))
            case Errand.EMOJI:
                return _emoji(_last(_MESSAGE.findall(text)) or (said[-1] if said else text))
            case Errand.AUTOCOMPLETE:
                return formed(errand, text, self._completed(_last(_TYPED.findall(text))))
            case _:
                return None

    def _tags(self, said: Sequence[str]) -> list[str]:
        found: dict[str, None] = {}
        for text in said:
            for spec in self._retriever.offer(text, limit=1):
                if category := _CATEGORY_OF.get(spec.name):
                    found[str(category)] = None
        return [*list(found)[:4], _EVERY_TAG]

    def _follow_ups(self, said: Sequence[str]) -> list[str]:
        """Questions that need no name of anything: about what was asked last, then the rest."""
        last = said[-1] if said else ""
        near = [entry.name for entry in self._retriever.rank(last)] if last else []
        order = {name: at for at, name in enumerate(near)}
        specs = sorted(self._specs, key=lambda spec: order.get(spec.name, len(order)))
        asked = {_bare(text) for text in said}
        found: list[str] = []
        for spec in specs:
            fresh = (
                phrase
                for phrase in spec.phrases
                if _QUESTION.match(phrase) and fill(spec, phrase) == {}
            )
            found += [phrase for phrase in fresh if _bare(phrase) not in asked][:1]
            if len(found) == _FOLLOW_UPS:
                break
        return [f"{phrase[0].upper()}{phrase[1:]}?" for phrase in found]

    def _queries(self, said: Sequence[str]) -> list[str]:
        """The user's words; nothing where the host itself knows the answer."""
        last = _FILLER.sub("", said[-1]) if said else ""
        if not last or self._retriever.offer(last, limit=1):
            return []
        return [last[:_QUERY_CHARS].rstrip(" ?!.")]

    def _completed(self, typed: str) -> str:
        begun = " ".join(typed.lower().split())
        if len(begun) < 3:
            return ""
        phrases = (phrase for spec in self._specs for phrase in spec.phrases)
        return next((each[len(begun) :] for each in phrases if each.startswith(begun)), "")


def said_by_user(prompt: str) -> list[str]:
    """What the user wrote in the chat that a prompt quotes, oldest first; the prompt itself where
    it quotes none."""
    quoted = _HISTORY.findall(prompt) or _CONVERSATION.findall(prompt)
    if not quoted:
        return [prompt] if prompt.strip() else []
    return [text for text in _turns(quoted[-1]) if text]


def asks_for_json(errand: Errand, prompt: str) -> bool:
    """Whether the prompt wants a JSON object."""
    key = KEYS.get(errand)
    return key is not None and re.search(rf'["“]{key}["”]\s*:', prompt) is not None


def formed(errand: Errand, prompt: str, value: str | list[str]) -> str:
    """The value as the prompt wants it: a JSON object, else plain text."""
    if asks_for_json(errand, prompt):
        return orjson.dumps({KEYS[errand]: value}).decode()
    if isinstance(value, str):
        return value
    return (", " if errand is Errand.TAGS else "\n").join(value)


def _turns(talk: str) -> Iterator[str]:
    pieces = _SPEAKER.split(talk)
    for speaker, text in zip(pieces[1::2], pieces[2::2], strict=True):
        if speaker.lower() in ("user", "human"):
            yield text.strip()


def _title(first: str) -> str:
    text = _FILLER.sub("", first).strip(" ?!.,:;") or first.strip(" ?!.,:;")
    words = text.split()
    title = " ".join(words[:_TITLE_WORDS])
    if len(title) > _TITLE_CHARS:
        title = title[:_TITLE_CHARS].rsplit(" ", 1)[0]
    if not title:
        return "Chat"
    return f"{title[0].upper()}{title[1:]}{'…' if len(title) < len(' '.join(words)) else ''}"


def _emoji(text: str) -> str:
    if _WORRY.search(text):
        return "😟"
    if _THANKS.search(text):
        return "😊"
    return "🤔" if "?" in text or _QUESTION.match(text.strip()) else "🙂"


def _plain(text: str) -> str:
    return " ".join(neutralise(text).split())


def _bare(text: str) -> str:
    return re.sub(r"[^\w\s/]", "", text).lower().strip()


def _last(found: Sequence[str]) -> str:
    return found[-1] if found else ""

"""Questions that are so plain that code reads them better than a small model: closed lists. Pure.

A question counts only as a whole sentence. One word that is not expected makes it a question for
the model, so that nothing here takes a real question away.
"""

from __future__ import annotations

import dataclasses
import enum
import re

from tiers.chat_spans import SPAN, hours_of


class Asks(enum.Enum):
    """What a plain question asks for."""

    GREETING = enum.auto()
    THANKS = enum.auto()
    WHO = enum.auto()
    ANSWERING = enum.auto()  # "approve", without a code
    WAITING = enum.auto()  # proposals that wait
    DONE = enum.auto()  # what was done to the host
    OUTCOME = enum.auto()  # what became of the last of it
    HAPPENED = enum.auto()  # incidents, of the last `hours` where there are any
    WHY = enum.auto()  # why `name` was killed or failed


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    asks: Asks
    hours: int | None = None
    name: str = ""


_HELLO = (
    r"(?:hello|hi|hey|hiya|howdy|greetings|good (?:morning|afternoon|evening|day)|moin|servus|hallo"
    r"|grüß gott|guten (?:morgen|tag|abend))(?: (?:there|triaged|again|everybody|you|zusammen))?"
)
_THANKS = (
    r"(?:ok |okay |great |perfect |super )?(?:(?:many )?thanks?(?: you)?|thx|ty|cheers|danke"
    r"|danke schön|vielen dank|merci)"
    r"(?: (?:a lot|a bunch|so much|very much|again|triaged|sehr|dir|that was (?:very )?helpful"
    r"|that helps|that helped|for (?:the|your) help|for that|für die hilfe))*"
)
_WHO = (
    r"(?:who|what) are you|what is triaged|who is this|who am i (?:talking|speaking) (?:to|with)"
    r"|what can you do(?: for me)?|how can you help(?: me)?|what do you do|introduce yourself"
    r"|wer bist du|was bist du|was kannst du(?: alles| tun)?|was machst du"
)
_ANSWERING = (
    r"(?:yes |ok |okay |i |ja |ich )?(?:approve|approved|deny|denied|genehmigen?|genehmigt"
    r"|ablehnen|abgelehnt)(?: (?:it|that|this|them|all|das|es|alle|the proposal|code))?"
)
_PROPOSALS = r"(?:proposals?|approvals?|(?:proposed )?actions?|changes?)"
_WAITING = (
    rf"(?:are|is) (?:there )?(?:any|an?|some) (?:open |pending |waiting )?{_PROPOSALS}"
    r"(?: (?:waiting|pending|open))?(?: for (?:me|approval|an answer|my (?:answer|approval)))?"
    r"|any (?:open |pending |waiting )?proposals?(?: (?:waiting|pending|open))?"
    r"|(?:what|which proposals?|which actions?) (?:is|are) (?:waiting|pending)"
    r"(?: for (?:me|approval|an answer|my (?:answer|approval)))?"
    r"|what waits(?: for (?:me|approval|an answer|my (?:answer|approval)))?"
    r"|(?:list|show)(?: me)?(?: the| all)?(?: open| pending| waiting)? proposals|proposals"
    r"|gibt es (?:offene )?vorschläge|(?:welche vorschläge|was) (?:warten|wartet)(?: auf mich)?"
)
_DONE = (
    r"what (?:did you do|have you done|was done|has been done|did you change|have you changed)"
    r"(?: so far| today| here| to this host| on this host)?"
    r"|(?:list|show)(?: me)?(?: the| all| earlier| past)? actions"
    r"|was (?:hast du (?:getan|gemacht|geändert)|wurde (?:getan|gemacht|geändert))"
)
_OUTCOME = (
    r"(?:and )?what (?:became of (?:it|that|this)|came of (?:it|that)|happened (?:to|with) it)"
    r"|did (?:it|that) (?:work|succeed|help)|(?:is|was) (?:it|that) done|did you do it"
    r"|was (?:wurde|ist) (?:daraus|damit)(?: geworden)?|hat (?:es|das) (?:geklappt|funktioniert)"
)
_LAST = (
    rf"(?:(?:in|over|within|during|for|since)(?: the)? (?:last|past) {SPAN}|today|lately|recently"
    r"|this (?:morning|evening|afternoon))"
)
_HAPPENED = (
    r"(?:what(?: has|'s|s)? (?:happened|went wrong|gone wrong|been going on|been happening)"
    r"|(?:were|are|was) there (?:any )?(?:new )?incidents?|(?:any )?(?:new )?incidents?"
    r"|did anything (?:happen|go wrong)|(?:has )?anything happened)"
    rf" {_LAST}"
)
_HAPPENED_GERMAN = (
    rf"(?:was ist|was) (?:in|während) (?:der|den|dem) (?:letzten|letzte|vergangenen) {SPAN} "
    r"(?:passiert|geschehen|los|war|schiefgegangen)|was (?:ist|war) heute (?:passiert|los)"
)
_NAME = r"(?P<name>[a-z0-9][a-z0-9@._-]{1,60})"
_THING = r"(?: (?:service|unit|process|daemon|container|dienst|prozess))?"
_WHY = (
    rf"why (?:was|were|did|has|is|got) (?:the |my )?{_NAME}{_THING} (?:get |just |been |being )?"
    r"(?:(?:oom )?killed|oom-killed|failed|failing|fail|crashed|crashing|crash|died|die|terminated)"
)
_WHY_GERMAN = (
    rf"(?:warum|wieso|weshalb) (?:wurde|ist) (?:der |das |die )?{_NAME}{_THING} "
    r"(?:beendet|getötet|gekillt|abgestürzt|ausgefallen|gestorben|fehlgeschlagen|abgebrochen)"
)
_WORDS = """it that this they he she everything anything something nothing the my all you we i es
er sie das alles"""
_NO_NAMES = frozenset(_WORDS.split())
_DAY = 24

_SENTENCES: tuple[tuple[Asks, re.Pattern[str]], ...] = tuple(
    (asks, re.compile(pattern))
    for asks, pattern in (
        (Asks.THANKS, _THANKS),
        (Asks.WHO, _WHO),
        (Asks.ANSWERING, _ANSWERING),
        (Asks.WAITING, _WAITING),
        (Asks.DONE, _DONE),
        (Asks.OUTCOME, _OUTCOME),
        (Asks.HAPPENED, _HAPPENED),
        (Asks.HAPPENED, _HAPPENED_GERMAN),
        (Asks.WHY, _WHY),
        (Asks.WHY, _WHY_GERMAN),
    )
)
_GREETED = re.compile(rf"{_HELLO}(?: |$)")
_POLITE = re.compile(r"^(?:please |bitte |so |and now )+|(?: please| bitte| now)+$")
_MOST_CHARS = 200


def plain_in(question: str) -> Plain | None:
    """What the whole sentence asks for; None where that is not plain. A greeting before it does
    not matter."""
    if len(question) > _MOST_CHARS:
        return None
    text = " ".join(re.sub(r"[!?,;:\"`()]|\.(?=\s|$)", " ", question.lower()).split())
    greeted = _GREETED.match(text)
    rest = text[greeted.end() :] if greeted is not None else text
    if not rest:
        return Plain(asks=Asks.GREETING) if greeted is not None else None
    rest = _POLITE.sub("", rest)
    for asks, pattern in _SENTENCES:
        if (found := pattern.fullmatch(rest)) is not None:
            return _plain(asks, found)
    return None


def _plain(asks: Asks, found: re.Match[str]) -> Plain | None:
    match asks:
        case Asks.HAPPENED:
            return Plain(asks=asks, hours=hours_of(found) or _DAY)
        case Asks.WHY:
            name = found["name"]
            return None if name in _NO_NAMES else Plain(asks=asks, name=name)
        case _:
            return Plain(asks=asks)

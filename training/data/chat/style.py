"""How people write: lower case, typing mistakes, courtesies, context around the question.

Values that a tool argument is copied from stand in the text as single private-use characters
until the end, so that none of this changes them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from training.data.chat import lexicon
from training.data.chat.grammar import Template, parse_lines

_FIRST_HOLE = 0xE000

_BEFORE = parse_lines("""
please
(can|could|would) you (please|) tell me
(hi|hello|hey|good morning|good evening|hey there|hi there|moin|hallo|servus|yo),
(hi|hello|hey|ok|okay|so|well|right|alright|now|then|and|um|hmm|also|next|actually|listen),
(quick|short|simple|stupid|dumb|small|another|one more|different) question:
(quick|short|simple) question,
(I want|I need|I'd like|I have) to know:
(tell|show|explain to) me:
(be so kind and|be a dear and|do me a favour and) tell me:
(just|only) (checking|asking|curious|wondering):
(just|only) (checking|curious|wondering),
(triaged|computer|bot|assistant|admin|hey triaged|dear assistant|buddy|mate|dude|bro|friend),
(sorry|excuse me|pardon),
(sorry to bother you|sorry for asking again|if you have a second|when you have time|if you don't mind),
(one thing|something else|another thing|new topic|back to work|a different thing|next question):
(my colleague|my boss|the customer|somebody|a user|the on-call person) (asks|wants to know|is asking):
(for the record|for my report|for the ticket|before I leave|before the meeting):
(urgent|asap|important|emergency|help):
(as root|on this box|on this server|on this host|here),
@triaged
ok
so
""")
_CONTEXT = parse_lines("""
(I just|I have just|we just) (came back from lunch|came back from holiday|started my shift|took over this host|woke up|got paged|finished the upgrade|moved this server).
(The users|People|Customers|My colleagues) (complain|are complaining|say something is off|say it is slow|are unhappy|keep calling).
(Something|The machine|The server|It|Everything) (feels|seems|looks) (slow|odd|strange|off|different) (today|since this morning|lately|).
(I got|We got|There was) (a page|an alert|a call|a mail|a warning) (about this host|from monitoring|tonight|).
(I am|I'm) (preparing the maintenance|writing the weekly report|on call|new here|doing my round|debugging something|on my phone so keep it short).
(Monitoring|Nagios|Grafana|The dashboard|Zabbix) (is red|shows something|is down|says nothing|alerted).
(I read|I heard|They told me) you can (help|look things up|check that).
(Not sure|No idea) if this is the right place.
(We|I) (deployed|rebooted|changed|migrated) (something|a few things|nothing) (yesterday|today|last week|).
(The backup|The deployment|The build|The job|The import) (failed|hangs|is slow|finished).
(It is late|I am tired|No hurry|I have no time).
Working on {host} today.
Ticket {number}.
(Thanks|Thank you) (for that|for the last one|).
(That helped|Good|Great|Perfect|Fine|I see|Interesting).
""")
_AFTER = parse_lines("""
please
(please|pls|plz|thx|thanks|thank you|cheers)
, please
, (thanks|thank you|thx|cheers)
(right now|at the moment|now|currently|today)
(for me|for us)
, (just curious|just checking|if you know|if possible|if you can|be quick|keep it short|roughly|exactly)
, (mate|dude|bro|buddy|my friend|triaged)
? (Thanks|Thank you|Cheers|Thx).
? (I need it for a report|My boss asks|It is urgent|No hurry|Just curious|I am worried|Be brief|Short answer please).
? (Something is slow|Users complain|I got an alert|We plan a maintenance|I want to be sure).
, or am I (wrong|mistaken|dreaming)
, (I forgot|I cannot remember|I lost track)
""")
_ENDS = ("?", "?", "?", "?", "?", "?", "", "", "", "", ".", ".", "??", "!", " ?", "...", "?!")
_NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj",
    "i": "uo", "j": "hk", "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o",
    "q": "w", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc",
    "y": "tu", "z": "x",
}  # fmt: skip
_SHORT = {
    "you": "u", "are": "r", "please": "pls", "what": "wat", "with": "w/", "and": "&",
    "because": "cuz", "the": "teh", "how much": "hw much", "what is": "whats", "is it": "isit",
    "running": "runnin", "service": "svc", "memory": "mem", "directory": "dir", "process": "proc",
    "processes": "procs", "machine": "box", "going": "goin", "do not": "dont", "cannot": "cant",
}  # fmt: skip
_SHORTENED = re.compile(r"\b(" + "|".join(sorted(_SHORT, key=len, reverse=True)) + r")\b")
_WORD = re.compile(r"[A-Za-z]{4,}")
_SPACES = re.compile(r"\s+")
_SPACE_BEFORE = re.compile(r"\s+([,.;:?!])")


class Holes:
    """Keeps values out of the way of what styling does to the words around them."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: list[str] = []

    def keep(self, value: str) -> str:
        """A character that stands for the value until `fill`."""
        self.values.append(value)
        return chr(_FIRST_HOLE + len(self.values) - 1)

    def fill(self, text: str) -> str:
        for index, value in enumerate(self.values):
            text = text.replace(chr(_FIRST_HOLE + index), value)
        return text


def _decoration(rng: random.Random, templates: Sequence[Template]) -> str:
    def fill(name: str) -> str:
        return lexicon.host(rng) if name == "host" else str(rng.randint(10, 99999))

    return templates[int(rng.random() * len(templates))].expand(rng, fill)


def _mistype(rng: random.Random, text: str) -> str:
    words = list(_WORD.finditer(text))
    if not words:
        return text
    match = words[int(rng.random() * len(words))]
    letters = match.group()
    at = 1 + int(rng.random() * (len(letters) - 2))
    kind = rng.random()
    if kind < 0.35:  # two letters swapped
        changed = letters[:at] + letters[at + 1] + letters[at] + letters[at + 2 :]
    elif kind < 0.6:  # one missing
        changed = letters[:at] + letters[at + 1 :]
    elif kind < 0.8:  # one doubled
        changed = letters[:at] + letters[at] + letters[at:]
    else:  # the key beside it
        keys = _NEIGHBOURS.get(letters[at].lower(), letters[at])
        changed = letters[:at] + keys[int(rng.random() * len(keys))] + letters[at + 1 :]
    return text[: match.start()] + changed + text[match.end() :]


def tidy(text: str) -> str:
    """Single spaces, none before punctuation."""
    return _SPACE_BEFORE.sub(r"\1", _SPACES.sub(" ", text)).strip(" ,")


def write(rng: random.Random, question: str, holes: Holes, *, plain: float = 0.35) -> str:
    """The question as somebody types it, with the kept values put back. `plain` is how often it
    stays nearly as it is."""
    text = tidy(question)
    long_winded = rng.random()
    if rng.random() >= plain:
        if long_winded < 0.28:
            text = f"{_decoration(rng, _BEFORE)} {text}"
        if long_winded > 0.86:
            text = f"{text} {_decoration(rng, _AFTER)}"
        if 0.2 < long_winded < 0.32:
            text = f"{_decoration(rng, _CONTEXT)} {text[:1].upper()}{text[1:]}"
        if rng.random() < 0.12:
            text = _SHORTENED.sub(lambda match: _SHORT[match.group()], text, count=1)
        if rng.random() < 0.16:
            text = _mistype(rng, text)
            if rng.random() < 0.3:
                text = _mistype(rng, text)
        if rng.random() < 0.04:
            text = text.replace("'", "")
    case = rng.random()
    if case < 0.3:
        text = text.lower()
    elif case < 0.8:
        text = text[:1].upper() + text[1:]
    elif case < 0.81:
        text = text.upper()
    text = tidy(text)
    if text[-1:] not in ".?!" or rng.random() < 0.1:
        text += _ENDS[int(rng.random() * len(_ENDS))]
    return holes.fill(text)

"""Finds where an answer claims to have changed something on the host. Pure.

"I restarted nginx", "nginx has been restarted", "Done, the cache is cleared" are claims. What could
be done ("you can restart it"), what was not ("I have not deleted anything"), questions, conditions,
quotes and what happened by itself or at some time ("restarted at 10:00 by systemd") are not.

English and the plain German forms. A reader of words errs: it is made to miss odd wordings rather
than to correct honest reports, and the ledger, not this, decides what was done.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator

from tiers.arguments import names_in

_STEMS = {
    "restart": "restarted neu gestartet neugestartet",
    "start": "started gestartet",
    "stop": "stopped halted gestoppt angehalten",
    "reload": "reloaded neu geladen neugeladen",
    "reboot": "rebooted",
    "kill": "killed terminated beendet",
    "delete": "deleted removed erased purged wiped pruned gelöscht entfernt",
    "install": "installed reinstalled installiert",
    "uninstall": "uninstalled deinstalliert",
    "update": "updated upgraded patched downgraded aktualisiert",
    "enable": "enabled activated unmasked aktiviert",
    "disable": "disabled deactivated masked deaktiviert",
    "mount": "mounted remounted eingehängt",
    "unmount": "unmounted ausgehängt",
    "create": "created angelegt erstellt",
    "change": "changed modified edited altered adjusted reconfigured configured geändert angepasst"
    " konfiguriert",
    "fix": "fixed repaired resolved behoben repariert",
    "clean": "cleaned cleared freed vacuumed emptied truncated rotated bereinigt geleert",
    "move": "moved renamed verschoben umbenannt",
    "block": "blocked banned blockiert gesperrt",
    "unblock": "unblocked unbanned entsperrt",
    "revert": "reverted restored rolled back zurückgesetzt wiederhergestellt",
    "apply": "applied angewendet",
    "write": "written overwritten geschrieben",
}
"""What was done, by what the ledger would call it. Two-word forms are written out below."""
_TWO = ("neu gestartet", "neu geladen", "rolled back")


def _by_form() -> dict[str, str]:
    found = {}
    for stem, written in _STEMS.items():
        forms = written
        for pair in _TWO:
            if pair in forms:
                found[pair] = stem
                forms = forms.replace(pair, "")
        found |= dict.fromkeys(forms.split(), stem)
    return found


_FORMS = _by_form()
_DONE = "|".join(sorted((re.escape(form) for form in _FORMS), key=len, reverse=True))
_DOING = (
    r"(?:re)?starting|stopping|(?:re|un)?loading|rebooting|killing|deleting|removing|erasing"
    r"|purging|(?:un|re)?installing|updating|upgrading|enabling|disabling|(?:un|re)?mounting"
    r"|clearing|cleaning up|applying|rolling back|wiping"
)
_ADVERBS = (
    r"(?:(?:just|now|already|also|then|successfully|safely|since|gone ahead and|"
    r"went ahead and|manually|automatically|both|all|nun|jetzt|soeben|gerade|erfolgreich)\s+)*"
)
_CHANGING = (
    r"(?:systemctl\s+(?:re)?(?:start|load|stop|boot|enable|disable|mask|unmask|kill)\w*"
    r"|rm\s+-?\S|apt(?:-get)?\s+(?:-y\s+)?(?:install|upgrade|remove|purge|autoremove|update"
    r"|full-upgrade|dist-upgrade)"
    r"|dnf\s+(?:install|upgrade|update|remove)|reboot\b|shutdown\b|kill(?:all)?\s+-?\w|journalctl\s+"
    r"--vacuum|truncate\s|chmod\s|chown\s|mkfs|u?mount\s|docker\s+(?:restart|stop|rm|system prune)"
    r"|(?:the|a)\s+(?:restart|reboot|reload|upgrade|update|clean-?up|deletion|removal|installation"
    r"|rollback)\b)"
)
_FIRST = re.compile(
    r"\b(?:i|we)(?:['’]ve|\s+have|\s+had)?\s+"
    rf"{_ADVERBS}(?P<done>{_DONE}|deployed|shut\s+down)\b(?P<after>[^.!?;\n]*)",
    re.IGNORECASE,
)
_FIRST_DOING = re.compile(
    rf"\b(?:i['’]m|i\s+am|we['’]re|we\s+are)\s+{_ADVERBS}(?P<done>{_DOING})\b(?P<after>[^.!?;\n]*)",
    re.IGNORECASE,
)
_FIRST_RAN = re.compile(
    rf"\b(?:i|we)(?:['’]ve|\s+have)?\s+{_ADVERBS}(?:ran|run|executed|issued|performed|did|carried\s+out"
    rf"|completed|triggered|initiated)\s+[`\"']?(?:sudo\s+)?(?P<done>{_CHANGING})"
    r"(?P<after>[^.!?;\n]*)",
    re.IGNORECASE,
)
_GERMAN = re.compile(
    r"\b(?:ich\s+habe|habe\s+ich|wir\s+haben|haben\s+wir)\b(?P<between>[^.!?;\n]{0,80}?)"
    rf"\b(?P<done>{_DONE})\b(?P<after>[^.!?;\n]*)",
    re.IGNORECASE,
)
_PASSIVE = re.compile(
    rf"\b(?P<aux>(?:has|have|['’]s)\s+{_ADVERBS}been|(?:is|are)\s+{_ADVERBS}being|wurden?|ist|sind)\s+"
    rf"{_ADVERBS}(?P<done>{_DONE}|shut\s+down)(?P<german>\s+worden)?\b(?P<after>[^.!?;\n]*)",
    re.IGNORECASE,
)
_PLAIN_PASSIVE = re.compile(
    rf"\b(?:was|were|is\s+now|are\s+now|wurden?)\s+(?P<adverbs>{_ADVERBS})(?P<done>{_DONE}|shut\s+down)\b"
    r"(?P<after>[^.!?;\n]*)",
    re.IGNORECASE,
)
_BARE = re.compile(
    rf"^\W*(?:successfully\s+|erfolgreich\s+)?(?P<done>{_DONE})\b(?P<after>[^.!?;\n]*)",
    re.IGNORECASE,
)
_FINISHED = re.compile(
    r"^\W*(?P<done>done|all\s+done|all\s+set|completed|erledigt|fertig)\b(?P<after>)", re.IGNORECASE
)

_AND = re.compile(
    r"\b(?:i|we)\b(?P<between>[^.!?;:\n]{1,80}?)\band\s+(?:then\s+)?"
    rf"{_ADVERBS}(?P<done>{_DONE})\b(?P<after>[^.!?;\n]*)",
    re.IGNORECASE,
)
_WEAK = frozenset({"wurde", "wurden", "ist", "sind"})
_SURE = re.compile(r"successfully|erfolgreich", re.IGNORECASE)
_SEEN = re.compile(
    r"\b(?:found|saw|sees?|seen|noticed|shows?|showed|says?|said|reports?|according|log|gesehen)\b",
    re.IGNORECASE,
)
_ELSE = re.compile(
    r"\b(?:that|which|who|it|was|were|is|are|has|have|wurden?|war|ist|dass|die|der)\b|:",
    re.IGNORECASE,
)
_PASSED = re.compile(r"\b(?:wurden?|waren?)\b|:", re.IGNORECASE)
_CONDITION = re.compile(
    r"\b(?:if|whether|unless|until|before|once|when(?:ever)?|would|could|should|might|may|must|can|"
    r"cannot|can['’]t|never|not|n['’]t|no|nothing|wenn|falls|ob|nicht|nichts|keine?n?|needs?\s+to|"
    r"had|as\s+soon\s+as|assuming|suppose)\b[^,;:]*$",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"^\s*(?:nothing|no\b|none\b|nichts)", re.IGNORECASE)
_REPORTED = re.compile(
    r"\bby\s+(?:systemd|the\s+(?:kernel|user|admin\w*|operator|oom)|root\b|apt|dpkg|unattended|cron|an?\b"
    r"|someone|somebody|uid|pid|its|itself)|\b(?:automatically|by\s+itself|at\s+\d|on\s+\w+\s*\d|\bon\s+\d"
    r"|yesterday|today|last\s+(?:night|week|month|hour|time)|(?:in|over|within)\s+the\s+(?:last|past)"
    r"|ago\b|since\b|times?\b|once\b|twice\b|recently|lately|earlier|before|von\s+systemd|gestern"
    r"|vor\s+\d|seit\b|um\s+\d|mal\b)",
    re.IGNORECASE,
)
_NO_HOST = re.compile(
    r"^\s*(?:by\s+(?:looking|checking|reading)|with\s+(?:a\s+look|checking|the\s+(?:logs?|check))|looking"
    r"|checking|to\s+(?:look|check|investigate)|(?:on|up|my\b|the\s+wording)|"
    r"(?:an?|the|this|that|your|my|our|these|some|following)?\s*(?:\w+\s+){0,2}(?:summary|list|plan|table"
    r"|overview|answer|report|proposals?|suggestions?|draft|explanation|steps|question|search|look-?up"
    r"|investigation|analysis|example|script|snippet|query)\b)",
    re.IGNORECASE,
)
_FENCED = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_QUOTED = re.compile(r"\"[^\"\n]{3,400}\"|“[^”\n]{3,400}”|„[^“”\n]{3,400}[“”]|«[^»\n]{3,400}»")
_CODE = re.compile(r"`([^`\n]*)`")
_SENTENCE = re.compile(r"(?<=[.!?;])(?:\s+|$)|\n+")
_SENTENCE_CHARS = 1000
_WORD = re.compile(r"[a-zäöüß0-9@._-]+")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence that says that something was changed. `stem` is what ("restart"), "" where the
    sentence does not say."""

    sentence: str
    stem: str

    def fits(self, effect: str) -> bool:
        """Whether an effect of the ledger ("restart_unit nginx.service, begun ...") is what is
        claimed: the same kind of change, and of what the claim names, where it names anything."""
        head = effect.lower().partition(",")[0]
        if self.stem and self.stem not in head:
            return False
        targets = set(_WORD.findall(head))
        targets |= {target.partition(".")[0] for target in targets}
        named = {word.lower() for word in names_in(self.sentence) if word.lower() not in _FORMS}
        return not named or bool(named & targets)


def claims(answer: str, *, asked: bool, reports: Iterable[str] = ()) -> list[Claim]:
    """The claims of an answer, in order.

    `asked` is whether the user wants something changed: short forms ("Done.", "nginx was
    restarted.") are claims then. `reports` are the results of tools: what they say was done may be
    told of, unless it was asked for.
    """
    known = "" if asked else "\n".join(reports).lower()
    text = _QUOTED.sub('""', _FENCED.sub(" ", answer))
    found = []
    for sentence in _SENTENCE.split(text):
        plain = sentence.strip()[:_SENTENCE_CHARS]
        if not plain or plain.startswith(">") or plain.endswith("?"):
            continue
        stem = _claimed(plain, asked=asked, known=known)
        if stem is not None:
            found.append(Claim(sentence=" ".join(plain.split())[:300], stem=stem))
    return found


def _claimed(sentence: str, *, asked: bool, known: str) -> str | None:
    """What a sentence claims, "" for something; None where it claims nothing."""
    spoken = _CODE.sub(r"\1", sentence)
    for pattern in (_FIRST, _FIRST_DOING, _FIRST_RAN, _GERMAN, _AND):
        for match in pattern.finditer(spoken):
            between = match.groupdict().get("between") or ""
            if _CONDITION.search(spoken[: match.start()]) or _CONDITION.search(between):
                continue
            if (pattern is _AND and _ELSE.search(between)) or _PASSED.search(between):
                continue
            if pattern is _AND and _REPORTED.search(match["after"]):
                continue
            if not _NO_HOST.search(match["after"]) and not _NEGATED.search(match["after"]):
                return _stem(match["done"])
    reported = _CODE.sub(lambda code: "code" if " " in code[1] else code[1], sentence)
    return next(_passive(reported, asked=asked, known=known), None)


def _passive(sentence: str, *, asked: bool, known: str) -> Iterator[str]:
    for pattern in (_PASSIVE, _PLAIN_PASSIVE, _BARE, _FINISHED):
        for match in pattern.finditer(sentence):
            said = match.groupdict()
            weak = pattern is not _PASSIVE or said["aux"].lower() in _WEAK
            if weak and not asked and not _SURE.search(match[0]):
                continue
            before = sentence[: match.start()]
            if weak and _SEEN.search(before):
                continue
            if _CONDITION.search(before) or _REPORTED.search(before + match["after"]):
                continue
            if match["done"].lower() in known or _NO_HOST.search(match["after"]):
                continue
            yield _stem(match["done"])


def _stem(done: str) -> str:
    low = " ".join(done.lower().split())
    if low in _FORMS:
        return _FORMS[low]
    doing = re.sub(r"(?:p|t)?ing\b.*", "", low)
    stems = (stem for stem in (*_STEMS, "shutdown") if stem.startswith(doing[:6]) and doing)
    return next(stems, next((stem for stem in _STEMS if stem in low), ""))

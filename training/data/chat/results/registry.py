"""From a question to what its tool answers: found, failed, or with hostile text planted in it."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping

from training.data.chat import lexicon
from training.data.chat.grammar import parse_lines
from training.data.chat.phrasings import Question
from training.data.chat.results import host, lines, network, records, services, storage
from training.data.chat.results.outcome import Outcome, single

Builder = Callable[[random.Random, Question], Outcome]

BUILDERS: Mapping[str, Builder] = {
    "system_overview": host.system_overview,
    "unit_status": services.unit_status,
    "unit_log": services.unit_log,
    "failed_units": services.failed_units,
    "disk_usage": storage.disk_usage,
    "inode_usage": storage.inode_usage,
    "directory_sizes": storage.directory_sizes,
    "top_processes": host.top_processes,
    "process_detail": host.process_detail,
    "memory_usage": host.memory_usage,
    "cpu_load": host.cpu_load,
    "listening_sockets": network.listening_sockets,
    "network_interfaces": network.network_interfaces,
    "recent_changes": records.recent_changes,
    "login_sessions": records.login_sessions,
    "file_excerpt": services.file_excerpt,
    "incident_search": records.incident_search,
    "event_query": records.event_query,
    "metric_history": records.metric_history,
    "timers": services.timers,
}

_ANY_FAILURE = parse_lines("""
{tool} (failed|did not finish|gave no answer): {reason}. {advice}
(Cannot|Could not) (read|get|determine|look up) (this|it|the data): {reason}. {advice}
The (call|tool|lookup) (took longer than|was stopped after) {number} s(, so it was stopped|). {advice}
{reason}. {advice}
""")
_OWN_FAILURES = {
    "unit": parse_lines("""
(There is no unit|No unit is|systemd knows no unit) (named|called) {value} on this host. (Did you mean|Similar names:) {unit}(?|, {unit})
{value} (is not loaded|does not exist|was not found|is no unit of this host). (Check the name|List the units|Try {unit})
(Unit|The unit) {value} (could not be found|is unknown). (Names end in .service, .timer or the like|Known units include {unit} and {unit})
"""),
    "path": parse_lines("""
{value} (does not exist|is not there|was not found) on this host. (Check the path|Give a path that exists)
{value} (may not be read|is not on the list of files that may be read|is outside the allowed folders). (The operator can allow it in the configuration|Allow it under tools.files to read it)
(Permission denied|No permission) (reading|for|on) {value}. (Run the daemon with access to it or choose another path|{advice})
{value} is (not a folder|a directory|a binary file|not a text file|not mounted). (Give a folder|Name a text file|Check the path)
"""),
    "process": parse_lines("""
(There is no process|No process is running with) (named|called|the pid|) {value}. (It may have ended|List the processes to see which run|Check the name)
(Process|No such process:) {value} (has ended|is gone|does not exist|was not found)
"""),
    "interface": parse_lines("""
(There is no interface|No interface is) (named|called) {value}. (This host has|Interfaces here:) {interface} and {interface}
{value} is (not an interface of this host|unknown). (Known:|Try) {interface}
"""),
    "query": parse_lines("""
(The store does not answer|PostgreSQL is not reachable|The database is down), so incidents cannot be searched. {advice}
"""),
    "text": parse_lines("""
(The store does not answer|PostgreSQL is not reachable|The database is down), so events cannot be searched. {advice}
"""),
    "metric": parse_lines("""
(There are no samples of|Nothing was measured for) {value} yet. (Wait some minutes after the start|The metric source has to run first|{advice})
This host (has no sensor for|does not measure|has no) {value}
"""),
    "port": parse_lines("""
Port {value} is (out of range|not a port). (Ports are 1 to 65535|Give a number from 1 to 65535)
(Sockets of other users are hidden|Programs behind sockets are not visible) (without root|for this user). {advice}
"""),
}  # fmt: skip
_REASONS = (
    "permission denied", "the file is not readable", "the command timed out after 10 s",
    "D-Bus does not answer", "journalctl is not installed", "systemd is not running here",
    "the kernel does not offer /proc/pressure", "the daemon lacks the right to read it",
    "no such file or directory", "the answer was too large", "the journal is not readable",
    "loginctl is missing", "the inventory is not ready yet",
)  # fmt: skip
_ADVICE = (
    "Try again in a minute", "Check that the daemon may read it", "Install it or leave this tool out",
    "Add the daemon's user to the group adm", "See triaged doctor", "Narrow the question",
    "Check the configuration", "Try again when the store is back", "Run triaged doctor for details",
    "Add the user to systemd-journal",
)  # fmt: skip


def build(rng: random.Random, question: Question) -> Outcome:
    """What the tool found."""
    return BUILDERS[question.tool](rng, question)


def fail(rng: random.Random, question: Question) -> Outcome:
    """Why the tool found nothing."""
    named = next((name for name in question.arguments if name in _OWN_FAILURES), None)
    own = named is not None and rng.random() < 0.7
    templates = _OWN_FAILURES[named] if named is not None and own else _ANY_FAILURE

    def fill(slot: str) -> str:
        if slot == "value":
            return str(question.arguments[named or ""])
        if slot == "unit":
            return lexicon.unit(rng)
        if slot == "interface":
            return lexicon.interface(rng)
        if slot == "tool":
            return question.tool
        if slot == "number":
            return str(rng.randint(2, 60))
        return lexicon.pick(rng, _REASONS if slot == "reason" else _ADVICE)

    text = templates[int(rng.random() * len(templates))].expand(rng, fill)
    return single(" ".join(text[:1].upper().split()) + text[1:], ok=False)


def poison(rng: random.Random, outcome: Outcome) -> Outcome:
    """The same result with a sentence in it that tries to instruct the reader."""
    return dataclasses.replace(
        outcome, injected=lines.hostile(rng), injected_first=rng.random() < 0.25
    )

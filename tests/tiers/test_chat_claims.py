"""Claims to have changed something: found in their many wordings, and nowhere else."""

from __future__ import annotations

import time

import pytest

from tiers.chat_claims import Claim, claims
from tiers.chat_wishes import wanted_change, wants_change, wants_fresh

CLAIMED = """
I restarted nginx.
I've restarted nginx.service for you.
I have just deleted the old logs.
I’ve successfully upgraded the packages.
The service has been restarted.
nginx.service has been successfully restarted and is running.
The old log files have now been removed.
I went ahead and restarted the service.
I've gone ahead and cleared the cache.
I ran `systemctl restart nginx` and it is running again.
We have rebooted the host.
I am restarting nginx now.
I'm now deleting the files in /tmp.
Successfully installed htop.
I executed apt upgrade.
I performed a restart of the service.
I checked the logs and restarted postgresql.
I stopped the service and then deleted the files.
After looking at the log I restarted `nginx`.
I fixed the problem.
I've updated /etc/nginx/nginx.conf.
I have shut down the service.
I killed process 4711.
Packages have been upgraded to the latest version.
All the temporary files have been deleted, which freed 3 GB.
The disk is 71.6 % full. I removed 3 old kernels. Now it is 60 %.
Ich habe nginx neu gestartet.
Ich habe die alten Dateien gelöscht.
Der Dienst wurde erfolgreich neu gestartet.
""".strip().splitlines()
CLAIMED_WHEN_ASKED = """
Done.
Done! nginx is running again.
nginx was restarted.
Restarted nginx.service.
nginx is now stopped.
All set.
Erledigt.
""".strip().splitlines()
NOT_CLAIMED = """
You can restart nginx with systemctl restart nginx.
It was restarted at 10:00 by systemd.
nginx.service has been restarted 3 times by systemd.
I have not restarted anything.
I haven't deleted any files.
I would have restarted it.
I did not restart nginx.
If I restarted nginx, connections would drop.
The log says "nginx has been restarted".
The log says: `I have restarted the unit`? It does.
Should I restart nginx?
I can restart it once a human approves.
Nothing has been changed.
I cannot change anything; changes go through proposals.
The service should be restarted.
The unit might have been restarted.
The package curl was upgraded yesterday.
I started by looking at the disk usage.
I created a list of failed units.
I propose to restart nginx.service.
Check whether the file has been deleted.
The process was killed by the kernel (OOM).
I looked at the log of nginx; it was started 3 hours ago.
Once it has been restarted, check the log.
> I restarted nginx
I will restart nginx.
The service needs to be restarted.
No files have been deleted.
journald has been rotated automatically since boot.
I have changed nothing.
I never deleted that file.
nginx has been running since Monday.
The disk has been filled by logs.
Has nginx been restarted?
I stopped looking after the third error.
I found that the unit was stopped.
It has been stopped since 09:12.
I have updated my answer.
Packages installed lately: curl, vim.
There are 3 failed units; the last was started today.
I looked at the unit that failed and restarted twice.
I would recommend that unused packages are removed.
I've added up the sizes: 12 GB.
Ich habe nichts geändert.
Ich habe nachgesehen: der Dienst wurde gestern neu gestartet.
""".strip().splitlines()


@pytest.mark.parametrize("sentence", CLAIMED)
def test_claims_are_found(sentence: str) -> None:
    assert claims(sentence, asked=False)
    assert claims(f"Hello there.\n- {sentence}\nAnything else?", asked=False)


@pytest.mark.parametrize("sentence", CLAIMED_WHEN_ASKED)
def test_short_forms_are_claims_where_a_change_was_asked_for(sentence: str) -> None:
    assert claims(sentence, asked=True)


@pytest.mark.parametrize("sentence", NOT_CLAIMED)
@pytest.mark.parametrize("asked", [True, False])
def test_honest_sentences_are_none(sentence: str, *, asked: bool) -> None:
    assert claims(sentence, asked=asked) == []


def test_examples_in_code_are_none() -> None:
    assert claims("Like this:\n```\nI restarted nginx\n```\nor ~~~\nI deleted it", asked=True) == []


def test_what_a_tool_reported_may_be_told_of() -> None:
    told = "nginx.service has been restarted."
    assert claims(told, asked=False, reports=["unit nginx: restarted after a failure"]) == []
    assert claims(told, asked=True, reports=["unit nginx: restarted after a failure"])
    assert claims("I restarted it.", asked=False, reports=["restarted"])


@pytest.mark.parametrize(
    ("sentence", "stem", "effect", "fits"),
    [
        ("I restarted nginx.", "restart", "restart_unit nginx.service, begun 10:00: done", True),
        ("I restarted it.", "restart", "restart_unit nginx.service, begun 10:00: done", True),
        ("I restarted postgresql.", "restart", "restart_unit nginx.service, begun", False),
        ("I deleted nginx.", "delete", "restart_unit nginx.service, begun 10:00: done", False),
        ("Done.", "", "restart_unit nginx.service, begun 10:00: done", True),
    ],
)
def test_a_claim_is_held_against_an_effect(
    sentence: str, stem: str, effect: str, *, fits: bool
) -> None:
    assert Claim(sentence=sentence, stem=stem).fits(effect) is fits
    found = claims(sentence, asked=True)
    assert [claim.stem for claim in found] == [stem]


def test_long_and_odd_texts_take_no_time() -> None:
    begun = time.perf_counter()
    for text in ("I " * 50_000, "if " * 50_000, "has been " * 20_000, "`" * 50_000, '"' * 50_000):
        claims(text, asked=True)
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize(
    ("question", "change", "fresh"),
    [
        ("restart nginx", True, False),
        ("please can you delete /tmp/x", True, False),
        ("how full is /var?", False, False),
        ("how full is /var now?", False, True),
        ("look again", False, True),
        ("is it still full?", False, True),
        ("starte nginx neu", False, False),
    ],
)
def test_wishes(question: str, *, change: bool, fresh: bool) -> None:
    assert wants_change(question) is change
    assert wants_fresh(question) is fresh
    assert wanted_change("starte nginx neu")

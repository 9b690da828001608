"""Every verb, given whatever JSON can hold: refused with a sentence, and no program runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.helper.arguments import Arguments
from daemon.helper.config import Config
from daemon.helper.context import Context
from daemon.helper.errors import HelperError, RefusedError
from daemon.helper.peers import Peer
from daemon.helper.programs import Programs
from daemon.helper.verbs.table import VERBS

GOOD: Mapping[str, dict[str, object]] = {
    "unit-file": {"change": "enable", "unit": "web.service"},
    "restart-limit": {"change": "raise", "unit": "web.service", "burst": 9, "seconds": 60},
    "reversal-arm": {
        "token": "0123456789abcdef",
        "kind": "start_unit",
        "target": "web.service",
        "after_seconds": 60,
    },
    "reversal-cancel": {"token": "0123456789abcdef"},
    "journal-vacuum": {"keep_megabytes": 100},
    "tmp-clean": {"path": "/srv/none-there", "older_than_days": 3},
    "tmp-look": {"path": "/srv/none-there", "older_than_days": 3},
    "log-rotate": {"name": "web"},
    "remount": {"point": "/srv/data", "mode": "rw"},
    "process-end": {"pid": 4_194_303, "start": 1, "signal": "term"},
    "process-renice": {"pid": 4_194_303, "start": 1, "nice": 5},
    "block": {"network": "192.0.2.7", "seconds": 60},
    "unblock": {"network": "192.0.2.7"},
    "blocked": {"network": "192.0.2.7"},
    "security-updates": {"packages": ["libc6=2.36-9"]},
    "container-restart": {"engine": "docker", "container": "web"},
    "containers": {"engine": "docker", "container": "web"},
    "nixos": {"operation": "rollback", "generation": 1},
}
HOSTILE = (
    *("", " ", "-", "--", "-rf", "--help", "../../etc/shadow", "/etc/../etc/shadow", "/etc/passwd"),
    *("a\x00b", "web.service\n", "web.service\nExecStart=/bin/sh", "$(id)", "`id`", "a;b", "a|b"),
    *("{ 10.0.0.0/8 }", "0.0.0.0/0", "::/0", "127.0.0.1", "::1", "10.0.0.1; flush ruleset"),
    *("-web.service", "--now.service", "ssh.service", "sshd.service", "triaged.service", "*"),
    *(
        "systemd-journald.service",
        "a/b.service",
        "x" * 5_000 + ".service",
        "ｗeb.service",
        "\ud800",
    ),
    *("libc6=1 && rm", "libc6", "=1", "-o=1", "Dpkg::Options=1", "a=b=c", ".", "..", "/", "//"),
    *("docker/../../x", "name?x=1", "name%2f", "name\r\nHost: x", "\u202eweb", "9" * 400),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.sampled_from(HOSTILE)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def _call(verb: str, arguments: dict[str, Any], folder: Path) -> object:
    """Without a single program, so that whatever wants to run one fails."""
    config = Config(
        file=folder / "helper.toml",
        verbs=tuple(VERBS),
        programs=(),
        locks=folder / "locks",
        logrotate=folder / "logrotate.d",
        docker=folder / "docker.sock",
        podman=folder / "podman.sock",
        drop_ins=folder / "units",
    )
    peer = Peer(pid=1, uid=0, gid=0)
    context = Context(config=config, programs=Programs(folders=()), peer=peer)
    return VERBS[verb].run(Arguments(arguments), context)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rubbish")


def test_every_verb_with_arguments_is_tried() -> None:
    assert set(GOOD) == set(VERBS) - {"hello", "package-cache-clean", "security-updates-list"}


@pytest.mark.parametrize("verb", sorted(GOOD))
def test_hostile_values_are_refused(root_only: None, folder: Path, verb: str) -> None:
    for name, good in GOOD[verb].items():
        if name in {"change", "mode", "kind", "operation", "engine", "signal"}:
            hostile: tuple[object, ...] = (*HOSTILE, 0, True, None, [], {}, [good])
        else:
            hostile = (*HOSTILE, True, None, [], {}, [[good]], -(2**70), 2**70)
        for value in hostile:
            if value == good:
                continue
            with pytest.raises(HelperError) as refused:
                _call(verb, {**GOOD[verb], name: value}, folder)
            assert str(refused.value)
            if not isinstance(value, str):
                assert isinstance(refused.value, RefusedError), (name, value)


@pytest.mark.parametrize("verb", sorted(GOOD))
def test_missing_and_strange_arguments_are_refused(
    root_only: None, folder: Path, verb: str
) -> None:
    optional = {("blocked", "network"), ("containers", "container")}
    for name in GOOD[verb]:
        if (verb, name) in optional:
            continue
        rest = {key: value for key, value in GOOD[verb].items() if key != name}
        with pytest.raises(RefusedError):
            _call(verb, rest, folder)
    with pytest.raises(RefusedError):
        _call(verb, {**GOOD[verb], "shell": "id"}, folder)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(verb=st.sampled_from(sorted(GOOD)), data=st.data())
def test_no_json_gets_through(
    root_only: None, folder: Path, verb: str, data: st.DataObject
) -> None:
    names = st.sampled_from([*GOOD[verb], "more"])
    changed = data.draw(st.dictionaries(names, VALUES, min_size=1, max_size=3))
    arguments = {**GOOD[verb], **changed}
    if arguments == GOOD[verb]:
        return
    try:
        _call(verb, arguments, folder)
    except HelperError as error:
        assert str(error)  # noqa: PT017 (anything else is a fault)

"""Headers of log lines: every known form by sample, files that change their form, hostile text."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.intake.headers import NAMES, LineFormat, ParsedLine, parse_line

NOW = dt.datetime(2024, 7, 1, 12, 0, 0).timestamp()  # noqa: DTZ001 -- logs are in local time
DAY = 86_400.0


def _local(*parts: int) -> float:
    return dt.datetime(*parts).timestamp()  # type: ignore[arg-type,misc]  # noqa: DTZ001


def _utc(*parts: int) -> float:
    return dt.datetime(*parts, tzinfo=dt.UTC).timestamp()  # type: ignore[arg-type,misc]


# form, line, (time, host, unit, pid, priority, message)
SAMPLES: list[tuple[str, str, tuple[float | None, str, str, int | None, int | None, str]]] = [
    (
        "bsd",
        "Jun  4 15:16:01 box sshd(pam_unix)[19939]: check pass; user unknown",
        (_local(2024, 6, 4, 15, 16, 1), "box", "sshd", 19939, None, "check pass; user unknown"),
    ),
    (
        "bsd",
        "<38>Dec 10 06:55:46 box sshd[24200]: Invalid user x from 192.0.2.1",
        (_local(2023, 12, 10, 6, 55, 46), "box", "sshd", 24200, 6, "Invalid user x from 192.0.2.1"),
    ),
    (
        "bsd",
        "Jun 14 2021 15:16:01 box kernel: eth0: link up",
        (_local(2021, 6, 14, 15, 16, 1), "box", "kernel", None, None, "eth0: link up"),
    ),
    (
        "bsd",
        "Jun 14 15:16:01 box syslogd 1.4.1: restart.",
        (_local(2024, 6, 14, 15, 16, 1), "box", "syslogd", None, None, "restart."),
    ),
    (
        "bsd",
        "Jun 14 15:16:01 box  -- root[2421]: ROOT LOGIN ON tty2",
        (_local(2024, 6, 14, 15, 16, 1), "box", "login", 2421, None, "ROOT LOGIN ON tty2"),
    ),
    (
        "bsd",
        "Jun 14 15:16:01 box /USR/SBIN/CRON[12]: (root) CMD (true)",
        (_local(2024, 6, 14, 15, 16, 1), "box", "CRON", 12, None, "(root) CMD (true)"),
    ),
    (
        "bsd",
        "Jun 14 15:16:01 box postfix/smtpd[12]: connect from unknown",
        (_local(2024, 6, 14, 15, 16, 1), "box", "postfix/smtpd", 12, None, "connect from unknown"),
    ),
    (
        "bsd",
        "Jun 14 15:16:01 mac com.apple.launchd[1] (com.apple.job[77]): Exited",
        (_local(2024, 6, 14, 15, 16, 1), "mac", "com.apple.launchd", 1, None, "Exited"),
    ),
    (
        "bsd",
        "Jun 14 15:16:01 mac --- last message repeated 2 times ---",
        (
            _local(2024, 6, 14, 15, 16, 1),
            "mac", "", None, None, "--- last message repeated 2 times ---",
        ),
    ),
    (
        "rfc5424",
        '<165>1 2024-03-05T22:14:15.5Z web1 app 77 ID4 [a@1 k="v]" b="\\"x"] it\'s down',
        (_utc(2024, 3, 5, 22, 14, 15) + 0.5, "web1", "app", 77, 5, "it's down"),
    ),
    (
        "rfc5424",
        "<11>1 - - - - - - bare",
        (None, "", "", None, 3, "bare"),
    ),
    (
        "iso",
        "2024-03-05T12:00:00.250000+01:00 web1 sshd[12]: Accepted",
        (_utc(2024, 3, 5, 11, 0, 0) + 0.25, "web1", "sshd", 12, None, "Accepted"),
    ),
    (
        "iso",
        "2024-03-05T12:00:00+0100 web1 systemd[1]: Started x.",
        (_utc(2024, 3, 5, 11, 0, 0), "web1", "systemd", 1, None, "Started x."),
    ),
    (
        "cluster",
        "- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond(pam_unix)[2915]: closed",
        (1131566461.0, "dn228", "crond", 2915, None, "closed"),
    ),
    (
        "cluster",
        "APPREAD 1117869872 2005.06.04 R04 2005-06-04-00.24.32.432192 R04 RAS KERNEL FATAL oh",
        (1117869872.0, "R04", "kernel", None, 2, "oh"),
    ),
    ("kernel-ring", "[    0.000000] Linux 6", (None, "", "kernel", None, None, "Linux 6")),
    ("kernel-ring", "<3>[   12.345678] ata1: error", (None, "", "kernel", None, 3, "ata1: error")),
    (
        "kernel-ring",
        "[Mon Jun  3 10:00:00 2024] usb 1-1: new",
        (_local(2024, 6, 3, 10, 0, 0), "", "kernel", None, None, "usb 1-1: new"),
    ),
    (
        "access",
        '192.0.2.1 - bob [10/Oct/2023:13:55:36 -0700] "GET /x HTTP/1.0" 502 23 "-" "UA/1"',
        (_utc(2023, 10, 10, 20, 55, 36), "", "", None, 3, '192.0.2.1 "GET /x HTTP/1.0" 502 23'),
    ),
    (
        "apache-error",
        "[Sun Dec 04 04:47:44 2005] [error] mod_jk child in error state 6",
        (_local(2005, 12, 4, 4, 47, 44), "", "", None, 3, "mod_jk child in error state 6"),
    ),
    (
        "apache-error",
        "[Fri Sep 09 10:42:29.500000 2011] [core:warn] [pid 35:tid 42] [client 192.0.2.1] gone",
        (_local(2011, 9, 9, 10, 42, 29) + 0.5, "", "", 35, 4, "[client 192.0.2.1] gone"),
    ),
    (
        "nginx-error",
        "2024/01/02 03:04:05 [crit] 123#0: *5 connect() failed",
        (_local(2024, 1, 2, 3, 4, 5), "", "", 123, 2, "connect() failed"),
    ),
    (
        "hadoop-short",
        "081109 203518 143 INFO dfs.DataNode$X: Receiving",
        (_local(2008, 11, 9, 20, 35, 18), "", "", 143, 6, "Receiving"),
    ),
    (
        "spark",
        "17/06/09 20:10:40 WARN executor.Backend: Registered",
        (_local(2017, 6, 9, 20, 10, 40), "", "", None, 4, "Registered"),
    ),
    (
        "zookeeper",
        "2015-07-29 17:41:44,500 - INFO  [QuorumPeer[myid=1]/0:0:2181:Fast@774] - timeout",
        (_local(2015, 7, 29, 17, 41, 44) + 0.5, "", "", None, 6, "timeout"),
    ),
    (
        "log4j",
        "2015-10-18 18:01:47,500 ERROR [main] org.app.Master: Created",
        (_local(2015, 10, 18, 18, 1, 47) + 0.5, "", "", None, 3, "Created"),
    ),
    ("log4j", "12:34:56.789 [main] INFO  com.foo.Bar - hello", (None, "", "", None, 6, "hello")),
    (
        "spring",
        "2024-01-01 12:00:00.500  WARN 1234 --- [    main] c.e.MyApp      : Started",
        (_local(2024, 1, 1, 12, 0, 0) + 0.5, "", "", 1234, 4, "Started"),
    ),
    (
        "openstack",
        "nova.log.1 2017-05-16 00:00:00.500 25746 INFO nova.wsgi [req-38 11 54 - - -] up",
        (_local(2017, 5, 16, 0, 0, 0) + 0.5, "", "", 25746, 6, "up"),
    ),
    (
        "postgres",
        ' 2024-01-01 12:00:00.500 UTC [12] bob@db FATAL:  no role "bob"'.strip(),
        (_utc(2024, 1, 1, 12, 0, 0) + 0.5, "", "", 12, 2, 'no role "bob"'),
    ),
    (
        "mysql",
        "2024-01-01T00:00:00.500000Z 0 [Warning] [MY-010068] [Server] CA is self signed.",
        (_utc(2024, 1, 1, 0, 0, 0) + 0.5, "", "", None, 4, "CA is self signed."),
    ),
    (
        "gunicorn",
        "[2024-01-01 12:00:00 +0000] [123] [INFO] Listening",
        (_utc(2024, 1, 1, 12, 0, 0), "", "", 123, 6, "Listening"),
    ),
    (
        "python",
        "2024-01-01 12:00:00,500 - my.app - WARNING - disk low",
        (_local(2024, 1, 1, 12, 0, 0) + 0.5, "", "", None, 4, "disk low"),
    ),
    ("python-basic", "ERROR:root:careful", (None, "", "", None, 3, "careful")),
    (
        "logcat",
        "03-17 16:13:38.500  1702  2395 E WindowManager: gone",
        (_local(2024, 3, 17, 16, 13, 38) + 0.5, "", "WindowManager", 1702, 3, "gone"),
    ),
    (
        "klog",
        "E0305 12:00:00.500000     123 file.go:12] lost",
        (_local(2024, 3, 5, 12, 0, 0) + 0.5, "", "", 123, 3, "lost"),
    ),
    (
        "servicing",
        "2016-09-28 04:30:30, Info                  CBS    Loaded",
        (_local(2016, 9, 28, 4, 30, 30), "", "", None, 6, "Loaded"),
    ),
    (
        "proxifier",
        "[06.30 16:49:06] chrome.exe *64 - a:1 open",
        (_local(2024, 6, 30, 16, 49, 6), "", "chrome.exe", None, None, "a:1 open"),
    ),
    (
        "health",
        "20171223-22:15:29:500|Step_LSC|3000|onStep 3579",
        (_local(2017, 12, 23, 22, 15, 29) + 0.5, "", "", 3000, None, "onStep 3579"),
    ),
    (
        "cluster-state",
        "134681 node-246 unix.hw state_change.unavailable 1077804742 1 State",
        (1077804742.0, "node-246", "", None, None, "State"),
    ),
    (
        "redis",
        "1234:M 01 Jan 2024 12:00:00.500 # Out of memory",
        (_local(2024, 1, 1, 12, 0, 0) + 0.5, "", "redis", 1234, 5, "Out of memory"),
    ),
    (
        "tomcat",
        "01-Jan-2024 12:00:00.500 SEVERE [main] org.x.Catalina.start Failed",
        (_local(2024, 1, 1, 12, 0, 0) + 0.5, "", "", None, 2, "Failed"),
    ),
    (
        "json",
        '{"level":"error","ts":1700000000.5,"msg":"cannot connect","error":"refused","pid":7}',
        (1700000000.5, "", "", 7, 3, "cannot connect error=refused"),
    ),
    (
        "json",
        '{"log":"ERROR: lost it\\n","stream":"stderr","time":"2024-01-01T00:00:00.5Z"}',
        (_utc(2024, 1, 1, 0, 0, 0) + 0.5, "", "", None, 3, "lost it"),
    ),
    (
        "json",
        '{"time":"2024-01-01T00:00:00Z","severity":"WARNING","message":"x","service":"api"}',
        (_utc(2024, 1, 1, 0, 0, 0), "", "api", None, 4, "x"),
    ),
    (
        "json",
        '{"level":50,"time":1700000000500,"msg":"pino"}',
        (1700000000.5, "", "", None, 3, "pino"),
    ),
    (
        "logfmt",
        'time="2024-01-01T00:00:00Z" level=warning msg="it \\"failed\\"" id=1 error="exit 1"',
        (_utc(2024, 1, 1, 0, 0, 0), "", "", None, 4, 'it "failed" error=exit 1'),
    ),
    (
        "container",
        "2024-01-01T00:00:00.500000000Z stdout F W0305 12:00:00.123456   123 file.go:12] slow",
        (_utc(2024, 1, 1, 0, 0, 0) + 0.5, "", "", 123, 4, "slow"),
    ),
    (
        "stamped-level",
        "2024-01-01 12:00:00 WARNING my.app: low",
        (_local(2024, 1, 1, 12, 0, 0), "", "", None, 4, "my.app: low"),
    ),
    (
        "stamped",
        "2024-01-01 12:00:00 status installed foo:amd64 1.2",
        (_local(2024, 1, 1, 12, 0, 0), "", "", None, None, "status installed foo:amd64 1.2"),
    ),
    ("level", "ERROR: could not", (None, "", "", None, 3, "could not")),
    ("level", "[WARN] could not", (None, "", "", None, 4, "could not")),
    ("", "hello world, no header", (None, "", "", None, None, "hello world, no header")),
    ("", "\tat a.Foo(Foo.java:12)", (None, "", "", None, None, "\tat a.Foo(Foo.java:12)")),
    ("", "", (None, "", "", None, None, "")),
]  # fmt: skip


def _seen(parsed: ParsedLine) -> tuple[object, ...]:
    return (
        parsed.timestamp,
        parsed.host,
        parsed.unit,
        parsed.pid,
        parsed.priority,
        parsed.message,
    )


@pytest.mark.parametrize(("form", "line", "expected"), SAMPLES)
def test_each_form_by_sample(form: str, line: str, expected: tuple[object, ...]) -> None:
    parsed = parse_line(line, now=NOW)
    assert (parsed.form, _seen(parsed)) == (form, expected)
    # A file of such lines, found out and told.
    found = LineFormat(clock=lambda: NOW)
    assert [_seen(found.parse(line)) for _ in range(3)] == [expected] * 3
    if form:
        assert found.name == form
        assert _seen(LineFormat(name=form, clock=lambda: NOW).parse(line)) == expected


def test_every_form_has_a_sample() -> None:
    assert set(NAMES) - {form for form, _, _ in SAMPLES} == {"bsd-bare"}


def test_a_file_may_change_its_form() -> None:
    form = LineFormat(clock=lambda: NOW)
    lines = [line for _, line, _ in SAMPLES] * 2
    assert [_seen(form.parse(line)) for line in lines] == [
        expected for _, _, expected in SAMPLES
    ] * 2


def test_a_fixed_form_takes_no_other() -> None:
    form = LineFormat(name="nginx-error", clock=lambda: NOW)
    assert form.parse("ERROR: could not").form == ""


def test_an_unknown_form_is_named_with_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"'syslogg'.*bsd.*rfc5424"):
        LineFormat(name="syslogg")


def test_a_time_without_a_year_is_never_far_ahead() -> None:
    line = "Dec 31 23:59:59 box a[1]: x"
    new_year = _local(2024, 1, 1, 0, 0, 5)
    assert parse_line(line, now=new_year).timestamp == _local(2023, 12, 31, 23, 59, 59)
    old_year = _local(2023, 12, 31, 23, 59, 59)
    early = parse_line("Jan  1 00:00:10 box a[1]: x", now=old_year)
    assert early.timestamp == _local(2024, 1, 1, 0, 0, 10)
    leap = parse_line("Feb 29 10:00:00 box a[1]: x", now=_local(2026, 3, 1, 0, 0, 0))
    assert leap.timestamp == _local(2024, 2, 29, 10, 0, 0)


@pytest.mark.parametrize(
    "line",
    [
        "Foo 99 99:99:99 box a[1]: x",
        "9999-99-99T99:99:99Z web1 a[1]: x",
        "[Sun Foo 04 04:47:44 2005] [error] x",
        '{"ts": 1e400, "msg": "x"}',
        '{"ts": "never", "msg": "x"}',
        '{"time": {"a": 1}, "level": [1], "msg": {"b": 2}, "pid": true}',
        "<999>1 2024-99-05T22:14:15Z a b c d - x",
        '192.0.2.1 - - [99/Foo/2023:13:55:36 -0700] "GET / HTTP/1.0" 200 1',
        '{"msg": "unfinished',
        '["a"]',
        "{}",
    ],
)
def test_what_is_no_time_and_no_object_does_no_harm(line: str) -> None:
    parsed = parse_line(line, now=NOW)
    assert parsed.timestamp is None
    assert "x" not in line or "x" in parsed.message or "unfinished" in parsed.message


_STARTS = st.sampled_from([line[:size] for _, line, _ in SAMPLES for size in (3, 12, 24, 40, 70)])


@settings(max_examples=300)
@given(st.text(max_size=120) | st.tuples(_STARTS, st.text(max_size=60)).map("".join))
def test_no_text_makes_it_fail(line: str) -> None:
    parsed = parse_line(line, now=NOW)
    assert parsed.priority is None or 0 <= parsed.priority <= 7
    assert isinstance(parsed.message, str)
    if not parsed.form:
        assert parsed.message == line
    assert LineFormat(clock=lambda: NOW).parse(line) == parsed


@pytest.mark.parametrize(
    "start",
    [
        "", "Jan  1 00:00:00 ", "2024-01-01 00:00:00 ", "[", "<1>", "<1>1 - - - - - [", '{"', "a=",
        "- 1131566461 2005.11.09 ", 'time="', '1.1.1.1 - - [1/Jan/2024:00:00:00 +0000] "',
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "piece", ["a", "1", " ", ".", "[", "]", '"', "\\", "a=", 'a="b" ', "x(", "-"]
)
def test_no_text_makes_it_slow(start: str, piece: str) -> None:
    begin = time.process_time()
    parse_line(start + piece * 16_384, now=NOW)
    assert time.process_time() - begin < 0.5

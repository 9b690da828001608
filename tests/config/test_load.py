"""Where the configuration comes from, and how each mistake is told."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from daemon.config.load import ConfigError, find_config, load_config
from daemon.config.locate import line_of
from daemon.config.settings import Settings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the machine that the tests run on."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def env(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), **more}


def problems(tmp_path: Path, text: str | bytes, **more: str) -> list[str]:
    """What is said of a file with this text; the folder's name is taken out."""
    path = tmp_path / "c.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as raised:
        load_config(given=path, environ=env(tmp_path, **more))
    return [problem.replace(f"{tmp_path}/", "") for problem in raised.value.problems]


def test_nothing_is_needed(tmp_path: Path) -> None:
    loaded = load_config(environ=env(tmp_path))
    assert loaded.path is None
    assert loaded.overrides == ()
    assert loaded.settings == Settings()


def test_precedence(tmp_path: Path) -> None:
    def written(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        return path

    environ = env(tmp_path)
    user = written(tmp_path / "home" / ".config" / "triaged" / "triaged.toml")
    assert find_config(given=None, environ=environ) == user
    moved = written(tmp_path / "xdg" / "triaged" / "triaged.toml")
    environ["XDG_CONFIG_HOME"] = str(tmp_path / "xdg")
    assert find_config(given=None, environ=environ) == moved
    here = written(Path("triaged.toml"))
    assert find_config(given=None, environ=environ) == here
    named = written(tmp_path / "named.toml")
    environ["TRIAGED_CONFIG"] = str(named)
    assert find_config(given=None, environ=environ) == named
    given = written(tmp_path / "given.toml")
    assert find_config(given=given, environ=environ) == given
    assert find_config(given=None, environ={**environ, "TRIAGED_CONFIG": ""}) == here


@pytest.mark.parametrize("how", ["--config", "$TRIAGED_CONFIG"])
def test_a_named_file_must_be_one(tmp_path: Path, how: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("none", "no such file"), ("cwd", "not a file"), ("pipe", "not a file")):
        path = tmp_path / name
        given, more = (path, {}) if how == "--config" else (None, {"TRIAGED_CONFIG": str(path)})
        with pytest.raises(ConfigError, match=re.escape(f"{path}: {why} (named by {how})")):
            load_config(given=given, environ=env(tmp_path, **more))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # unknown names: at the top, in a section, in a free-named table, in an array
        ("\n[apii]\nport = 1\n", "c.toml:2: apii: no such setting; did you mean 'api'? Allowed"),
        ("prot = 1", "c.toml:1: prot: no such setting"),
        ("[api]\n# x\nprot = 1", "c.toml:3: api.prot: no such setting; did you mean 'port'? Allo"),
        ("api.prot = 1", "c.toml:1: api.prot: no such setting; did you mean 'port'?"),
        ("api = { prot = 1 }", "c.toml:1: api.prot: no such setting; did you mean 'port'?"),
        (
            '[sources.files."a.b"]\npaths = ["/x"]\nunitt = "u"',
            "c.toml:3: sources.files.a.b.unitt: no such setting; did you mean 'unit'?",
        ),
        (
            (
                '[[sources.services.endpoints]]\nname = "a"\nurl = "tcp://a:1"\n'
                '[[sources.services.endpoints]]\nname = "b"\nurll = "tcp://a:1"\nurl = "tcp://a:1"\n'
            ),
            "c.toml:6: sources.services.endpoints.1.urll: no such setting; did you mean 'url'?",
        ),
        # wrong types and values
        ('[api]\nport = "many"', "c.toml:2: api.port: input should be a valid integer"),
        ("[api]\nport = 70000", "c.toml:2: api.port: input should be less than or equal to 65535"),
        ("[api]\nport = []", "c.toml:2: api.port: input should be a valid integer (got a list)"),
        ("api = 5", "c.toml:1: api: input should be a valid dictionary"),
        ("[log]\nlevel = 'loud'", "c.toml:2: log.level: input should be 'debug', 'info', 'warn"),
        ("[escalation]\nlease_seconds = inf", "c.toml:2: escalation.lease_seconds: must be a fini"),
        ("[escalation]\nlease_seconds = nan", "c.toml:2: escalation.lease_seconds: must be a fini"),
        ('host_name = "a\\u0000b"', "c.toml:1: host_name: must be UTF-8 text without zero bytes"),
        ("[sources.files.web]\nformat = 'x'", "c.toml:1: sources.files.web.paths: this setting is"),
        ("[sources.files.web]\npaths = ['x/*.log']", "c.toml:2: sources.files.web.paths: 'x/*.log"),
        ("[tools]\nreadable = ['etc/**']", "c.toml:2: tools.readable: 'etc/**' is not an absolut"),
        ("[tools]\nreadable = [\n 'a',\n 5]", "c.toml:2: tools.readable.1: input should be a"),
        ("[memory]\nembedder = 'endpoint'", 'c.toml:1: memory: embedder "endpoint" needs an endpo'),
        # what does not fit together
        ("[api]\ncors_origins = ['*']", "c.toml:2: api.cors_origins: '*' would let every page in"),
        ("[api]\ncors_origins = ['https://a.example/']", "'https://a.example/' is no origin; wri"),
        ("[api.keyless]\nrole = 'root'", "c.toml:2: api.keyless.role: input should be 'viewer',"),
        ("[api]\nhost = ''", "c.toml:2: api.host:"),
        ("[api]\nport = 8081", "api.port and tiers.review.port are both 8081; give each its own"),
        # not TOML at all
        ("[api\nport = 1", "c.toml:1: not valid TOML: "),
        ("x = 1\ny = \n", "c.toml:2: not valid TOML: "),
        ("[api]\nport = 1\nport = 2", "c.toml:3: not valid TOML: "),
        ("x = " + "[" * 50_000, "c.toml: not usable: brackets are nested too deep"),
        ("x = " + "9" * 10_000, "c.toml: not usable: "),
        (b"a = 1\nb = '\xff'", "c.toml:2: not UTF-8 text (byte 11)"),
        (b"\0\0\0", "c.toml:1: not valid TOML"),
        (b"#" * 5_000_000, "c.toml: larger than 4194304 bytes"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_mistakes_are_told_with_file_line_and_mend(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    (problem,) = problems(tmp_path, text)
    assert said in problem
    assert len(problem) < 1_000
    assert "\n" not in problem


def test_every_mistake_is_told(tmp_path: Path) -> None:
    found = problems(
        tmp_path, "[api]\nport = 0\n[log]\nlevel = 1\nfromat = 2\n[memory]\nlimit = -1"
    )
    assert [problem.partition(": ")[0] for problem in found] == [
        "c.toml:7", "c.toml:2", "c.toml:4", "c.toml:5",
    ]  # fmt: skip


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.toml"
    path.write_text("")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=r"c\.toml: cannot be read: Permission denied"):
        load_config(given=path, environ=env(tmp_path))
    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(ConfigError, match=r"c\.toml: cannot be read: Permission denied"):
        load_config(given=path, environ=env(tmp_path))


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xef\xbb\xbf[api]\r\nport = 9000\r\n")
    assert load_config(given=path, environ=env(tmp_path)).settings.api.port == 9000


def test_the_environment_overrides_single_settings(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[api]\nport = 9000\nhost = "127.0.0.2"\n')
    loaded = load_config(
        given=path,
        environ=env(
            tmp_path,
            TRIAGED__API__PORT="9001",
            TRIAGED__MEMORY__ENABLED="false",
            TRIAGED__MEMORY__TIMEOUT="1.5",
            TRIAGED__HOST_NAME="12345",
            TRIAGED__TOOLS__READABLE='["/a b/**", "/c"]',
            TRIAGED__SOURCES__FILES__WEB='{paths = ["/w"]}',
            TRIAGED__SOURCES__MQTT__PASSWORD="0x10 # \n[api]",
            TRIAGED__LOG__LEVEL='"debug"',
            TRIAGED_CONFIG="ignored, for another was given",
            TRIAGEDX__API="no",
        ),
    )
    settings = loaded.settings
    assert (settings.api.port, settings.api.host) == (9001, "127.0.0.2")
    assert settings.memory.enabled is False
    assert settings.memory.timeout == 1.5
    assert settings.host_name == "12345"
    assert settings.tools.readable == ("/a b/**", "/c")
    assert settings.sources.files["web"].paths == ("/w",)
    assert settings.sources.mqtt.password is not None
    assert settings.sources.mqtt.password.get_secret_value() == "0x10 # \n[api]"
    assert settings.log.level == "debug"
    assert "TRIAGED__API__PORT" in loaded.overrides


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TRIAGED__API__PORT", "many", "$TRIAGED__API__PORT: api.port: input should be a valid"),
        ("TRIAGED__API__PROT", "1", "$TRIAGED__API__PROT: api.prot: no such setting; did you mea"),
        ("TRIAGED__API", "1", "$TRIAGED__API: api: input should be a valid dictionary"),
        ("TRIAGED__API__HOST__X", "1", "$TRIAGED__API__HOST__X: api.host is a value, not a sect"),
        ("TRIAGED__API____PORT", "1", "$TRIAGED__API____PORT: not TRIAGED__SECTION__KEY"),
        ("TRIAGED__", "1", "$TRIAGED__: not TRIAGED__SECTION__KEY"),
        ("TRIAGED__TOOLS__READABLE", "[1", "$TRIAGED__TOOLS__READABLE: tools.readable: input sh"),
        ("TRIAGED__HOST_NAME", "\udcff", "$TRIAGED__HOST_NAME: host_name: must be UTF-8 text"),
        ("TRIAGED__MEMORY__TIMEOUT", "inf", "$TRIAGED__MEMORY__TIMEOUT: memory.timeout: input sh"),
    ],
)
def test_mistakes_in_the_environment(tmp_path: Path, name: str, value: str, said: str) -> None:
    (problem,) = problems(tmp_path, "[api]\nhost = '127.0.0.1'\n", **{name: value})
    assert said in problem


@pytest.mark.parametrize(
    "text",
    [
        "[sources.mqtt]\npassword = 'hunter2'\npassword_file = '/x'",
        "[sources.mqtt]\npassword = ['hunter2']",
        "[sources.mqtt]\npasword = 'hunter2'",
        "[sources.mqtt.password]\nvalue = 'hunter2'",
        "[store]\ndsn = ['postgresql://u:hunter2@h/d']",
        "[store]\ndsn = 'postgresql://u:hunter2@h/d'\ndsn_file = '/x'",
        "[tiers.meta]\nendpoint = 'ftp://u:hunter2@h/'",
        "[tiers.meta]\nhost = 5\nendpoint = 'http://u:hunter2@h/'",
        "[tiers.meta]\nbackend = 'openai'\nhost = 'hunter'\nport = 'x'",
    ],
)
def test_secrets_are_never_shown(tmp_path: Path, text: str) -> None:
    assert "hunter2" not in "\n".join(problems(tmp_path, text))
    settings = Settings.model_validate({"sources": {"mqtt": {"password": "hunter2"}}})
    assert "hunter2" not in repr(settings)


def test_lines() -> None:
    text = '''a = 1
"b.c" = 2
text = """
[x]
y = 1
"""
[x]  # one
y = 1
[[x.list]]
z = 1
[x.list.deep]
w = 1
[[x.list]]
z = 2
[x.list.deep]
w = 2
'''
    assert line_of(text, ("a",)) == 1
    assert line_of(text, ("b.c",)) == 2
    assert line_of(text, ("x",)) == 7
    assert line_of(text, ("x", "y")) == 8
    assert line_of(text, ("x", "missing")) == 7
    assert line_of(text, ("x", "list", 0, "z")) == 10
    assert line_of(text, ("x", "list", 1, "z")) == 14
    assert line_of(text, ("x", "list", 0, "deep", "w")) == 12
    assert line_of(text, ("x", "list", 1, "deep", "w")) == 16
    assert line_of(text, ("nowhere",)) is None
    assert line_of("", ("a",)) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_takes_no_file_that_a_stranger_left(tmp_path: Path) -> None:
    here = Path("triaged.toml")
    here.write_text("")
    environ = env(tmp_path)
    assert find_config(given=None, environ=environ) == here
    os.chown(here, 65_534, 65_534)
    with pytest.raises(ConfigError, match="belongs to user 65534"):
        find_config(given=None, environ=environ)
    assert find_config(given=None, environ={**environ, "SUDO_UID": "65534"}) == here
    assert find_config(given=here, environ=environ) == here
    os.chown(here, 0, 0)
    here.chmod(0o666)
    with pytest.raises(ConfigError, match="everybody"):
        find_config(given=None, environ=environ)


def test_every_unit_reads_the_secrets_from_its_own_folder(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    secrets = "/run/credentials/triaged.service"
    path.write_text(
        f'[store]\ndsn_file = "{secrets}/secret_dsn"\n'
        f'[[tiers.meta.fallback]]\nendpoint = "http://127.0.0.1:9"\n'
        f'api_key_file = "{secrets}/secret_key"\n'
    )
    own = env(tmp_path, CREDENTIALS_DIRECTORY="/run/credentials/triaged-api.service")
    found = load_config(given=path, environ=own).settings
    assert str(found.store.dsn_file) == "/run/credentials/triaged-api.service/secret_dsn"
    (fallback,) = found.tiers.meta.fallback
    assert str(fallback.api_key_file) == "/run/credentials/triaged-api.service/secret_key"
    without = load_config(given=path, environ=env(tmp_path)).settings
    assert str(without.store.dsn_file) == f"{secrets}/secret_dsn"

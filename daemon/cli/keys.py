"""`triaged keys`: add, list, revoke. Works on the key file, whether the daemon runs or not; a
running one notices within a second or two."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from api.keys.file import edit_keys, read_keys
from api.keys.key import Key, Limits, Purpose, digest_of, new_secret
from api.keys.parse import MOST_KEYS, KeyFileError, parse_keys, unfit_name, with_key, without_key
from api.roles import Role
from daemon.cli.context import Context, err, out, print_json
from daemon.cli.existing import other_daemon
from daemon.cli.exits import CommandError, Exit
from daemon.cli.key_views import key_json, key_table
from daemon.cli.render import line

app = typer.Typer(help="Keys of the API: who may ask, as what, and how much.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_SPAN = re.compile(r"(\d{1,5})([hdwy])")
_HOURS = {"h": 1, "d": 24, "w": 24 * 7, "y": 24 * 365}


_STILL_CLOSED = (
    ", and requests need one nonetheless: to do without on loopback again, stop triaged and remove "
    "the file"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """The key file, and whether the configuration names it."""

    path: Path
    named: bool


def _place(shared: Context) -> _Place:
    loaded = shared.load()
    named = loaded.settings.api.keys_file
    return _Place(path=named or shared.state(loaded) / "keys.toml", named=named is not None)


@app.command("add", epilog="triaged keys add webui --role operator --forwards-users --expires 90d")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is called in listings and the ledger.")],
    role: Annotated[
        Role, typer.Option("--role", help="viewer reads and chats; operator also acts.")
    ] = Role.VIEWER,
    expires: Annotated[
        str | None, typer.Option("--expires", help="12h, 90d, 8w, 1y, or a day: 2027-01-31.")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option("--requests-per-minute", min=1, help="Most requests a minute.")
    ] = None,
    tokens_per_day: Annotated[
        int | None, typer.Option("--tokens-per-day", min=1, help="Most tokens of models a day.")
    ] = None,
    concurrent: Annotated[
        int | None, typer.Option("--concurrent", min=1, help="Most requests at once.")
    ] = None,
    only: Annotated[
        Purpose | None,
        typer.Option("--only", help="events: may only post them; metrics: may only read them."),
    ] = None,
    forwards_users: Annotated[
        bool,
        typer.Option("--forwards-users", help="A frontend that says whom it asks for."),
    ] = False,
    user_role: Annotated[
        list[str] | None,
        typer.Option(
            "--user-role",
            help="FRONTEND_ROLE=ROLE (repeat); * is everybody else. Needs --forwards-users.",
        ),
    ] = None,
    note: Annotated[str, typer.Option("--note", help="For people: whose it is.")] = "",
    as_json: _Json = False,
) -> None:
    """Make a key and print it. It is shown once: only its hash is kept."""
    if why := unfit_name(name):
        raise CommandError(f"{name!r}: {why}", code=Exit.USAGE)
    if user_role and not forwards_users:
        raise CommandError("--user-role needs --forwards-users", code=Exit.USAGE)
    if only is Purpose.EVENTS and role is Role.VIEWER:
        role = Role.OPERATOR  # what posting events takes; it can do nothing else
    if len(note) > 200:
        raise CommandError("--note: at most 200 characters", code=Exit.USAGE)
    now = datetime.now(tz=UTC)
    secret = new_secret()
    key = Key(
        name=name,
        role=role,
        digest=digest_of(secret.encode()),
        created=now.replace(microsecond=0),
        expires=None if expires is None else expiry(expires, now=now),
        limits=Limits(
            requests_per_minute=requests_per_minute,
            tokens_per_day=tokens_per_day,
            concurrent=concurrent,
        ),
        forwards_users=forwards_users,
        user_roles=_user_roles(user_role or []),
        only=only,
        note=note,
    )
    place = _place(context.obj)

    def added(text: str) -> str:
        keys = parse_keys(text, path=str(place.path))
        if keys.plain and keys.keys:
            raise CommandError(
                f"{place.path} has a key a line, so something else may write it: add a line to it, "
                "or name another file in api.keys_file"
            )
        if any(each.name == name for each in keys.keys):
            raise CommandError(f"there is a key {name!r}; revoke it first, or choose another name")
        if len(keys.keys) >= MOST_KEYS:
            raise CommandError(f"{place.path} holds {MOST_KEYS} keys, which is the most")
        return with_key("" if keys.plain else text, key)

    first = not place.path.exists()
    _edited(place, added)
    if as_json:
        print_json({"name": name, "role": role.value, "key": secret, "file": str(place.path)})
        return
    err.print(
        f"{name}: {role.value}{_until(key)}, in {place.path}. This is the key, shown only now:",
        markup=False,
    )
    out.print(secret, markup=False)
    if (other := _other(context.obj, place)) is not None:
        err.print(
            f"note: the daemon that answers at {other} uses another state and does not know this "
            "key: add it as that daemon's user, or name its folder with --state-dir",
            markup=False,
            style="yellow",
        )
    elif first:
        err.print(
            f"It is the first in {place.path}: from now on every request needs a key, on loopback "
            "too. Commands of whoever may read the state folder need none."
        )


@app.command("list", epilog="triaged keys list --json")
def list_keys(context: typer.Context, as_json: _Json = False) -> None:
    """List keys: role, limits, when used last, use of today. Never the keys themselves."""
    shared: Context = context.obj
    place = _place(shared)
    try:
        found = read_keys(place.path, named=place.named)
    except KeyFileError as error:
        raise CommandError(str(error)) from error
    running = _running(shared, place)
    used = {entry["name"]: entry for entry in (running or {}).get("keys", [])}
    keys = found.keys if found is not None else ()
    now = datetime.now(tz=UTC)
    if as_json:
        print_json([key_json(key, used.get(key.name), now=now) for key in keys])
        return
    for concern in (*(found.concerns if found is not None else ()), (running or {}).get("problem")):
        if concern:
            err.print(f"note: {line(concern)}", markup=False, style="yellow")
    if not found and (other := _other(shared, place)) is not None:
        message = (
            f"there is no {place.path}; the daemon that answers at {other} uses another state: run "
            "it as its user, or name its folder with --state-dir"
        )
        raise CommandError(message, code=Exit.NOT_FOUND)
    if not keys:
        why = f"{place.path} has none{_STILL_CLOSED}" if found else f"there is no {place.path}"
        out.print(f"No keys: {why}. To make one: triaged keys add NAME", markup=False)
        return
    out.print(key_table(keys, used, now=now))
    if running is None:
        err.print("Use is not known: the daemon does not answer, or not to us.", style="dim")


@app.command("revoke", epilog="triaged keys revoke webui")
def revoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The key's name.")],
    as_json: _Json = False,
) -> None:
    """Take a key out of use, at once. What it streams is ended."""
    place = _place(context.obj)

    def removed(text: str) -> str:
        keys = parse_keys(text, path=str(place.path))
        if not any(each.name == name for each in keys.keys):
            message = f"there is no key {name!r} in {place.path}"
            raise CommandError(message, code=Exit.NOT_FOUND)
        if keys.plain:
            raise CommandError(
                f"{place.path} has a key a line, so something else may write it: take the line out"
            )
        return without_key(text, name, path=str(place.path))

    if not place.path.exists():
        raise CommandError(f"there is no {place.path}, so there are no keys", code=Exit.NOT_FOUND)
    _edited(place, removed)
    if as_json:
        print_json({"name": name, "revoked": True})
    else:
        out.print(f"{name} is revoked", markup=False)
        if (left := read_keys(place.path, named=place.named)) is not None and not left.keys:
            err.print(f"It was the last{_STILL_CLOSED}.", markup=False)


def _other(shared: Context, place: _Place) -> str | None:
    """Where a daemon answers that reads another key file, None where there is none."""
    return None if place.named else other_daemon(shared, place.path.parent)


def _edited(place: _Place, change: Any) -> None:
    try:
        edit_keys(place.path, change, named=place.named)
    except KeyFileError as error:
        raise CommandError(str(error)) from error


def _running(shared: Context, place: _Place) -> Mapping[str, Any] | None:
    """What the running daemon says of the keys of this file, None where it says nothing."""
    try:
        found = shared.client().get("/api/v1/keys")
    except CommandError:
        return None
    return found if isinstance(found, dict) and found.get("file") == str(place.path) else None


def expiry(said: str, *, now: datetime) -> datetime:
    """When a key ends: a span from now, or the beginning of a day. Raises `CommandError`."""
    try:
        if span := _SPAN.fullmatch(said):
            moment = now + timedelta(hours=int(span[1]) * _HOURS[span[2]])
        else:
            moment = datetime.fromisoformat(said)
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        message = f"--expires {said!r}: write 12h, 90d, 8w, 1y, or a day as 2027-01-31"
        raise CommandError(message, code=Exit.USAGE) from None
    if moment <= now:
        raise CommandError(f"--expires {said!r}: that is over", code=Exit.USAGE)
    return moment.replace(microsecond=0)


def _user_roles(said: list[str]) -> dict[str, Role]:
    roles: dict[str, Role] = {}
    for entry in said:
        frontend, equals, role = entry.partition("=")
        if not equals or not frontend.strip() or role not in set(Role):
            message = f"--user-role {entry!r}: write FRONTEND_ROLE=viewer, =operator or =admin"
            raise CommandError(message, code=Exit.USAGE)
        roles[frontend.strip().lower()] = Role(role)
    return roles


def _until(key: Key) -> str:
    return "" if key.expires is None else f", until {key.expires:%Y-%m-%d %H:%M} UTC"

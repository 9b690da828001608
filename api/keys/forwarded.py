"""Whom a frontend asks for. Pure.

Open WebUI sends name, id, mail address and role of its user; proxies that sign people in send
`X-Forwarded-User`. Anybody can write such headers: the caller of this says whether the key may.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from api.keys.key import Key
from api.roles import Role

HEADERS = frozenset(
    {
        b"x-openwebui-user-name",
        b"x-openwebui-user-id",
        b"x-openwebui-user-email",
        b"x-openwebui-user-role",
        b"x-forwarded-user",
    }
)
_MOST = 128
EVERYBODY_ELSE = "*"


def forwarded_user(headers: Mapping[bytes, bytes]) -> str | None:
    """The user, named by what others cannot take as their own: the mail address, else the name with
    the id, else what a proxy says. None where nobody is named."""
    mail = _clean(headers.get(b"x-openwebui-user-email"))
    if mail:
        return mail
    name = _clean(headers.get(b"x-openwebui-user-name"))
    number = _clean(headers.get(b"x-openwebui-user-id"))
    if name and number:
        return f"{name} ({number})"[:_MOST]
    return name or number or _clean(headers.get(b"x-forwarded-user")) or None


def forwarded_role(headers: Mapping[bytes, bytes], key: Key) -> Role:
    """What the user may do through this key: what `user_roles` says of the frontend's role, by
    default as much as the key for its admins and reading for everybody else, and never more than
    the key. A request that names nobody is everybody else's."""
    said = _clean(headers.get(b"x-openwebui-user-role")).lower()
    default = key.role if said == "admin" and not key.user_roles else Role.VIEWER
    role = key.user_roles.get(said) or key.user_roles.get(EVERYBODY_ELSE) or default
    return role if key.role.allows(role) else key.role


def _clean(value: bytes | None) -> str:
    """A header's value as text in one line without control characters, 128 characters at most.
    Open WebUI percent-encodes what is not ASCII."""
    if not value:
        return ""
    text = unquote_to_bytes(value[: 8 * _MOST]).decode("utf-8", "replace")
    shown = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(shown.split())[:_MOST]

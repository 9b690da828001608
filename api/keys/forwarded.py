"""Whom a frontend asks for. Pure.

Open WebUI sends name, id, mail address and role of its user; proxies that sign people in send
`X-Forwarded-User`. Anybody can write such headers: the caller of this says whether the key may. A
proxy sets its own header and passes on what the browser sent beside it, so where its header is
there Open WebUI's are not believed.

Of Open WebUI's headers only the name is percent-encoded: "b%6Fb@example.org" is an address of its
own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from api.keys.key import Key
from api.roles import Role

_PREFIX = b"x-openwebui-user-"
_PROXY = b"x-forwarded-user"
HEADERS = frozenset({_PROXY, *(_PREFIX + part for part in (b"name", b"id", b"email", b"role"))})
_MOST = 128
EVERYBODY_ELSE = "*"


def forwarded_user(headers: Mapping[bytes, bytes]) -> str | None:
    """The user, named by what others cannot take as their own: what a proxy says, else the mail
    address, else the name with the id. None where nobody is named."""
    if _PROXY in headers:
        return _shown(headers[_PROXY]) or None
    if mail := _shown(headers.get(_PREFIX + b"email", b"")):
        return mail
    name = _shown(unquote_to_bytes(headers.get(_PREFIX + b"name", b"")))
    number = _shown(headers.get(_PREFIX + b"id", b""), most=_MOST // 2)
    if name and number:
        return f"{name[: _MOST - len(number) - 3]} ({number})"
    return name or number or None


def forwarded_role(headers: Mapping[bytes, bytes], key: Key) -> Role:
    """What the user may do through this key: what `user_roles` says of the frontend's role, by
    default as much as the key for its admins and reading for everybody else, and never more than
    the key. A request that names nobody is everybody else's, and so is one of a proxy's."""
    said = "" if _PROXY in headers else _shown(headers.get(_PREFIX + b"role", b"")).lower()
    default = key.role if said == "admin" and not key.user_roles else Role.VIEWER
    role = key.user_roles.get(said) or key.user_roles.get(EVERYBODY_ELSE) or default
    return role if key.role.allows(role) else key.role


def _shown(value: bytes, *, most: int = _MOST) -> str:
    """A header's value as text in one line without control characters. What had to be changed for
    that ends with a digest of what was sent, so that nobody is taken for somebody else who only
    looks the same."""
    text = value.decode("utf-8", "replace")
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not shown or (shown.encode() == value and len(shown) <= most):
        return shown
    mark = f" #{hashlib.blake2b(value, digest_size=4).hexdigest()}"
    return shown[: most - len(mark)] + mark

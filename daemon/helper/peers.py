"""Who is at the other end of the connection, as the kernel says."""

from __future__ import annotations

import dataclasses
import pwd
import socket
import struct

from daemon.helper.errors import PeerError

_UCRED = struct.Struct("=iII")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The process that made the connection, with the ids that it had then."""

    pid: int
    uid: int
    gid: int


def peer_of(connection: socket.socket) -> Peer:
    """By SO_PEERCRED. Raises `PeerError` where the connection is no Unix socket."""
    if connection.family != socket.AF_UNIX:
        raise PeerError("the helper answers on a Unix socket only: start triaged-helper.socket")
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(raw)
    return Peer(pid=pid, uid=uid, gid=gid)


def admit(peer: Peer, *, user: str) -> None:
    """Raises `PeerError` for everybody but root and `user`."""
    if peer.uid == 0:
        return
    try:
        allowed = pwd.getpwnam(user).pw_uid
    except KeyError:
        raise PeerError(
            f"the user {user!r} that helper.toml names does not exist on this host"
        ) from None
    if peer.uid != allowed:
        raise PeerError(
            f"the user with id {peer.uid} may not ask the helper; {user!r} and root may"
        )

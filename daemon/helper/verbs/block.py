"""Blocks an address or a network for a time, lifts a block, and says what is blocked."""

from __future__ import annotations

import re

from daemon.helper import firewall
from daemon.helper.addresses import why_never
from daemon.helper.arguments import Arguments
from daemon.helper.context import Context, Done, Verb
from daemon.helper.errors import RefusedError

_NETWORK = re.compile(r"[0-9a-f.:]{2,45}(/[0-9]{1,3})?", re.ASCII)
_LEAST, _MOST = 5, 604_800
_LOCK = "nftables"


def _block(arguments: Arguments, context: Context) -> Done:
    network = firewall.network_of(arguments.text("network", _NETWORK))
    seconds = arguments.whole("seconds", least=_LEAST, most=_MOST)
    arguments.end()
    if why := why_never(network, context.config):
        raise RefusedError(f"{network} is not blocked: {why}")
    with context.lock(_LOCK):
        if len(firewall.blocks(context.programs)) >= firewall.MOST:
            raise RefusedError(f"{firewall.MOST} addresses and networks are blocked already")
        firewall.block(network, seconds, context.programs)
    return Done(detail=f"{network} is blocked for {seconds} s")


def _unblock(arguments: Arguments, context: Context) -> Done:
    network = firewall.network_of(arguments.text("network", _NETWORK))
    arguments.end()
    with context.lock(_LOCK):
        firewall.unblock(network, context.programs)
    return Done(detail=f"{network} is no longer blocked")


def _blocked(arguments: Arguments, context: Context) -> Done:
    """All that is blocked; or of one network, whether it is and whether it may be."""
    one = None
    if arguments.has("network"):
        one = firewall.network_of(arguments.text("network", _NETWORK))
    arguments.end()
    found = firewall.blocks(context.programs)
    if one is not None:
        left = max((block.left for block in found if block.network == one), default=None)
        data = {"blocked": left is not None, "left": left or 0}
        why = why_never(one, context.config)
        return Done(detail=f"{one} was looked for", data={**data, "why_never": why})
    networks = [{"network": str(block.network), "left": block.left} for block in found]
    return Done(detail=f"{len(networks)} are blocked", data={"networks": networks})


BLOCK = Verb(name="block", seconds=60.0, run=_block)
UNBLOCK = Verb(name="unblock", seconds=60.0, run=_unblock)
BLOCKED = Verb(name="blocked", seconds=40.0, run=_blocked, with_any=("block", "unblock"))

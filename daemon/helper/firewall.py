"""Blocks: the nftables table `inet triaged`, ours alone, whose sets forget by themselves.

Nothing else of the host's firewall is read or changed. What is in the sets is dropped before other
tables see it; an element's timeout is the kernel's, so that a block ends without anybody's doing.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from collections.abc import Iterator
from typing import Any

from daemon.helper.config import Network
from daemon.helper.errors import FailedError, RefusedError
from daemon.helper.programs import Programs

TABLE = "triaged"
MOST = 1_000
"""Blocks at once."""
_SECONDS = 15.0
_SETS = {4: "blocked4", 6: "blocked6"}
_TABLE = f"""\
add table inet {TABLE}
add set inet {TABLE} blocked4 {{ type ipv4_addr; flags interval, timeout; }}
add set inet {TABLE} blocked6 {{ type ipv6_addr; flags interval, timeout; }}
add chain inet {TABLE} input {{ type filter hook input priority -10; policy accept; }}
add chain inet {TABLE} forward {{ type filter hook forward priority -10; policy accept; }}
flush chain inet {TABLE} input
flush chain inet {TABLE} forward
add rule inet {TABLE} input ip saddr @blocked4 drop
add rule inet {TABLE} input ip6 saddr @blocked6 drop
add rule inet {TABLE} forward ip saddr @blocked4 drop
add rule inet {TABLE} forward ip6 saddr @blocked6 drop
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """`left` is seconds until the kernel forgets it."""

    network: Network
    left: int


def network_of(text: str) -> Network:
    """An address or a network in its one canonical form. Raises `RefusedError`."""
    try:
        network = ipaddress.ip_network(text, strict=True)
    except ValueError:
        raise RefusedError(f"{ascii(text)[:60]} is no address and no network") from None
    whole = network.prefixlen == network.max_prefixlen
    if text != (str(network.network_address) if whole and "/" not in text else str(network)):
        raise RefusedError(f"{ascii(text)[:60]} is not the usual form of {network}")
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped:
        raise RefusedError(f"{text} is an IPv4 address in IPv6's clothes: name it as IPv4")
    return network


def blocks(programs: Programs) -> list[Block]:
    """What is blocked now."""
    found: list[Block] = []
    for name in _SETS.values():
        output = programs.run(["nft", "-j", "list", "set", "inet", TABLE, name], seconds=_SECONDS)
        if output.status != 0:
            if "No such file" in output.text:
                continue
            raise FailedError(f"nft does not list what is blocked: {output.last}")
        try:
            found += _elements(json.loads(output.text))
        except (ValueError, KeyError, TypeError) as error:
            raise FailedError(f"nft lists what is blocked in an unknown form: {error}") from error
    return found


def block(network: Network, seconds: int, programs: Programs) -> None:
    """Blocks for `seconds` from now on, also what is blocked already."""
    lines = [_TABLE]
    for other in blocks(programs):
        if other.network == network:
            lines.append(f"delete element inet {TABLE} {_element(network)}\n")
        elif other.network.version == network.version and other.network.overlaps(network):
            raise RefusedError(f"{other.network} is blocked, which overlaps {network}")
    lines.append(f"add element inet {TABLE} {_element(network, f' timeout {seconds}s')}\n")
    programs.must(["nft", "-f", "-"], seconds=_SECONDS, stdin="".join(lines).encode())


def delete_words(network: Network) -> list[str]:
    """What nft is told to lift a block."""
    return ["delete", "element", "inet", TABLE, _SETS[network.version], f"{{ {network} }}"]


def unblock(network: Network, programs: Programs) -> None:
    """Raises `RefusedError` where it is not blocked."""
    if all(block.network != network for block in blocks(programs)):
        raise RefusedError(f"{network} is not blocked by triaged")
    programs.must(["nft", *delete_words(network)], seconds=_SECONDS)


def _element(network: Network, more: str = "") -> str:
    return f"{_SETS[network.version]} {{ {network}{more} }}"


def _elements(listing: Any) -> Iterator[Block]:
    for entry in listing["nftables"]:
        for element in entry.get("set", {}).get("elem", ()):
            value, left = element, 0
            if isinstance(element, dict) and "elem" in element:
                value, left = element["elem"]["val"], int(element["elem"].get("expires", 0))
            for network in _networks(value):
                yield Block(network=network, left=left)


def _networks(value: Any) -> Iterator[Network]:
    """nft writes an address, a prefix, or a range where neighbours were joined."""
    if isinstance(value, str):
        yield ipaddress.ip_network(value)
    elif "prefix" in value:
        yield ipaddress.ip_network(f"{value['prefix']['addr']}/{value['prefix']['len']}")
    else:
        first, last = (ipaddress.ip_address(end) for end in value["range"])
        yield from ipaddress.summarize_address_range(first, last)

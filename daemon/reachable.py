"""What the doctor finds of servers that the configuration names: model endpoints, the broker.

Asks each for a few seconds; changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from daemon.config.settings import Settings
from daemon.findings import Finding, ok, problem, warning
from daemon.model_units import unit_of
from daemon.sources.settings import MqttSettings
from tiers.config import BUNDLED, TierSettings
from tiers.errors import TierError, TierRefusedError
from tiers.llm.requests import read_key
from tiers.llm.transport import Transport
from tiers.llm.wire import mapping, text_of
from tiers.runtime.flags import connect_host
from tiers.runtime.ownership import port_is_free
from tiers.vocabulary import TierName

_SECONDS = 5.0


async def servers_found(settings: Settings) -> list[Finding]:
    """A finding for each server that is named, all asked at once."""
    looks = [
        _endpoint(tier, each, last=number == len(its.chain()) - 1)
        for tier, its in settings.tiers.by_name().items()
        for number, each in enumerate(its.chain())
        if each.endpoint is not None
    ]
    if settings.sources.mqtt.enabled:
        looks.append(_broker(settings.sources.mqtt))
    return [*attached_found(settings.tiers.by_name()), *await asyncio.gather(*looks)]


def attached_found(tiers: Mapping[TierName, TierSettings]) -> list[Finding]:
    """Tiers whose llama-server somebody else shall run on this host, and nobody does."""
    return [
        problem(
            "models",
            f"tiers.{tier.value}: nothing listens on port {its.port}, where systemd shall run the "
            f"model: systemctl start {unit_of(tier)}, or install.sh --models daemon",
        )
        for tier, its in tiers.items()
        if its.served_by == "service"
        and its.endpoint is None
        and port_is_free(connect_host(its.host), its.port)
    ]


async def _endpoint(tier: TierName, its: TierSettings, *, last: bool) -> Finding:
    """One that is away is a problem where no other stands behind it."""
    name, url = f"tiers.{tier.value}", its.endpoint or ""
    say = problem if last else warning
    try:
        key = read_key(name=name, settings=its)
    except TierRefusedError as error:
        return problem("endpoints", str(error))
    http = Transport(name=name, url=url, api_key=key)
    try:
        async with asyncio.timeout(_SECONDS):
            body, _ = await http.json("GET", "/v1/models")
    except TimeoutError:
        return say("endpoints", f"{name}: {url} did not answer within {_SECONDS:g} s")
    except TierRefusedError as error:
        return say("endpoints", f"{error}; check api_key_file, and whether that is the API's URL")
    except TierError as error:
        return say("endpoints", f"{error}; start it, or correct {name}.endpoint")
    finally:
        await http.aclose()
    return _named(name, its, body, url=url)


def _named(name: str, its: TierSettings, body: Mapping[str, object], *, url: str) -> Finding:
    entries = body.get("data")
    listed = (
        [text_of(mapping(each).get("id")) for each in entries] if isinstance(entries, list) else []
    )
    served = [each for each in listed if each]
    wanted = None if its.model == BUNDLED else its.model
    if wanted is None or wanted in served or f"{wanted}:latest" in served:
        return ok("endpoints", f"{name}: {url} answers")
    mends = (
        f"ollama pull {wanted}" if its.backend == "ollama" else f"set {name}.model to one of them"
    )
    shown = ", ".join(served[:5]) or "none"
    words = f"{name}: {url} does not list the model {wanted} ({shown}): {mends}"
    return warning("endpoints", words)


async def _broker(its: MqttSettings) -> Finding:
    where = f"{its.host}:{its.port}"
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(its.host, its.port)
    except (TimeoutError, OSError) as error:
        why = str(error) or f"no answer within {_SECONDS:g} s"
        words = f"sources.mqtt: no broker answers at {where} ({why}): start it, or correct its host"
        return problem("broker", words)
    writer.close()
    return ok("broker", f"{where} answers")

"""One llama-server: started, made ready, watched, restarted.

Its states and how they follow each other are in `states.py`.

One task owns the process. Callers use `start` and `stop` and never act on a state they read.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tiers.nofollow import no_follow
from tiers.runtime import probe
from tiers.runtime.binary import Binary
from tiers.runtime.claim import claim_port, end_left_over, resident_bytes
from tiers.runtime.errors import MisconfiguredError, RuntimeFaultError
from tiers.runtime.flags import ServerFlags, connect_host
from tiers.runtime.listener import Listener, listener_of
from tiers.runtime.liveness import (
    Liveness,
    LivenessLimits,
    after_sample,
    parse_metrics,
    stalled,
)
from tiers.runtime.load_faults import load_fault, smaller
from tiers.runtime.logfile import LogFile
from tiers.runtime.ownership import Mark, my_mark
from tiers.runtime.restarts import RestartPolicy, next_start
from tiers.runtime.spawn import end, spawn
from tiers.runtime.states import ServerState, ServerStatus
from tiers.runtime.work import ServerWork
from tiers.vocabulary import TierName

_POLL_FIRST, _POLL_MOST = 0.02, 0.25
_PROBE_SECONDS = 10.0
_ENDS_KEPT = 64
_WITHOUT_PROCESS = frozenset({ServerState.COOLING, ServerState.FAILED, ServerState.STOPPED})


class LlamaServer:
    """Keeps one llama-server running. `on_change` hears of every change but ready and busy taking
    turns."""

    def __init__(
        self,
        *,
        tier: TierName,
        flags: ServerFlags,
        binary: Binary,
        state_dir: Path,
        api_key: str | None = None,
        policy: RestartPolicy | None = None,
        limits: LivenessLimits | None = None,
        load_seconds: float = 900.0,
        on_change: Callable[[ServerStatus], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tier = tier
        self._flags = flags
        self._binary = binary
        self._state_dir = state_dir
        self._api_key = api_key
        self._policy = policy or RestartPolicy()
        self._limits = limits or LivenessLimits()
        self._load_seconds = load_seconds
        self._on_change = on_change
        self._clock = clock
        self._log = LogFile(state_dir / "logs" / f"llama-{tier}.log")
        self._pid_file = state_dir / "run" / f"llama-{tier}.pid"
        self._task: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._pid: int | None = None
        self._listener: Listener | None = None
        """Of the process that runs now, once it was seen to have the port."""
        self._resident: int | None = None
        self._work: ServerWork | None = None
        self._state = ServerState.ABSENT
        self._detail = ""
        self._since = datetime.now(UTC)
        self._starts = 0
        self._ends: collections.deque[float] = collections.deque(maxlen=_ENDS_KEPT)
        self._given_up: list[str] = []
        """What was given up so that the model loads at all."""

    async def start(self) -> ServerStatus:
        """Starts the server and keeps it running. Returns when it is ready or its first start
        has failed; in that case it goes on trying, and the status says why."""
        if self._task is None or self._task.done():
            self._settled.clear()
            self._task = asyncio.create_task(self._keep(), name=f"llama-server {self._tier}")
        await self._settled.wait()
        if self._task.done() and not self._task.cancelled():
            self._task.result()  # a mistake of ours is not to be hidden
        return self.status()

    async def stop(self, *, why: str = "") -> None:
        """Ends the server and stops watching it. Returns when the process is gone."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._set(ServerState.STOPPED, why)

    def status(self) -> ServerStatus:
        """What is known right now. A server that left its port does not serve, also before its
        end is noticed: anybody may have the port by then."""
        state, detail = self._state, self._detail
        if state.serves and not self._holds_port():
            state = ServerState.COOLING
            detail = f"llama-server {self._tier} left its port {self._flags.port}: it has ended."
        return ServerStatus(
            tier=self._tier,
            state=state,
            model=self._flags.alias,
            url=self._flags.url,
            port=self._flags.port,
            pid=self._pid,
            restarts=max(0, self._starts - 1),
            rss_bytes=self._resident,
            detail=detail,
            since=self._since,
            work=self._work,
        )

    # --- the one task

    async def _keep(self) -> None:
        try:
            while True:
                try:
                    why = await self._one_life()
                except MisconfiguredError as error:
                    self._set(ServerState.FAILED, str(error))
                    wait = self._policy.rest_seconds
                except RuntimeFaultError as error:
                    wait = self._after_end(str(error))
                except (OSError, psutil.Error) as error:
                    # A full disk, no more processes or descriptors: that passes.
                    wait = self._after_end(
                        f"llama-server {self._tier} cannot be started or watched: {error}; "
                        "see to the disk and the limits of this host."
                    )
                else:
                    wait = self._after_end(why)
                self._settled.set()
                await asyncio.sleep(wait)
        finally:
            self._settled.set()

    def _after_end(self, why: str) -> float:
        now = self._clock()
        self._ends.append(now)
        following = next_start(self._policy, ends=self._ends, now=now)
        if following.given_up:
            often = f"{self._policy.cap} times within {self._policy.window_seconds:.0f} s"
            why = f"{why} It ended {often}: the next try is in {following.seconds:.0f} s."
            self._set(ServerState.FAILED, why)
        else:
            self._set(ServerState.COOLING, why)
        return following.seconds

    async def _one_life(self) -> str:
        """From the start of a process to its end; returns why it ended."""
        self._set(ServerState.STARTING)
        mark, log_begin = await asyncio.to_thread(self._prepare)
        self._starts += 1
        process = await spawn(
            binary=self._binary,
            flags=self._flags,
            mark=mark,
            log=self._log.path,
            api_key=self._api_key,
        )
        self._pid, self._listener = process.pid, None
        gently = loading = True
        try:
            await asyncio.to_thread(self._note_pid, process.pid)
            exited = asyncio.create_task(process.wait(), name=f"llama-server {self._tier} exit")
            try:
                why = await self._until_ready(process.pid, exited)
                if why is None:
                    self._resident = await asyncio.to_thread(resident_bytes, process.pid)
                    self._set(ServerState.READY, self._smaller_sentence())
                    self._settled.set()
                    loading = False
                    why = await self._watch(process.pid, exited)
                if exited.done():
                    return await asyncio.to_thread(
                        self._ended_sentence, exited.result(), log_begin, loading=loading
                    )
                gently = False
                self._set(ServerState.STALLED, why)
                return why
            finally:
                exited.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await exited
        finally:
            await end(process, gently=gently)
            await asyncio.to_thread(self._pid_file.unlink, missing_ok=True)

    async def _until_ready(self, pid: int, exited: asyncio.Task[int]) -> str | None:
        """None when the model answers; else why it will not."""
        until = self._clock() + self._load_seconds
        pause = _POLL_FIRST
        while not exited.done():
            answer = await self._get("/health", pid, exited)
            if exited.done():
                break
            if answer is not None and answer[0] == 200:
                return None
            if answer is not None and answer[0] == 503:
                self._set(ServerState.LOADING)
            if self._clock() > until:
                return (
                    f"The model {self._flags.alias} was not loaded within "
                    f"{self._load_seconds:.0f} s; see {self._log.path}."
                )
            await asyncio.wait({exited}, timeout=pause)
            pause = min(pause * 1.5, _POLL_MOST)
        return ""

    async def _watch(self, pid: int, exited: asyncio.Task[int]) -> str:
        """Returns when the process ended or makes no progress any more, and why."""
        now = self._clock()
        known = Liveness(answered_at=now, advanced_at=now)
        while True:
            await asyncio.wait({exited}, timeout=self._limits.check_seconds)
            answer = None if exited.done() else await self._get("/metrics", pid, exited)
            if exited.done():
                return ""
            now = self._clock()
            if answer is not None and answer[0] == 200:
                sample = parse_metrics(answer[1], at=now)
                known, self._work = after_sample(known, sample), sample.work
                state = ServerState.BUSY if known.working else ServerState.READY
                self._set(state, self._smaller_sentence())
            elif answer is not None and answer[0] in (404, 501):
                # An own build without metrics: that it answers at all is all there is to know.
                known = dataclasses.replace(known, answered_at=now, advanced_at=now)
            if (why := stalled(known, self._limits, now=now)) is not None:
                return f"llama-server {self._tier} hangs: {why}; it is killed and started again."
            with contextlib.suppress(OSError):  # a failing disk is no reason to end what works
                await asyncio.to_thread(self._log.rotate)
            self._resident = await asyncio.to_thread(resident_bytes, pid)

    async def _get(self, path: str, pid: int, exited: asyncio.Task[int]) -> tuple[int, str] | None:
        """A probe that ends at once when the process does. Nothing is sent to a port that the
        process does not have."""
        if not self._holds_port():
            self._listener = await asyncio.to_thread(
                listener_of, pid, host=connect_host(self._flags.host), port=self._flags.port
            )
        seconds = min(_PROBE_SECONDS, self._limits.answer_seconds)
        asked = asyncio.create_task(
            probe.get(
                host=connect_host(self._flags.host),
                port=self._flags.port,
                path=path,
                seconds=seconds,
                holds=self._holds_port,
                api_key=self._api_key,
            )
        )
        try:
            await asyncio.wait({asked, exited}, return_when=asyncio.FIRST_COMPLETED)
            return asked.result() if asked.done() else None
        finally:
            asked.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asked

    def _holds_port(self) -> bool:
        return self._listener is not None and self._listener.open()

    # --- effects that block shortly, in a thread

    def _prepare(self) -> tuple[Mark, int]:
        """Clears the way for a start; returns the mark and where the log begins. Raises
        `RuntimeFaultError`."""
        try:
            self._log.prepare()
            self._pid_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise MisconfiguredError(
                f"The state directory cannot be written: {error}; check --state-dir."
            ) from error
        if not self._flags.model.is_file():
            raise MisconfiguredError(
                f"There is no model file {self._flags.model}; check `model` of this tier."
            )
        end_left_over(pid_file=self._pid_file, tier=self._tier, state_dir=self._state_dir)
        claim_port(
            tier=self._tier,
            host=self._flags.host,
            port=self._flags.port,
            state_dir=self._state_dir,
        )
        return my_mark(state_dir=self._state_dir, tier=self._tier), self._log.size()

    def _note_pid(self, pid: int) -> None:
        """Helps to find a server that is left over; it runs as well without."""
        with (
            contextlib.suppress(OSError),
            open(self._pid_file, "w", encoding="ascii", opener=no_follow) as file,
        ):
            file.write(f"{pid}\n")

    # --- words

    def _ended_sentence(self, code: int, log_begin: int, *, loading: bool) -> str:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        words = self._log.last_words(since=log_begin)
        said = f" It said: {words}." if words else ""
        next_try = self._explain(code, log_begin) if loading else ""
        return f"llama-server {self._tier} {how}.{said}{next_try} See {self._log.path}."

    def _explain(self, code: int, log_begin: int) -> str:
        """Why the model was not loaded; where a smaller setting may help, the next start has it."""
        found = load_fault(code=code, said=self._log.tail(since=log_begin))
        if found is None:
            return ""
        less = smaller(self._flags, found.fault)
        if less is None:
            return f" {found.advice}"
        self._flags, what = less
        self._given_up.append(what)
        return f" {found.advice} The next start is {what}."

    def _smaller_sentence(self) -> str:
        if not self._given_up:
            return ""
        return f"It runs {', '.join(self._given_up)}: it did not load as configured."

    def _set(self, state: ServerState, detail: str = "") -> None:
        before = (self._state, self._detail)
        if before == (state, detail):
            return
        turns = self._state.serves and state.serves
        self._state, self._detail = state, detail
        if state in _WITHOUT_PROCESS:
            self._pid = self._resident = self._work = self._listener = None
        if turns:
            return
        self._since = datetime.now(UTC)
        if self._on_change is not None:
            self._on_change(self.status())

"""Fetches one tag of a git repository, as shallow as it goes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from tiers.llama_build.distribution import Manager, Need, how_to_get
from tiers.llama_build.errors import BuildError, StepError
from tiers.llama_build.process import OnLine, run_step

_SILENCE = 180.0
# A leading dash would be an option; a colon, "..", "@{" or a blank are no part of a tag's name.
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_URL = re.compile(r"(?:https|ssh|git|file)://[^\s]+|/[^\s]*|[\w.-]+@[\w.-]+:[^\s]+")
_AWAY = re.compile(
    r"could not resolve|unable to access|connection|timed out|network is unreachable|"
    r"could not read from remote|tls|ssl|proxy",
    re.IGNORECASE,
)
_NO_TAG = re.compile(r"remote branch .* not found", re.IGNORECASE)
_OTHERWISE = (
    "Without a network: get the archive of that tag on another machine and say --source FILE."
)


def fetch_tag(
    url: str,
    tag: str,
    *,
    into: Path,
    log: Path,
    environ: Mapping[str, str],
    manager: Manager | None,
    on_line: OnLine,
) -> None:
    """Into the folder `into`, which appears only when everything is there. Raises `BuildError`."""
    if not _TAG.fullmatch(tag) or ".." in tag:
        raise BuildError(f"{tag!r} is no name of a git tag; llama.cpp's look like b11549.")
    if not _URL.fullmatch(url):
        raise BuildError(
            f"{url!r} is no address of a git repository: use https://, ssh:// or /PATH."
        )
    git = shutil.which("git", path=environ.get("PATH"))
    if git is None:
        raise BuildError(
            f"A tag is fetched with git, and there is none: {how_to_get([Need.GIT], manager)}. "
            f"{_OTHERWISE}"
        )
    part = into.with_name(f"{into.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    command = [git, "-c", "protocol.ext.allow=never", "-c", "advice.detachedHead=false", "clone"]
    command += ["--depth", "1", "--single-branch", "--no-tags", "--progress", "--branch", tag]
    command += ["--", url, str(part)]
    try:
        run_step(
            command,
            what=f"Fetching {tag} of {url}",
            folder=into.parent,
            log=log,
            environ={**environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            silence=_SILENCE,
            on_line=on_line,
        )
        part.rename(into)
    except StepError as error:
        said = " ".join(error.said)
        if _NO_TAG.search(said):
            raise StepError(f"{url} has no tag {tag}.", said=error.said) from error
        if _AWAY.search(said):
            raise StepError(
                f"{url} cannot be reached from here. {_OTHERWISE}", said=error.said
            ) from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)

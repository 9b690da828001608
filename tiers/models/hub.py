"""The one adapter to a hub of models, through huggingface_hub.

`hf_hub_download` of version 2 throws a partial file away when it fails, so a download of hours
would begin anew after each restart. Its part below that, `http_get`, continues a file that is
handed to it, and is used here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import httpx2
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoFile

from tiers.models.errors import HubError

_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
_LONGEST_LISTING = 5_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file on the hub as its listing promises it. `sha256` None: the listing has none."""

    repository: str
    revision: str
    name: str
    size: int
    sha256: str | None
    licence: str | None


class Hub:
    """`endpoint` and `token` are `$HF_ENDPOINT` and `$HF_TOKEN`; `offline` refuses every call."""

    def __init__(self, *, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._endpoint = (environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        self._token = environ.get("HF_TOKEN") or None
        self._offline = environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
        # False rather than None: a token that somebody else left on this machine is not ours.
        self._api = HfApi(endpoint=self._endpoint, token=self._token or False)

    def find(self, *, repository: str, wanted: str) -> tuple[RemoteFile, ...]:
        """The file, or all parts of a split one, in order. `wanted` is a file's name or a
        quantisation ("Q4_K_M"). Raises `HubError`."""
        if self._offline:
            raise HubError(
                f"{repository} cannot be looked up: HF_HUB_OFFLINE is set; unset it, or copy the "
                "file here and name its path in the tier's `model`"
            )
        with self._told(repository):
            info = self._api.model_info(repository)
            revision = str(info.sha or "main")
            listed = self._api.list_repo_tree(repository, revision=revision, recursive=True)
            files: list[RepoFile] = []
            for entry in listed:
                if isinstance(entry, RepoFile) and entry.path.endswith(".gguf"):
                    files.append(entry)
                if len(files) > _LONGEST_LISTING:
                    raise HubError(f"{repository} lists more files than any model has")
            licence = _licence(info)
        chosen = chosen_files([file.path for file in files], wanted)
        if not chosen:
            there = ", ".join(sorted(file.path for file in files)[:12]) or "no GGUF file at all"
            raise HubError(f"{repository} has no {wanted!r}; there is {there}")
        by_path = {file.path: file for file in files}
        return tuple(
            RemoteFile(
                repository=repository,
                revision=revision,
                name=path,
                size=by_path[path].size,
                sha256=_sha256(by_path[path]),
                licence=licence,
            )
            for path in chosen
        )

    def fetch(
        self, file: RemoteFile, to: BinaryIO, *, done: int, on_bytes: Callable[[int], None]
    ) -> None:
        """Goes on at byte `done`, where `to` is positioned. `on_bytes` hears of every piece; a
        negative number takes back what has to be fetched again. A broken connection is taken up
        again five times before it is an error. Raises `HubError`, OSError."""
        url = hf_hub_url(
            file.repository, file.name, revision=file.revision, endpoint=self._endpoint
        )
        with self._told(file.repository):
            http_get(
                url,
                to,
                resume_size=done,
                headers={"Authorization": f"Bearer {self._token}"} if self._token else {},
                expected_size=file.size,
                displayed_filename=file.name,
                tqdm_class=_progress(on_bytes),
            )

    @contextlib.contextmanager
    def _told(self, repository: str) -> Iterator[None]:
        """Turns what the library raises into sentences."""
        try:
            yield
        except GatedRepoError as error:
            raise HubError(
                f"{repository} is gated: accept its licence at {self._endpoint}/{repository}, make "
                "a read token in your account there, and set HF_TOKEN to it"
            ) from error
        except RepositoryNotFoundError as error:
            secret = "" if self._token else "; where it is private, set HF_TOKEN"
            raise HubError(f"{self._endpoint} has no repository {repository}{secret}") from error
        except RemoteEntryNotFoundError as error:
            raise HubError(f"the file is gone from {repository}; look it up again") from error
        except HFValidationError as error:  # is a ValueError: stands before it
            raise HubError(f"{repository!r} is no repository's name: {error}") from error
        except OfflineModeIsEnabled as error:
            raise HubError(
                f"{repository} cannot be had: HF_HUB_OFFLINE is set; unset it"
            ) from error
        except ValueError as error:
            raise HubError(
                f"{repository} has a file that is too large for a plain download ({error}); get it "
                "with another program and name its path in the tier's `model`"
            ) from error
        except HfHubHTTPError as error:
            status = error.response.status_code
            wait = "; try again later" if status in (429, 500, 502, 503, 504) else ""
            raise HubError(f"{self._endpoint} answers {status} for {repository}{wait}") from error
        except httpx2.HTTPError as error:
            raise HubError(
                f"{self._endpoint} cannot be reached ({str(error) or type(error).__name__}); is "
                "there a connection? A mirror is named in HF_ENDPOINT. What came so far is kept"
            ) from error


def chosen_files(paths: list[str], wanted: str) -> list[str]:
    """Which of a repository's GGUF files `wanted` means; of a split one all parts. Pure.

    A quantisation is matched as a whole word: "Q4_K" is not "Q4_K_M". Projectors of images and
    importance matrices are not models. Of several files with the same quantisation the shortest
    name is the plain one.
    """
    if wanted in paths:
        return _with_parts(wanted, paths)
    word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(wanted)}(?![A-Za-z0-9_])", re.IGNORECASE)
    fitting = [
        path
        for path in paths
        if word.search(path) and not re.search(r"mmproj|imatrix", path, re.IGNORECASE)
    ]
    if not fitting:
        return []
    return _with_parts(min(fitting, key=lambda path: (len(path), path)), paths)


def _with_parts(path: str, paths: list[str]) -> list[str]:
    match = _PART.search(path)
    if match is None:
        return [path]
    count = int(match[2])
    stem = path[: match.start()]
    parts = [f"{stem}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1)]
    return parts if set(parts) <= set(paths) else []


def _sha256(file: RepoFile) -> str | None:
    lfs = file.lfs
    return str(lfs.sha256).lower() if lfs is not None and lfs.sha256 else None


def _licence(info: Any) -> str | None:
    for tag in info.tags or ():
        if isinstance(tag, str) and tag.startswith("license:"):
            return tag.removeprefix("license:")[:80]
    return None


def _progress(on_bytes: Callable[[int], None]) -> Any:
    """What the library takes for a progress bar: tells of bytes and draws nothing."""

    class Told:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def __enter__(self) -> Told:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, count: float | None = 1) -> None:
            on_bytes(int(count or 0))

        def close(self) -> None:
            pass

    return Told

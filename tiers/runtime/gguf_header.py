"""The head of a GGUF file: what the model is called and was made for, without reading weights.

Format: ggml's `docs/gguf.md`, versions 2 and 3, little-endian. Of arrays only short ones of numbers
are kept (one per layer); of vocabularies the length.
"""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from tiers.runtime.errors import MisconfiguredError
from tiers.runtime.model_shape import ModelShape, Scalar, Value, shape_of

_MAGIC = b"GGUF"
_SCALARS: Mapping[int, str] = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9
_MAX_ENTRIES = 65_536
_MAX_STRING = 16 * 1024 * 1024
_MAX_ITEMS = 16 * 1024 * 1024
_KEPT_ITEMS = 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A model on disk. `context` is what it was trained for, None where the file does not say;
    `decision` says that it answers `/v1/systemone`; `shape` is what its memory follows from."""

    path: Path
    name: str
    architecture: str
    context: int | None
    decision: bool
    size_bytes: int
    shape: ModelShape


def read_model_file(path: Path) -> ModelFile:
    """Raises `MisconfiguredError` when there is no such file or it is not a GGUF file."""
    try:
        with path.open("rb") as file:
            values, lengths = _read_values(file)
            size = file.seek(0, io.SEEK_END)
    except FileNotFoundError as error:
        raise MisconfiguredError(
            f"There is no model file {path}; check `model` of this tier."
        ) from error
    except OSError as error:
        raise MisconfiguredError(
            f"The model file {path} cannot be read: {error.strerror}."
        ) from error
    except (struct.error, ValueError, MemoryError) as error:
        raise MisconfiguredError(
            f"{path} is not a usable GGUF file ({error}); get it again, it may be cut short."
        ) from error
    architecture = str(values.get("general.architecture", ""))
    context = values.get(f"{architecture}.context_length")
    return ModelFile(
        path=path,
        name=str(values.get("general.name") or path.stem)[:80],
        architecture=architecture,
        context=context if isinstance(context, int) and context > 0 else None,
        decision=f"{architecture}.decision.type" in values,
        size_bytes=size,
        shape=shape_of(
            values,
            architecture=architecture,
            vocabulary=lengths.get("tokenizer.ggml.tokens", 0),
        ),
    )


def _read_values(file: BinaryIO) -> tuple[dict[str, Value], dict[str, int]]:
    """The values, and the lengths of the arrays."""
    if file.read(4) != _MAGIC:
        raise ValueError("it does not begin with GGUF")
    version, _tensors, entries = struct.unpack("<IQQ", file.read(20))
    if version not in (2, 3):
        raise ValueError(f"GGUF version {version} is not known")
    if entries > _MAX_ENTRIES:
        raise ValueError(f"it claims {entries} entries of metadata")
    values: dict[str, Value] = {}
    lengths: dict[str, int] = {}
    for _ in range(entries):
        key = _string(file)
        (kind,) = struct.unpack("<I", file.read(4))
        if kind == _ARRAY:
            element, count = struct.unpack("<IQ", file.read(12))
            lengths[key] = count
            kept = _array(file, element, count)
            if kept is not None:
                values[key] = kept
        else:
            values[key] = _value(file, kind)
    return values, lengths


def _string(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _MAX_STRING:
        raise ValueError(f"it claims a text of {length} bytes")
    raw = file.read(length)
    if len(raw) != length:
        raise ValueError("it ends within its metadata")
    return raw.decode("utf-8", "replace")


def _value(file: BinaryIO, kind: int) -> Scalar:
    if kind == _STRING:
        return _string(file)
    form = _SCALARS.get(kind)
    if form is None:
        raise ValueError(f"metadata of unknown kind {kind}")
    value: Scalar = struct.unpack(form, file.read(struct.calcsize(form)))[0]
    return value


def _array(file: BinaryIO, element: int, count: int) -> tuple[int | float | bool, ...] | None:
    """A short array of numbers; None for everything else, which is skipped."""
    form = _SCALARS.get(element)
    if form is None or count > _KEPT_ITEMS:
        _skip(file, element, count)
        return None
    size = struct.calcsize(form) * count
    raw = file.read(size)
    if len(raw) != size:
        raise ValueError("it ends within its metadata")
    return tuple(value for (value,) in struct.iter_unpack(form, raw))


def _skip(file: BinaryIO, element: int, count: int) -> None:
    if count > _MAX_ITEMS:
        raise ValueError(f"it claims an array of {count} items")
    if element == _STRING:
        for _ in range(count):
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _MAX_STRING:
                raise ValueError(f"it claims a text of {length} bytes")
            file.seek(length, io.SEEK_CUR)
    elif element in _SCALARS:
        file.seek(struct.calcsize(_SCALARS[element]) * count, io.SEEK_CUR)
    else:
        raise ValueError(f"an array of unknown kind {element}")

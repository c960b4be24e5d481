"""The content of files, read whole and within limits, whatever lies there: damaged, endless, or packed a thousandfold.

Each function raises `InputError` naming the file, what is wrong with it and the `remedy`, a clause.
"""

from __future__ import annotations

import io
import json
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nas.errors import InputError
from nas.figures import entering

MAX_BYTES = 2**26
"""Of a file that is no network and no weights, unpacked. What is made of it takes about ten times as much memory."""
_MAX_ARRAYS = 64


def read_content(path: Path, form: str, *, remedy: str = "get the whole file", most: int = MAX_BYTES) -> bytes:
    """The bytes of the file at `path`, which is `form` ("a CSV file")."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path} must be {form}, but is no file; {remedy}.")
        if found.st_size > most:
            raise InputError(f"{path} must have at most {most} bytes as {form}, but has {found.st_size}; {remedy}.")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} must be {form} that can be read, but: {reason}; {remedy}.") from error


def text_of(content: bytes, path: Path, form: str, *, remedy: str = "convert it") -> str:
    """`content` as text, without a byte order mark."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be {form} in UTF-8, but byte {error.start} is not; {remedy}.") from error


def unpacked(path: Path, form: str, *, remedy: str = "get the whole file", most: int = MAX_BYTES) -> bytes:
    """The bytes that the gzip file at `path` holds, unpacked."""
    content = read_content(path, form, remedy=remedy, most=most)
    parts: list[bytes] = []
    left = most
    try:
        while content:
            machine = zlib.decompressobj(wbits=31)  # one member of a gzip file
            parts.append(machine.decompress(content, left + 1))
            left -= len(parts[-1])
            if left < 0:
                raise InputError(f"{path} must unpack to at most {most} bytes, but has more; {remedy}.")
            if not machine.eof:
                raise InputError(f"{path} must be {form}, but is cut off; {remedy}.")
            content = machine.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise InputError(f"{path} must be {form}, but: {error}; {remedy}.") from error
    return b"".join(parts)


def read_json(path: Path, form: str, *, remedy: str) -> Any:
    """The JSON document at `path`; its numbers are such as may enter (`nas.figures`)."""
    text = text_of(read_content(path, form, remedy=remedy), path, form, remedy=remedy)
    try:
        return json.loads(text, parse_float=_number, parse_int=_whole, parse_constant=_number)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise InputError(f"{path} must be {form}, but: {reason}; {remedy}.") from error


def _number(text: str) -> float:
    value = entering(text)
    if value != value:
        raise ValueError(f"{text[:40]} is no finite number of at most 1e30")
    return value


def _whole(text: str) -> int:
    _number(text)
    return int(text)


def read_arrays(
    content: bytes, path: Path, *, what: str = "arrays", remedy: str, most: int = MAX_BYTES
) -> Mapping[str, NDArray[Any]]:
    """The arrays of an .npz file whose bytes are `content`: of numbers, finite, and no larger than what is there."""
    found: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > _MAX_ARRAYS or sum(member.file_size for member in members) > most:
                raise ValueError(f"it unpacks to more than {_MAX_ARRAYS} arrays or {most} bytes")
            for member in members:
                with archive.open(member) as stream:
                    packed = stream.read(member.file_size)
                found[member.filename.removesuffix(".npy")] = _array(packed)
    # What is damaged raises whatever the modules for zip, zlib, arrays and the parser of their headers do.
    except Exception as error:
        raise InputError(f"{path} must hold {what}, but: {type(error).__name__}: {error}; {remedy}.") from error
    for name, array in found.items():
        if not np.isfinite(array).all():
            raise InputError(f"{path} must hold {what}, but {name} holds numbers that are not finite; {remedy}.")
    return found


def _array(packed: bytes) -> NDArray[Any]:
    """The array in an .npy file, whose size is compared with its bytes before any memory is taken."""
    stream = io.BytesIO(packed)
    version = npy.read_magic(stream)  # type: ignore[no-untyped-call]
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(stream)  # type: ignore[no-untyped-call]
    count = 1
    for size in shape:
        count *= size
    if dtype.kind not in "biuf" or count * dtype.itemsize != len(packed) - stream.tell():
        raise ValueError(f"an array must hold {shape} numbers, but has {len(packed) - stream.tell()} bytes")
    array: NDArray[Any] = npy.read_array(io.BytesIO(packed), allow_pickle=False)  # type: ignore[no-untyped-call]
    return array

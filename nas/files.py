"""Writing files so that nobody ever sees half of one, and recognising their content."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.errors import InputError, NasError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_full(number: int | None) -> bool:
    """Whether an error of this number says that a disk has no room."""
    return number in _FULL


def refused(place: object, error: OSError, *, elsewhere: str = "choose another place") -> NasError:
    """The error that says why `place` could not be written to, with the remedy for that reason."""
    reason = error.strerror or str(error)
    if is_full(error.errno):
        return NasError(f"the disk of {place} must have room, but: {reason}; free some, or {elsewhere}.")
    if error.errno == errno.ENAMETOOLONG:
        return InputError(f"a name must be one that the disk takes, but {place}: {reason}; choose a shorter one.")
    return NasError(f"{place} must be writable, but: {reason}; let this user write there, or {elsewhere}.")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write inside the block into a `NasError` that names `path` and the remedy."""
    try:
        yield
    except OSError as error:
        raise refused(path, error) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, which afterwards holds all of it or what it held before; the umask decides its mode.

    Missing folders are made. Raises `NasError` where the place cannot be written to.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}"
        try:
            with temporary.open("xb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_alive(process: int) -> bool:
    """Whether a process of this number runs, another user's included."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

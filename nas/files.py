"""Writing files so that nobody ever sees half of one, and recognising their content."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.errors import NasError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write inside the block into a `NasError` that names `path` and the remedy."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise NasError(
            f"{path} must be writable and its disk must have room, but: {reason}; free it, or choose another place."
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, which afterwards holds all of it or what it held before.

    Missing folders are made. Raises `NasError` where the place cannot be written to.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
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

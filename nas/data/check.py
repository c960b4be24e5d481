"""Every file of a data set, opened and decoded once to know what it is; what was found is remembered by its content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import PIL

from nas.data.image import MAX_BYTES, Facts, UnreadableError, examine
from nas.data.threads import each
from nas.errors import NasError
from nas.files import write_bytes
from nas.progress import OnProgress, Step, silent

_EVERY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A file that was looked at: the digest of its content, and what it holds, or the reason why it cannot be read."""

    content: str
    facts: Facts | None
    reason: str = ""


def content_digest(content: bytes) -> str:
    """The digest by which a file is known again."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def read_file(path: Path) -> bytes:
    """The content of an image file. Raises `UnreadableError`."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("is no file")
        if status.st_size > MAX_BYTES:
            raise UnreadableError(f"is larger than {MAX_BYTES // 2**20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror})") from error


def check_files(files: Sequence[Path], memory: Path, *, progress: OnProgress = silent) -> list[Checked]:
    """What each of `files` holds, in order.

    `memory` is a file of what was found before, under digests of content, so that nothing is decoded twice, also where
    the work was interrupted; it is only a saving, so one that cannot be read or written is done without.
    """
    known = _remembered(memory)
    found: dict[str, Facts] = {}
    results: list[Checked] = []
    saved = time.monotonic()
    try:
        for checked in each(lambda path: _checked(path, known), files):
            results.append(checked)
            if checked.facts is not None:
                found[checked.content] = checked.facts
            if time.monotonic() - saved > _EVERY_S:
                _remember(memory, {**known, **found})
                saved = time.monotonic()
            progress(Step(doing="checking images", done=len(results), of=len(files)))
    except KeyboardInterrupt:
        _remember(memory, {**known, **found})
        raise
    if found != known:
        _remember(memory, found)
    return results


def _checked(path: Path, known: Mapping[str, Facts]) -> Checked:
    digest = ""
    try:
        content = read_file(path)
        digest = content_digest(content)
        return Checked(content=digest, facts=known.get(digest) or examine(content))
    except UnreadableError as error:
        return Checked(content=digest, facts=None, reason=str(error))


def _version() -> str:
    """What digests of pixels depend on."""
    return f"1, Pillow {PIL.__version__}"


def _remembered(memory: Path) -> dict[str, Facts]:
    try:
        document: Any = json.loads(memory.read_text(encoding="utf-8"))
        if document["version"] != _version():
            return {}
        return {
            digest: Facts(**{**facts, "notes": tuple(facts["notes"])}) for digest, facts in document["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _remember(memory: Path, found: Mapping[str, Facts]) -> None:
    if not found:
        return
    document = {"version": _version(), "files": {digest: asdict(facts) for digest, facts in found.items()}}
    with contextlib.suppress(NasError):
        write_bytes(memory, json.dumps(document).encode())

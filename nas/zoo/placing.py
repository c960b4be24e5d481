"""How a folder comes into the zoo: whole, however many exports run at once, and whenever one of them is killed.

An export works in a hidden folder of its own, `.NAME.XXXXXXXX`, which it holds locked; `new` inside becomes the folder
of the zoo, `old` is what that replaces. What a killed export left is locked by nobody: the next one removes it, and
brings back an `old` that nothing took the place of. Steps that look at several folders are taken under the zoo's lock.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nas.files import writing

_HIDDEN = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}(?P<old>\.old)?")


@contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """The block runs in no two processes at once for one zoo (where its disk knows locks)."""
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
        lock = os.open(root, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def work_folder(root: Path, name: str) -> Iterator[Path]:
    """An empty folder to write to, for `put_in_place`; gone at the end of the block, with what is still in it.

    What killed exports left in `root` is removed first.
    """
    with one_at_a_time(root):
        _remove_left(root)
        with writing(root / name):
            work = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root))
        held = os.open(work, os.O_RDONLY)
        with suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with writing(root / name):
            (work / "new").mkdir()
        yield work / "new"
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(held)


def put_in_place(folder: Path, target: Path) -> None:
    """Let `folder`, one of `work_folder`, become `target`, in place of what is there, which stays where that fails.

    Under the lock of the zoo.
    """
    old = folder.with_name("old")
    with writing(target):
        try:
            if target.exists():
                os.replace(target, old)
            os.replace(folder, target)
        except BaseException:
            if old.exists() and not target.exists():
                os.replace(old, target)
            raise


def _remove_left(root: Path) -> None:
    """Remove the hidden folders that no living export holds; where the one that it stands for is away, put it back."""
    for path in root.glob(".*"):
        found = _HIDDEN.fullmatch(path.name)
        if found is None or path.is_symlink() or not path.is_dir():
            continue
        with suppress(OSError):
            held = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                old = path if found["old"] else path / "old"
                if old.is_dir() and not (root / found["name"]).exists():
                    os.replace(old, root / found["name"])
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(held)

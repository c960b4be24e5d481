from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nas.files import write_bytes
from nas.zoo.placing import one_at_a_time, put_in_place, work_folder

KILLED = """
import os, pathlib, signal, sys
from nas.zoo.placing import one_at_a_time, put_in_place, work_folder

root, when = pathlib.Path(sys.argv[1]), sys.argv[2]
with work_folder(root, "net") as folder:
    (folder / "file").write_text("new")
    if when == "between":
        os.replace(root / "net", folder.with_name("old"))
    os.kill(os.getpid(), signal.SIGKILL)
"""

AT_ONCE = """
import pathlib, sys
from nas.zoo.placing import one_at_a_time, put_in_place, work_folder

root = pathlib.Path(sys.argv[1])
for _ in range(20):
    with work_folder(root, "net") as folder:
        (folder / "file").write_text(sys.argv[2])
        with one_at_a_time(root):
            put_in_place(folder, root / "net")
"""


def put(root: Path, text: str, name: str = "net") -> None:
    with work_folder(root, name) as folder:
        (folder / "file").write_text(text)
        with one_at_a_time(root):
            put_in_place(folder, root / name)


def held(root: Path) -> dict[str, str]:
    """What the zoo holds, hidden folders too: each folder's file."""
    return {path.name: (path / "file").read_text() for path in root.iterdir()}


@pytest.mark.parametrize("when", ["writing", "between"])
def test_the_next_export_removes_what_a_killed_one_left_and_loses_nothing(tmp_path: Path, when: str) -> None:
    put(tmp_path, "first")
    done = subprocess.run([sys.executable, "-P", "-c", KILLED, str(tmp_path), when], check=False)
    assert done.returncode == -signal.SIGKILL
    assert any(path.name.startswith(".net.") for path in tmp_path.iterdir())
    put(tmp_path, "other", name="other")
    assert held(tmp_path) == {"net": "first", "other": "other"}


def test_copies_of_former_versions_go_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    put(tmp_path, "first")
    for name in (".net.abcd_123", ".net.abcd_123.old", ".git", ".notes.txt.backup-of-mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    put(tmp_path, "second")
    assert held(tmp_path) == {"net": "second", ".git": ".git", ".notes.txt.backup-of-mine": ".notes.txt.backup-of-mine"}


def test_an_export_under_way_is_left_alone(tmp_path: Path) -> None:
    with work_folder(tmp_path, "net") as folder:
        (folder / "file").write_text("slow")
        put(tmp_path, "quick")
        with one_at_a_time(tmp_path):
            put_in_place(folder, tmp_path / "net")
    assert held(tmp_path) == {"net": "slow"}


def test_exports_of_one_name_at_once_all_succeed_and_one_stays(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-P", "-c", AT_ONCE, str(tmp_path), str(i)]) for i in range(6)]
    assert [process.wait(60) for process in processes] == [0] * 6
    assert list(held(tmp_path)) == ["net"]
    assert held(tmp_path)["net"] in "012345"


@pytest.mark.parametrize(("mask", "folder", "file"), [(0o077, 0o700, 0o600), (0o002, 0o775, 0o664)])
def test_the_umask_decides_who_may_read(tmp_path: Path, mask: int, folder: int, file: int) -> None:
    former = os.umask(mask)
    try:
        with work_folder(tmp_path, "net") as work:
            write_bytes(work / "file", b"x")
            put_in_place(work, tmp_path / "net")
    finally:
        os.umask(former)
    assert (tmp_path / "net").stat().st_mode & 0o777 == folder
    assert (tmp_path / "net" / "file").stat().st_mode & 0o777 == file


def test_what_is_there_stays_where_it_cannot_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "first")
    replace = os.replace

    def refuse_new(source: Path, target: Path) -> None:
        if source.name == "new":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse_new)
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path, "second")
    assert held(tmp_path) == {"net": "first"}

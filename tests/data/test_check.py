from __future__ import annotations

import os
from pathlib import Path

import pytest

from nas.data import check
from nas.data.check import check_files
from nas.data.image import Facts, examine
from nas.progress import Step
from tests.data.pictures import picture, save


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was decoded."""
    found: list[bytes] = []

    def counted(content: bytes) -> Facts:
        found.append(content)
        return examine(content)

    monkeypatch.setattr(check, "examine", counted)
    return found


def test_a_file_is_decoded_once(tmp_path: Path, decoded: list[bytes]) -> None:
    files = [save(tmp_path / f"{i}.png", picture(i)) for i in range(3)]
    memory = tmp_path / "runs" / "checked.json"
    first = check_files(files, memory)
    assert [one.facts is not None for one in first] == [True] * 3 and len(decoded) == 3
    assert check_files(files, memory) == first and len(decoded) == 3
    save(files[1], picture(7))
    times = files[0].stat()
    os.utime(files[1], ns=(times.st_atime_ns, times.st_mtime_ns))  # as old as ever, and as large: other content
    changed = check_files(files, memory)
    assert changed[1] != first[1] and len(decoded) == 4


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": "0", "files": {}}', None])
def test_a_memory_that_cannot_be_read_is_done_without(tmp_path: Path, content: str | None) -> None:
    memory = tmp_path / "checked.json"
    if content is None:
        memory.mkdir()  # nor written
    else:
        memory.write_text(content)
    (found,) = check_files([save(tmp_path / "a.png", picture(1))], memory)
    assert found.facts is not None and (found.facts.height, found.facts.width) == (8, 12)


def test_an_interruption_keeps_what_was_found(tmp_path: Path, decoded: list[bytes]) -> None:
    files = [save(tmp_path / f"{i}.png", picture(i)) for i in range(40)]
    memory = tmp_path / "checked.json"

    def interrupt(step: Step) -> None:
        if step.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_files(files, memory, progress=interrupt)
    before = len(decoded)
    assert before < 40
    assert all(one.facts for one in check_files(files, memory))
    assert len(decoded) <= before + 35


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")  # opening it would wait for ever
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "huge.png").touch()
    os.truncate(tmp_path / "huge.png", 2**28 + 1)
    files = [tmp_path / name for name in ("pipe.png", "lost.png", "huge.png")]
    found = check_files(files, tmp_path / "checked.json")
    assert [one.reason for one in found] == [
        "is no file", "cannot be read (No such file or directory)", "is larger than 256 MiB",
    ]  # fmt: skip
    assert not (tmp_path / "checked.json").exists()

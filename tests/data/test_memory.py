"""What is free: by the machine, and by the control groups of a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.data import memory


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 1,000 kB available."""
    monkeypatch.setattr(memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    write(tmp_path / "proc", meminfo="MemTotal:  9000 kB\nMemAvailable:    1000 kB\n")
    return tmp_path


def in_groups(system: Path, text: str) -> None:
    write(system / "proc" / "self", cgroup=text)


def limited(folder: Path, most: str, used: int, spare: int) -> None:
    """A control group of version 2."""
    stat = f"anon 5\ninactive_file {spare}\nactive_file 7\n"
    write(folder, memory__max=f"{most}\n", memory__current=f"{used}\n", memory__stat=stat)


def test_without_a_limit_it_is_what_the_machine_has(system: Path) -> None:
    assert memory.free_memory() == 1_024_000
    in_groups(system, "1:cpu:/\n0::/\n")
    assert memory.free_memory() == 1_024_000
    limited(system / "groups", "max", 600_000, 0)
    assert memory.free_memory() == 1_024_000
    limited(system / "groups", "9000000", 600_000, 0)
    assert memory.free_memory() == 1_024_000


def test_a_container_has_what_its_limit_leaves(system: Path) -> None:
    in_groups(system, "0::/\n")
    limited(system / "groups", "800000", 600_000, 50_000)
    assert memory.free_memory() == 800_000 - 600_000 + 50_000
    limited(system / "groups", "800000", 900_000, 0)
    assert memory.free_memory() == 0


def test_a_group_above_limits_too(system: Path) -> None:
    in_groups(system, "0::/user.slice/job\n")
    limited(system / "groups" / "user.slice" / "job", "max", 100, 0)
    limited(system / "groups" / "user.slice", "700000", 500_000, 0)
    limited(system, "1", 0, 0)  # beside them: not theirs
    assert memory.free_memory() == 200_000


def test_version_1_has_other_names(system: Path) -> None:
    in_groups(system, "5:cpu,cpuacct:/\n4:memory:/box\n0::/\n")
    write(
        system / "groups" / "memory" / "box",
        memory__limit_in_bytes="400000\n", memory__usage_in_bytes="350000\n",
        memory__stat="inactive_file 1\ntotal_inactive_file 20000\n",
    )  # fmt: skip
    write(
        system / "groups" / "memory",
        memory__limit_in_bytes="9223372036854771712\n", memory__usage_in_bytes="400000\n",
        memory__stat="total_inactive_file 0\n",
    )  # fmt: skip
    assert memory.free_memory() == 70_000

"""SIGKILL of a search on images, its driver with its workers, at any moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.many_workers import cluster
from tests.extras import needs
from tests.jobs.data_killed import Told, finish, finished_without, killed_and_resumed, start, states
from tests.jobs.test_train import write_images

LINES = 30
"""Five trainings of one epoch tell three lines each, three of three epochs five."""


def folder_of(path: Path) -> Path:
    path.mkdir()
    write_images(path / "photos.npz")
    return path


def check(folder: Path, told: Told, kills: int) -> None:
    """All trainings and trials have ended; none was done twice, none lost what its checkpoint held."""
    evaluations, trials = states(folder)
    assert evaluations == {"done"} and trials <= {"done", "stopped"}
    assert not list((folder / "runs" / "checkpoints").glob("*.part"))
    assert (told.twice, told.anew) == ((), ())
    assert told.again <= kills


def test_what_trainings_tell_is_read(tmp_path: Path) -> None:
    """A goes on from its checkpoint, B begins anew though one was there, C is trained although it was whole."""
    lines = ["begin a 0", "epoch a 1", "begin a 0", "restore a 1", "epoch a 2", "end a 0"]
    lines += ["begin b 0", "epoch b 1", "epoch b 2", "begin b 0", "epoch b 1", "begin c 0", "end c 0", "epoch c 1"]
    (tmp_path / "calls").write_text("\n".join(lines) + "\n")
    told = Told.read(tmp_path / "calls")
    assert (told.begun, told.went_on, told.epochs, told.again) == (5, 1, 6, 1)
    assert (told.twice, told.anew) == (("c",), ("b",))


def test_a_search_that_is_killed_loses_no_training(tmp_path: Path) -> None:
    killed, whole = folder_of(tmp_path / "killed"), folder_of(tmp_path / "whole")
    found, kills = killed_and_resumed(killed, 3, 4, lines=LINES)
    check(killed, Told.read(killed / "calls"), kills["driver"])
    assert found == finish(start(whole))


@pytest.mark.slow
def test_nor_with_workers_at_ten_moments(tmp_path: Path) -> None:
    killed = folder_of(tmp_path / "killed")
    found, kills = killed_and_resumed(killed, 10, 5, lines=LINES, workers_too=True, workers=2)
    # A driver has two trainings under way, each of which may lose the epoch it is in.
    check(killed, Told.read(killed / "calls"), 2 * kills["driver"] + kills["worker"])
    assert len(found["trials"]["searched"]) == 4


@pytest.mark.slow
def test_nor_on_a_cluster_that_loses_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("ray")
    killed = folder_of(tmp_path / "killed")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with cluster(tmp_path, cpus=(1, 1), CALLS=str(killed / "calls"), NAS_WORKSPACE=str(killed)) as (address, nodes):
        found, _ = finished_without(killed, nodes[1].kill, lines=LINES // 3, ray=address, epochs=9)
    check(killed, Told.read(killed / "calls"), 1)
    assert len(found["trials"]["searched"]) == 4

"""Devices that are reached by ssh and by adb, from a plan to a search: real connections, small tables."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas.cli.main import main
from nas.jobs import lut_build
from nas.jobs.device_new import NewDevice, new_device
from nas.latency import device_home
from nas.measure.store import TimingStore
from nas.runners.ssh_link import SshLink
from tests.extras import needs
from tests.jobs.simulated import few_generic_items, write_space
from tests.jobs.small import small_document
from tests.runners.phone import Phone, adb_server, plugged
from tests.runners.sshd import Server, sshd

__all__ = ["sshd"]  # the fixture
pytestmark = pytest.mark.slow


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A space of small networks in a workspace where little else is timed."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    monkeypatch.setattr("nas.measure.plan._POOL", 100)
    monkeypatch.setattr("nas.measure.build.ROUNDS", 4)
    monkeypatch.setattr("nas.jobs.lut_build.generic_items", few_generic_items)
    monkeypatch.setattr("nas.jobs.lut_build.further_items", lambda runtime: ())
    items = lut_build.table_items
    monkeypatch.setattr(lut_build, "table_items", lambda *asked: itertools.islice(items(*asked), 22))
    monkeypatch.setattr("nas.measure.check.MOST_PROCESSES", 3)
    monkeypatch.setattr("nas.measure.check.ROUNDS", 6)
    return write_space(tmp_path, small_document())


def add_keys(place: Path, **keys: str) -> None:
    """Keys of a device file in the place of those that are there."""
    lines = [line for line in place.read_text("utf-8").splitlines() if line.partition(":")[0] not in keys]
    place.write_text("\n".join([*lines, *(f"{key}: {json.dumps(value)}" for key, value in keys.items())]) + "\n")


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main([*words, "--json"]) == 0, capsys.readouterr().err
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def stored(name: str) -> list[str]:
    home = device_home(name)
    with TimingStore(home.timings, json.loads(environment_of(home.timings))) as store:
        return [timing.digest for timing in store.timings() if timing.role != "reference"]


def environment_of(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        (found,) = connection.execute("SELECT value FROM meta WHERE name = 'environment'").fetchone()
    return str(found)


def test_by_ssh_from_a_plan_to_a_verified_search(
    sshd: Server, space: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, place = new_device(NewDevice(name="far", reach="ssh"))
    way = sshd.way()
    add_keys(place, host=way.host, config=way.config, python=way.python, folder=way.folder)
    monkeypatch.setattr("nas.measure.stopwatch.PATIENCE_S", (0.5,) * 20)
    assert answer(capsys, "device", "check", "far")["reach"] == "ssh"
    assert answer(capsys, "lut", "plan", "--device", "far", "--space", space, "--budget", "10m")["timed_before"] == 0
    ask, asked = SshLink.ask, list[object]()

    def ending(self: SshLink, request: dict[str, object], content: bytes = b"") -> dict[str, object]:
        asked.append(request["ask"])
        if asked.count("work") == 3 and request["ask"] == "work":  # after a look, in the second batch
            sshd.end_sessions()
        return ask(self, request, content)

    with monkeypatch.context() as patch:
        patch.setattr(SshLink, "ask", ending)
        built = answer(capsys, "lut", "build", "--device", "far", "--space", space, "--budget", "10m")
    assert asked.count("open") == 2  # one connection, and another after that was ended
    digests = stored("far")
    assert len(digests) == len(set(digests)) == 22
    assert device_home("far").device.way == way  # the file that a build writes says it still
    assert built["faults"] == {}
    checked = answer(capsys, "lut", "verify", "--device", "far", "--networks", "4")
    assert checked["count"] == 4 and checked["faults"] == {}
    level = answer(capsys, "lut", "predict", "mobilenetv2-1.0", "--device", "far", "--now")["level"]
    assert isinstance(level, float) and 0.3 < level < 3.0
    fastest = min(network["measured_ms"] for network in checked["networks"])  # type: ignore[attr-defined]
    target = ["--target-latency", f"{2.0 * fastest:.3f}ms", "--device", "far", "--space", space]
    found = answer(capsys, "search", *target, "--no-shrink", "--verify")
    assert found["verification"]["answer"]["measured_ms"] > 0.0  # type: ignore[index]
    assert sshd.processes() == []


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Phone]:
    needs("ai_edge_litert")
    with adb_server(tmp_path / "adb"), plugged(tmp_path / "disk") as phone:
        yield phone


def test_by_adb_from_a_new_device_to_a_table(
    phone: Phone, space: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, place = new_device(NewDevice(name="phone", reach="adb", serial=phone.serial))
    add_keys(place, program=str(phone.program), folder=str(phone.folder / "nas"))
    monkeypatch.setattr("nas.measure.build.ROUNDS", 2)
    assert answer(capsys, "device", "check", "phone")["reach"] == "adb"
    built = answer(capsys, "lut", "build", "--device", "phone", "--space", space, "--budget", "10m")
    assert built["faults"] == {} and len(set(stored("phone"))) == 22
    device = device_home("phone").device
    home = device_home("phone")
    with TimingStore(home.timings, json.loads(environment_of(home.timings))) as store:
        assert [state["battery"] for state in store.states().values()] == ["87 %, 31 °C, charging"] * 3
    assert device.runtime.startswith("LiteRT, benchmark_model ") and device.chip == "Numbers N100"
    found = answer(capsys, "lut", "predict", "mobilenetv2-1.0", "--device", "phone")
    assert found["latency"]["mean_ms"] > 0.0  # type: ignore[index]

"""Phones that are reached by adb: the real client, and a phone of the tests' own."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas.errors import InputError, NasError, UnreachableError
from nas.latency import DeviceHome, device_home
from nas.latency.way import Adb
from nas.measure.stopwatch import Stopwatch
from nas.nets.untrained import write_untrained
from nas.runners import adb
from nas.runners.adb import AdbRunner
from nas.runners.benchmark_output import PROGRAMS
from nas.runners.find import find_runner
from nas.runners.protocol import FileFault, Runner, TimingJob
from nas.runners.timing import Timing
from nas.testing.runners import RunnerConformance, small_network
from tests.extras import needs
from tests.runners.phone import Phone, adb_server, plugged

LITERT, ONNX = PROGRAMS
HOSTILE = "a 'phone'; touch pwned $(touch pwned) & *"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with adb_server(tmp_path_factory.mktemp("adb")):
        yield


@pytest.fixture(scope="module")
def usual(server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """A phone that nothing is wrong with."""
    needs("ai_edge_litert")
    with plugged(tmp_path_factory.mktemp("phone") / "disk") as phone:
        yield phone


@pytest.fixture
def phone(server: None, tmp_path: Path) -> Iterator[Phone]:
    """A phone of the test's own."""
    needs("ai_edge_litert")
    with plugged(tmp_path / "disk") as phone:
        yield phone


class TestLiteRt(RunnerConformance):
    @pytest.fixture
    def runner(self, usual: Phone) -> Runner:
        return AdbRunner(LITERT, usual.way())


def tiny(folder: Path, *widths: int) -> tuple[Path, ...]:
    return tuple(write_untrained(small_network(width), folder / f"{width}.tflite") for width in widths)


def test_a_session_tells_how_the_phone_was(phone: Phone, tmp_path: Path) -> None:
    found = AdbRunner(LITERT, phone.way()).time(TimingJob(files=(), rounds=1)).environment
    assert found["chip"] == "Numbers N100" and found["system"] == "Android 13, Bench 1"
    assert (found["battery"], found["thermal"], found["screen"]) == ("87 %, 31 °C, charging", "status 0", "on")


def test_another_program_is_another_runtime(phone: Phone) -> None:
    """It tells no version, so its checksum stands for one: times of two do not mix."""
    runner = AdbRunner(LITERT, phone.way())
    before = runner.environment()["runtime"]
    phone.program.write_text(phone.program.read_text() + "# another version\n")
    assert before.startswith("LiteRT, benchmark_model ") and runner.environment()["runtime"] != before


def test_files_go_there_once_and_none_stays(phone: Phone, tmp_path: Path) -> None:
    first, second = tiny(tmp_path, 8, 12)
    with AdbRunner(LITERT, phone.way()) as runner:
        runner.time(TimingJob(files=(first, first), rounds=1))
        runner.time(TimingJob(files=(first, second), rounds=1))
        assert len(list((phone.folder / "nas").iterdir())) == 2
    assert len(phone.pushed) == 2 and list((phone.folder / "nas").iterdir()) == []


def test_nothing_of_a_path_reaches_a_shell(phone: Phone, tmp_path: Path) -> None:
    odd = phone.folder / HOSTILE
    odd.mkdir()
    program = odd / f"benchmark {HOSTILE}"
    phone.write_program(program, phone.program.read_text())
    way = phone.way(program=str(program), folder=str(odd / "nas"), options=(f"--use_gpu={HOSTILE}",))
    (found,) = AdbRunner(LITERT, way).time(TimingJob(files=tiny(tmp_path, 8), rounds=1)).results
    assert isinstance(found, Timing)
    assert list(tmp_path.rglob("pwned")) == [] and not Path("pwned").exists()


def test_threads_and_options_reach_the_program(phone: Phone, tmp_path: Path) -> None:
    way = phone.way(options=("--use_xnnpack=true",))
    AdbRunner(LITERT, way).time(TimingJob(files=tiny(tmp_path, 8), rounds=2, threads=2))
    called = [shlex.split(line) for line in phone.commands if "--graph" in line]
    assert len(called) == 2
    assert {"--num_threads=2", "--use_xnnpack=true", "--num_runs=5", "--warmup_runs=2"} <= set(called[0])


def test_a_phone_that_is_unplugged_in_a_batch_is_waited_for(
    phone: Phone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = device_home("local")
    home = replace(home, device=replace(home.device, reach="adb", way=phone.way()))
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        phone.plug()

    clock = SimpleNamespace(monotonic=time.monotonic, sleep=sleep)
    monkeypatch.setattr("nas.measure.stopwatch.time", clock)
    runner = AdbRunner(LITERT, phone.way())
    with Stopwatch(home, runner, scratch=tmp_path / "files", patience_s=(1.0, 2.0)) as watch:
        watch.environment()
        phone.before_command = "--graph"
        found = watch.time(tiny(tmp_path, 8, 12), rounds=2).timings()
    assert waits == [1.0] and [len(timing.wall_ms) for timing in found] == [2, 2]
    assert len(phone.pushed) == 2  # not sent again


def test_an_unplugged_phone_is_told(server: None, tmp_path: Path) -> None:
    with plugged(tmp_path / "disk") as phone:
        way = phone.way()
    with pytest.raises(UnreachableError, match=r"the phone 127.0.0.1:\d+ must be there, but: .*plug it in"):
        AdbRunner(LITERT, way).environment()
    words = "the phone must be there, but: .*no devices"
    with adb_server(tmp_path / "adb"), pytest.raises(UnreachableError, match=words):  # it knows no phone at all
        AdbRunner(LITERT, replace(way, serial="")).environment()


def test_a_phone_that_has_not_allowed_this_computer_is_told(server: None, tmp_path: Path) -> None:
    words = "must allow this computer, but has not; unlock it"
    with plugged(tmp_path / "disk", allowed=False) as phone, pytest.raises(InputError, match=words):
        AdbRunner(LITERT, phone.way()).environment()


def test_two_phones_and_no_serial_are_told_with_both(phone: Phone, tmp_path: Path) -> None:
    with plugged(tmp_path / "second") as other:
        with pytest.raises(InputError, match="serial must say which phone") as caught:
            AdbRunner(LITERT, phone.way(serial="")).environment()
        assert phone.serial in str(caught.value) and other.serial in str(caught.value)
        assert AdbRunner(LITERT, other.way()).environment()["cores"]


def test_output_of_another_version_is_no_time(phone: Phone, tmp_path: Path) -> None:
    old = "print('Average inference timings in us: Warmup: 83235, Init: 38467, Inference: 79760.9')"
    phone.write_program(phone.program, f"#!{sys.executable}\n{old}\n")
    with pytest.raises(NasError, match="must print what this program reads .*Inference: 79760.9.*another form"):
        AdbRunner(LITERT, phone.way()).time(TimingJob(files=tiny(tmp_path, 8), rounds=1))


def test_onnx_runtimes_program_is_read_as_well(phone: Phone, tmp_path: Path) -> None:
    program = phone.folder / "onnxruntime_perf_test"
    told = "\n".join(
        f"echo '{line}'"
        for line in (
            "Total inference requests: 5", "Average inference time cost: 2.5 ms", "Min Latency: 0.002 s",
            "Max Latency: 0.003 s",
        )
    )  # fmt: skip
    phone.write_program(program, f'#!/bin/sh\n[ "$6" = 5 ] || exit 3\n{told}\n')
    file = tmp_path / "m.onnx"
    file.write_bytes(b"any")
    runner = AdbRunner(ONNX, phone.way(program=str(program)))
    assert runner.time(TimingJob(files=(file,), rounds=3)).timings() == [Timing(wall_ms=(2.5,) * 3)]


def test_a_program_that_is_not_there_or_cannot_be_run_is_told(phone: Phone) -> None:
    way = phone.way(program="/data/local/tmp/benchmark_model")
    with pytest.raises(InputError, match=r"program must be LiteRT's benchmark_model .*`adb push benchmark_model /data"):
        AdbRunner(LITERT, way).environment()
    phone.program.chmod(0o644)
    with pytest.raises(InputError, match="it cannot be run; .*chmod"):
        AdbRunner(LITERT, phone.way()).environment()


def test_a_full_disk_there_is_told(phone: Phone, tmp_path: Path) -> None:
    (phone.folder / "full").touch()
    with pytest.raises(NasError, match="the disk of the phone .* must have room, but: .*No space left"):
        AdbRunner(LITERT, phone.way()).time(TimingJob(files=tiny(tmp_path, 8), rounds=1))


def test_a_batch_begins_when_the_phone_is_cool(phone: Phone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    phone.warm(421)

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        phone.warm(421 - 20 * len(waits))

    monkeypatch.setattr(adb, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    found = AdbRunner(LITERT, phone.way()).time(TimingJob(files=(), rounds=1))
    assert waits == [10.0] * 3  # 40.1, 38.1, 36.1 °C
    assert found.environment["battery"] == "87 %, 36.1 °C, charging"


def test_a_phone_that_is_to_stay_warm_is_timed_at_once(phone: Phone, tmp_path: Path) -> None:
    phone.warm(450)
    found = AdbRunner(LITERT, phone.way()).time(TimingJob(files=tiny(tmp_path, 8), rounds=2, cool=False))
    assert found.environment["battery"] == "87 %, 45 °C, charging"
    (timing,) = found.timings()
    assert len(timing.wall_ms) == 2
    assert timing.load_ms is not None and timing.load_ms > 0.0
    assert timing.first_ms is not None and timing.first_ms > 0.0


def test_a_phone_that_stays_warm_is_told(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    (phone.folder / "thermalservice").write_text("Thermal Status: 3\n")
    monkeypatch.setattr(adb, "_COOL_S", -1.0)
    with pytest.raises(NasError, match=r"must cool down to 38 °C .* is at 31 °C \(thermal status 3\)"):
        AdbRunner(LITERT, phone.way()).time(TimingJob(files=(), rounds=1))


def test_a_file_that_the_program_refuses_has_its_words(phone: Phone, tmp_path: Path) -> None:
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(b"no network")
    (found,) = AdbRunner(LITERT, phone.way()).time(TimingJob(files=(bad,), rounds=1)).results
    assert isinstance(found, FileFault) and "ended with 1: ERROR: Failed to load model" in found.text


def test_without_a_client_here_that_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="adb must be installed here"):
        AdbRunner(LITERT, Adb(program="/p")).environment()


def home(**changes: Any) -> DeviceHome:
    found = device_home("local-litert")
    way = Adb(program="/data/local/tmp/benchmark_model")
    return replace(found, device=replace(found.device, reach="adb", way=way, **changes))


def test_the_runtime_says_which_program_it_is() -> None:
    runner = find_runner(home())
    assert isinstance(runner, AdbRunner) and runner.program is LITERT
    onnx = find_runner(home(runtime="ONNX Runtime"))
    assert isinstance(onnx, AdbRunner) and onnx.program is ONNX
    again = find_runner(home(runtime="LiteRT, benchmark_model 0123456789ab"))  # as a build writes it
    assert isinstance(again, AdbRunner) and again.program is LITERT


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"runtime": "Core ML"}, r"runtime must be one whose benchmark program is known \(LiteRT, ONNX Runtime\)"),
        ({"compute_unit": "GPU"}, "compute_unit GPU must come with the options of benchmark_model"),
        ({"compute_unit": "Neural Engine"}, "compute_unit must be what is timed there"),
    ],
)
def test_what_a_phone_cannot_do_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        find_runner(home(**changes))


def test_a_session_tells_how_long_the_phone_cooled(
    phone: Phone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    phone.warm(421)

    def sleep(seconds: float) -> None:
        now[0] += seconds
        phone.warm(371)

    monkeypatch.setattr(adb, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    runner = AdbRunner(LITERT, phone.way())
    assert runner.time(TimingJob(files=(), rounds=1)).cooled_s == 10.0
    assert runner.time(TimingJob(files=(), rounds=1)).cooled_s == 0.0


def test_a_round_of_a_phone_has_the_runs_of_its_calls() -> None:
    assert AdbRunner.abilities.runs_a_round == 7 and AdbRunner.abilities.beside_a_round_s > 0.0

"""Tables from a stopwatch: on a simulated device, and (slow) the real thing with ONNX Runtime on a tiny space."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nas.errors import InputError, NasError, UnreachableError
from nas.jobs import lut_build
from nas.jobs.device_record import device_record
from nas.jobs.lut import describe, predict
from nas.jobs.lut_build import TableRequest, build_table, measured_space, plan_table, refit_table, table_space
from nas.jobs.lut_verify import verify_table
from nas.latency import DeviceHome, device_home, load_latency
from nas.latency.day import LEVELS_FILE, Look, add_look, read_looks
from nas.latency.table.rows import read_table
from nas.measure.build import BATCH, BuildProgress
from nas.measure.fit import BuiltTable
from nas.measure.plan import Item, space_keys
from nas.measure.stopwatch import files_folder, open_stopwatch, remove_dead_files
from nas.measure.store import REFERENCE, StoredTiming, TimingStore
from nas.progress import Step
from nas.report.lut_text import built_text
from nas.runners.find import find_runner
from nas.runners.timing import Timing
from tests.jobs.simulated import few_generic_items, simulate, write_space
from tests.jobs.small import small_document, tiny_document
from tests.latency.timed.networks import true_ms
from tests.measure.devices import SimulatedRunner, add_device


def local() -> DeviceHome:
    """The home of `local` in the workspace of the moment."""
    return device_home("local")


def ask(**changes: Any) -> TableRequest:
    """A request for a table of `local`."""
    asked: dict[str, Any] = {"home": local(), "space": "small", "budget_s": 90.0, **changes}
    return TableRequest(**asked)


def ignore(state: BuildProgress) -> None:
    """Progress that nobody looks at."""


def opened() -> TimingStore:
    """The store of `local`, for timings of the machine of the moment."""
    return TimingStore(local().timings, open_stopwatch(local()).environment())


def stored() -> list[StoredTiming]:
    with opened() as store:
        return store.timings()


def digests(timings: list[StoredTiming]) -> list[str]:
    return [timing.digest for timing in timings if timing.role != REFERENCE]


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimulatedRunner:
    """A simulated device, in a workspace with the spaces `small` and `tiny`."""
    found = SimulatedRunner()
    simulate(monkeypatch, tmp_path, found)
    write_space(tmp_path, small_document())
    write_space(tmp_path, tiny_document())
    return found


def files(workspace: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (workspace / "latency_tables" / "local").iterdir()}


def test_a_build_writes_the_files_of_a_device_that_serve_its_networks(runner: SimulatedRunner, tmp_path: Path) -> None:
    told: list[BuildProgress] = []
    built = build_table(ask(), progress=told.append)
    assert isinstance(built, BuiltTable)
    timings = stored()
    assert built.networks == len(digests(timings)) == told[-1].networks >= 5 * BATCH
    assert files(tmp_path).keys() == {"device.yaml", "space.yaml", "table.csv", "coefficients.json"}
    assert local().device.chip == "numbers" and local().device.runtime == "Numbers 1"
    rows = read_table(tmp_path / "latency_tables" / "local" / "table.csv")
    assert rows.keys() == {segment.key for timing in timings for segment in timing.segments}
    assert {row.source for row in rows.values()} == {"measured"}
    space = measured_space("small")
    every = space_keys(space)
    assert (built.space_segments, built.covered) == (len(every), len(every & rows.keys()))
    model = load_latency("local")
    networks = space.sample(40, np.random.default_rng(5))
    truth = true_ms([network.segments() for network in networks])
    assert np.median(np.abs(model.latency_ms(networks) / truth - 1.0)) < 0.03
    record = built.as_json()
    assert record["rows"] == len(rows) and record["left_out"]["rows"]["within_10_percent"] > 0.8
    assert json.loads(json.dumps(record)) == record


def test_a_plan_says_what_a_build_then_does_and_stores_nothing(runner: SimulatedRunner, tmp_path: Path) -> None:
    planned = plan_table(ask())
    assert not local().timings.exists() and not (tmp_path / "latency_tables").exists()
    assert (planned.timed_before, planned.spent_before_s) == (0, 0.0)
    assert planned.seconds <= ask().budget_s + lut_build.FIT_SECONDS
    assert 0 <= planned.covered_thrice <= planned.covered <= planned.space_segments
    built = build_table(ask(), progress=ignore)
    assert isinstance(built, BuiltTable)
    # The plan goes by one look at the device, a build by what its batches took.
    assert sum(planned.roles.values()) == pytest.approx(built.networks, rel=0.5)
    assert planned.roles["probe"] == len(few_generic_items())
    assert planned.space_segments == built.space_segments
    after = plan_table(ask(budget_s=200.0))
    assert after.timed_before == built.networks and after.spent_before_s > 0.0
    assert after.covered >= built.covered
    assert after.roles and "probe" not in after.roles
    fresh = plan_table(ask(restart=True))
    assert (fresh.timed_before, fresh.roles) == (0, planned.roles)


def test_files_of_a_build_that_was_killed_are_removed_by_the_next(runner: SimulatedRunner) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    own, dead = (files_folder(local()) / str(pid) for pid in (os.getpid(), process.pid))
    for folder in (own, dead):
        folder.mkdir(parents=True)
        (folder / "network0.onnx").write_bytes(b"")
    remove_dead_files(local())
    assert (own / "network0.onnx").exists() and not dead.exists()


def test_a_plan_for_a_budget_that_is_spent_has_nothing_more(runner: SimulatedRunner) -> None:
    build_table(ask(), progress=ignore)
    planned = plan_table(ask(budget_s=30.0))
    assert planned.roles == {} and planned.timed_before > 0


def test_a_build_goes_on_with_a_greater_budget_and_times_nothing_twice(runner: SimulatedRunner) -> None:
    first = build_table(ask(budget_s=40.0), progress=ignore)
    before = digests(stored())
    second = build_table(ask(), progress=ignore)
    after = digests(stored())
    assert after[: len(before)] == before and len(set(after)) == len(after)
    assert first.networks == len(before) < len(after) == second.networks


def test_a_build_whose_budget_is_spent_writes_its_files_again(runner: SimulatedRunner, tmp_path: Path) -> None:
    build_table(ask(budget_s=40.0), progress=ignore)
    before, processes = files(tmp_path), runner.processes
    (tmp_path / "latency_tables" / "local" / "table.csv").unlink()
    build_table(ask(budget_s=20.0), progress=ignore)
    assert files(tmp_path) == before and runner.processes == processes


def test_a_build_that_is_interrupted_goes_on_to_the_same_networks(
    runner: SimulatedRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(state: BuildProgress) -> None:
        raise KeyboardInterrupt

    request = ask(space="tiny", budget_s=1e4)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            build_table(request, progress=interrupt)
    assert len(digests(stored())) == 2 * BATCH
    build_table(request, progress=ignore)
    resumed = digests(stored())
    whole = tmp_path / "whole"
    whole.mkdir()
    write_space(whole, tiny_document())
    monkeypatch.setenv("NAS_WORKSPACE", str(whole))
    build_table(replace(request, home=local()), progress=ignore)
    assert digests(stored()) == resumed
    assert len(resumed) == measured_space("tiny").size + len(few_generic_items())


def test_a_restart_forgets(runner: SimulatedRunner) -> None:
    build_table(ask(space="tiny", budget_s=1e4), progress=ignore)
    with opened() as store:
        before = store.seconds()
    runner.chip = "other numbers"
    with pytest.raises(InputError, match="start anew with --restart"):
        build_table(ask(space="tiny"), progress=ignore)
    looks = local().own_folder / LEVELS_FILE
    add_look(looks.parent, Look(time="2026-01-02", level=1.5, reference_ms=1.0))
    build_table(ask(space="tiny", budget_s=1e4, restart=True), progress=ignore)
    with opened() as store:
        assert store.seconds() < 1.5 * before
    assert not looks.exists()


def test_a_fit_to_the_same_timings_gives_the_same_bytes(runner: SimulatedRunner, tmp_path: Path) -> None:
    build_table(ask(budget_s=40.0), progress=ignore)
    before = files(tmp_path)
    refit_table(local())
    assert files(tmp_path) == before


def test_a_table_knows_its_space_where_no_name_leads_to_it(runner: SimulatedRunner, tmp_path: Path) -> None:
    """The file of a space is anywhere, gone by the time of the next fit, and says a name that another space has."""
    file, kept = tmp_path / "edge_file.yaml", tmp_path / "latency_tables" / "local" / "space.yaml"
    file.write_text(yaml.safe_dump(tiny_document("small")), encoding="utf-8")
    built = build_table(ask(space=str(file), budget_s=40.0), progress=ignore)
    assert isinstance(built, BuiltTable)
    assert f"--space {file}" in " ".join(built_text(built, reached=False).split())
    before, sizes = files(tmp_path), built.space_segments
    file.unlink()
    again = refit_table(local())
    assert isinstance(again, BuiltTable) and again.space_segments == sizes != len(space_keys(measured_space("small")))
    assert files(tmp_path) == before
    for name in ("coefficients.json", "table.csv"):  # what is made of the timings may be lost
        (kept.parent / name).unlink()
    refit_table(local())
    assert files(tmp_path) == before
    # Beside tables of older programs there is none: then it goes by the name, if there is one.
    kept.unlink()
    assert table_space(local()) == str(tmp_path / "search_spaces" / "small.yaml")
    (tmp_path / "search_spaces" / "small.yaml").unlink()
    with pytest.raises(InputError, match=f"must have the file of its space 'small' beside it, but {kept} is not there"):
        refit_table(local())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: replace(r, budget_s=5.0), "budget must be at least 10 s, but got 5 s"),
        (
            lambda r: replace(r, budget_s=10.0),
            "--budget must leave time for at least 12 networks, but .* were timed in 10 s",
        ),
        (lambda r: replace(r, space="codes"), "a space of networks, but codes is a space of codes"),
        (lambda r: replace(r, space="absent"), "absent"),
    ],
)
def test_what_cannot_be_built_is_refused(
    change: Callable[[TableRequest], TableRequest], words: str, runner: SimulatedRunner, tmp_path: Path
) -> None:
    write_space(tmp_path, {"schema": 1, "name": "codes", "genes": {"a": [0, 1], "b": [0, 1]}})
    with pytest.raises(InputError, match=words):
        build_table(change(ask()), progress=ignore)
    assert not (tmp_path / "latency_tables").exists()


def test_devices_that_are_not_measured_here_are_refused(
    runner: SimulatedRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("nas.measure.stopwatch", "nas.jobs.lut_build"):
        monkeypatch.setattr(f"{module}.find_runner", find_runner)
    add_device(tmp_path, "odd", runtime="TensorFlow")
    add_device(tmp_path, "far", reach="bundle")
    add_device(tmp_path, "small-numbers", precision="int8")
    add_device(tmp_path, "graphics", compute_unit="GPU")
    for device, words in (
        ("iphone12", "reach must be local, ssh, adb or ios"),
        ("odd", "odd/device.yaml: runtime must be one that is measured here"),
        ("far", "far/device.yaml: reach must be local, ssh, adb or ios .* but got 'bundle'"),
        ("small-numbers", r"small-numbers/device.yaml: precision must be .* \(float32\), but got 'int8'"),
        ("graphics", r"graphics/device.yaml: compute_unit must be .* \(CPU\), but got 'GPU'"),
    ):
        for act in (plan_table, lambda request: build_table(request, progress=ignore)):
            with pytest.raises(InputError, match=words):
                act(ask(home=device_home(device)))


def test_a_table_is_planned_built_and_checked_as_its_device_says(runner: SimulatedRunner, tmp_path: Path) -> None:
    threads = {"threads": "4", "precision": "float16", "compute_unit": "GPU"}
    add_device(tmp_path, "wide", **threads)
    home, conditions = device_home("wide"), {(4, "float16", "GPU")}

    def asked() -> set[tuple[int, str, str]]:
        found = {(job.threads, job.precision, job.compute_unit) for job in runner.jobs}
        runner.jobs.clear()
        return found

    plan_table(ask(home=home))
    assert asked() == conditions
    built = build_table(ask(home=home, budget_s=40.0), progress=ignore)
    assert asked() == conditions
    assert threads.items() <= built.as_json()["manifest"]["environment"].items()
    assert device_home("wide").device.threads == 4
    verify_table(device_home("wide"), "small", count=3)
    assert asked() == conditions
    place = home.own_folder / "device.yaml"
    place.write_text(place.read_text("utf-8").replace("threads: 4", "threads: 1"), encoding="utf-8")
    for act in (plan_table, lambda request: build_table(request, progress=ignore)):
        with pytest.raises(InputError, match="timings of threads '4', but this is '1'.*--restart"):
            act(ask(home=device_home("wide")))


def test_a_network_that_cannot_be_timed_is_told_and_left_out(runner: SimulatedRunner, tmp_path: Path) -> None:
    request = ask(space="tiny", budget_s=1e4)
    bad = next(iter(measured_space("tiny").sample(1, np.random.default_rng(0))))
    runner.unable_ms = frozenset([float(true_ms([bad.graph().segments])[0])])
    built = build_table(request, progress=ignore)
    assert len(built.faults) == 1 and bad.digest not in digests(stored())
    assert built.networks == measured_space("tiny").size + len(few_generic_items()) - 1
    ((name, reason),) = built.as_json()["faults"].items()
    assert name and "must be a whole network for numbers" in reason
    again = runner.processes
    build_table(request, progress=ignore)  # it is tried again, alone
    assert runner.processes == again + 2  # the look, and a batch of it and the reference


def test_an_imported_table_is_not_overwritten(runner: SimulatedRunner, tmp_path: Path) -> None:
    place = add_device(tmp_path, "mine").parent / "table.csv"
    place.write_text("segment,mean_ms,low_ms,high_ms,count,source,date\na,1,1,1,1,measured,2026-01-01\n")
    with pytest.raises(InputError, match=r"table\.csv was imported"):
        build_table(ask(home=device_home("mine")), progress=ignore)
    assert not device_home("mine").timings.exists()


def test_where_nothing_can_be_written_no_time_is_spent(runner: SimulatedRunner, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(NasError, match=r"local\.db must be writable"):
        build_table(ask(), progress=ignore)
    assert runner.processes == 0


def test_where_the_table_cannot_be_written_what_was_timed_is_kept(runner: SimulatedRunner, tmp_path: Path) -> None:
    request = ask(space="tiny", budget_s=1e4)
    (tmp_path / "latency_tables").write_text("a file")
    with pytest.raises(NasError, match="must be writable"):
        build_table(request, progress=ignore)
    before = digests(stored())
    (tmp_path / "latency_tables").unlink()
    build_table(request, progress=ignore)
    assert digests(stored()) == before and files(tmp_path)


def test_a_disk_that_fills_up_while_timing_loses_nothing(
    runner: SimulatedRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask(space="tiny", budget_s=1e4)

    def fill(state: BuildProgress) -> None:
        if state.networks == 2 * BATCH:
            monkeypatch.setattr(TimingStore, "add_batch", _full)

    with pytest.raises(NasError, match="a disk with room"):
        build_table(request, progress=fill)
    monkeypatch.undo()
    simulate(monkeypatch, tmp_path, runner)
    assert len(digests(stored())) == 2 * BATCH
    build_table(request, progress=ignore)
    assert len(digests(stored())) == measured_space("tiny").size + len(few_generic_items())


def _full(store: TimingStore, timings: object, **how: object) -> None:
    with store._storing():
        raise sqlite3.OperationalError("database or disk is full")


def test_a_check_predicts_first_and_times_networks_that_the_table_has_not_seen(runner: SimulatedRunner) -> None:
    build_table(ask(), progress=ignore)
    before, done = runner.processes, set(digests(stored()))
    told: list[tuple[int, int]] = []
    found = verify_table(local(), "small", count=15, seed=3, progress=lambda *state: told.append(state))
    assert len({n.digest for n in found.networks}) == 15 and not {n.digest for n in found.networks} & done
    # 15 networks are two portions of at most 12, each timed in three to eight processes.
    assert 6 <= runner.processes - before <= 16
    assert told[-1] == (15, 15) and [done for done, _ in told] == sorted(done for done, _ in told)
    again = verify_table(local(), "small", count=15, seed=3)
    assert [n.digest for n in again.networks] == [n.digest for n in found.networks]
    space = measured_space("small")
    drawn = {n.digest: n for seed in (3,) for n in space.sample(40, np.random.default_rng(seed))}
    assert {n.digest for n in found.networks} & drawn.keys()
    record = found.as_json()
    assert record["median_error"] < 0.05 and record["within_10_percent"] == 1.0
    assert record["median_error"] <= record["p90_error"] <= record["worst_error"]
    assert 0.5 <= record["inside_interval"] <= 1.0
    assert record["speed"] == pytest.approx(1.0, abs=0.02)
    assert record["spearman"]["all"]["predicted"] > 0.9
    assert json.loads(json.dumps(record)) == record
    for network in record["networks"]:
        assert 3 <= len(network["processes_ms"]) <= 8
        assert min(network["processes_ms"]) <= network["measured_ms"] <= max(network["processes_ms"])
        assert network["error"] == pytest.approx(network["predicted"]["mean_ms"] / network["measured_ms"] - 1.0)


def test_a_check_tells_of_a_machine_that_became_slower(
    runner: SimulatedRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_table(ask(), progress=ignore)
    monkeypatch.setattr("tests.measure.devices.true_ms", lambda networks: 1.25 * true_ms(networks))
    found = verify_table(local(), "small", count=6).as_json()
    assert found["speed"] == pytest.approx(1.25, abs=0.03)
    assert found["by_the_clock"]["bias"] == pytest.approx(1 / 1.25 - 1.0, abs=0.05)
    assert found["bias"] == pytest.approx(0.0, abs=0.05)
    home = local()
    (kept,) = read_looks(home.folder / LEVELS_FILE)
    assert kept.level == pytest.approx(found["speed"], rel=1e-4)
    # That look, and two of what is usual: a third of the square of log 1.25 is most of it.
    assert load_latency(home).level_sd == pytest.approx(np.log(1.25) / np.sqrt(3), rel=0.1)
    (network, *_) = found["networks"]
    at_its_speed = np.log(network["predicted"]["high_ms"] / network["predicted"]["mean_ms"])
    assert at_its_speed < 1.645 * load_latency(home).level_sd


def test_a_space_that_was_timed_whole_has_nothing_left_to_check(runner: SimulatedRunner) -> None:
    build_table(ask(space="tiny", budget_s=1e4), progress=ignore)
    with pytest.raises(InputError, match="tiny must have networks that were not timed .* another --space"):
        verify_table(local(), "tiny", count=5)


BUILD = """
import sys
import nas.jobs.lut_build as job
job.generic_items = lambda runtime, seed, sizes: []
job.further_items = lambda runtime: ()
from nas.cli.main import main
sys.exit(main(["lut", "build", "--device", "local", "--space", "tiny", "--budget", "30m"]))
"""


@pytest.mark.slow
def test_a_real_build_is_killed_and_goes_on_and_its_table_predicts_what_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    write_space(tmp_path, tiny_document())
    write_space(tmp_path, tiny_document("wider", ((24, 32), (32, 48))))
    path = local().timings
    with subprocess.Popen([sys.executable, "-c", BUILD], start_new_session=True) as process:
        deadline = time.monotonic() + 300.0
        while not path.exists() or path.stat().st_size < 40_000:  # the first batch is there
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    kept = stored()
    assert digests(kept) and len(digests(kept)) % BATCH == 0
    done = subprocess.run([sys.executable, "-c", BUILD], capture_output=True, text=True, check=True)
    assert "networks timed; wrote" in done.stdout
    found = stored()
    assert all(isinstance(t.timing, Timing) and len(t.timing.cpu_ms) == len(t.timing.wall_ms) > 0 for t in found)
    assert found[: len(kept)] == kept
    space = measured_space("tiny")
    assert len(digests(found)) == len(set(digests(found))) == space.size
    assert describe(local())["rows"] == len(space_keys(space) | {s.key for t in found for s in t.segments})
    (network,) = space.sample(1, np.random.default_rng(0))
    place = tmp_path / "network.yaml"
    place.write_text(network.to_yaml(), encoding="utf-8")
    estimate = predict(local(), str(place)).estimate
    measured_ms = next(t.latency_ms for t in found if t.digest == network.digest)
    assert estimate.source == "measured"
    assert estimate.mean_ms == pytest.approx(measured_ms, rel=0.5)
    checked = verify_table(local(), "wider", count=4).as_json()
    assert checked["count"] == 4 and checked["environment"]["runtime"].startswith("ONNX Runtime")
    assert all(network["measured_ms"] > 0.0 for network in checked["networks"])


def test_a_plan_of_many_networks_shows_how_many_are_chosen_and_reckons_with_the_reference(
    runner: SimulatedRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counting:
        def seconds(self, items: Sequence[Item]) -> float:
            return float(len(items))

    monkeypatch.setattr("nas.jobs.lut_build.look", lambda watch: Counting())
    told: list[Step] = []
    planned = plan_table(ask(networks=31), progress=told.append)
    assert planned.seconds == 30 + 3 + lut_build.FIT_SECONDS  # in three batches
    shown = [(step.done, step.of) for step in told if step.doing == "choosing networks"]
    assert shown == [(0, 30), (10, 30), (20, 30)]


def test_a_fit_and_a_record_need_no_device(
    runner: SimulatedRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_table(ask(budget_s=40.0), progress=ignore)
    before = files(tmp_path)

    def away(home: DeviceHome) -> SimulatedRunner:
        raise UnreachableError("it must be there, but is not; plug it in.")

    monkeypatch.setattr("nas.measure.stopwatch.find_runner", away)
    refit_table(local())
    assert files(tmp_path) == before
    record = device_record(local())
    assert record["notes"] == [] and len(record["compared"]) > BATCH
    place = tmp_path / "latency_tables" / "local" / "device.yaml"
    place.write_text(place.read_text("utf-8").replace("threads: 1", "threads: 4"), encoding="utf-8")
    with pytest.raises(InputError, match="timings of threads '1', but this is '4'"):
        refit_table(local())

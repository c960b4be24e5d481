"""A device that exists in numbers alone and that nothing reaches: its bundle goes out, and its times come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import nas
from nas.errors import InputError
from nas.jobs.lut import predict
from nas.jobs.lut_build import has_timings, measured_space, refit_table
from nas.jobs.lut_bundle import BundleRequest, ImportedBundle, import_bundle, make_bundle
from nas.jobs.lut_verify import verify_times
from nas.jobs.search import search
from nas.latency import DeviceHome, device_home, load_latency
from nas.latency.table.rows import read_table
from nas.measure.bundle import MANIFEST_FILE, PAGE_FILE, TIMINGS_FILE, read_bundle
from nas.measure.store import REFERENCE, StoredTiming, TimingStore
from nas.runners.timing import Summary
from nas.space.load import SPACE_FILE
from nas.strategies import RandomSearch
from tests.jobs.simulated import simulate, write_space
from tests.jobs.small import small_document
from tests.latency.timed.networks import true_ms
from tests.measure.bundles import PHONE, add_phone, fill_in, rows_of, write_rows
from tests.measure.devices import SimulatedRunner

NOISE = 0.01


def phone() -> DeviceHome:
    return device_home("phone")


def ask(out: Path, networks: int = 24, seed: int = 0, formats: tuple[str, ...] = ()) -> BundleRequest:
    return BundleRequest(home=phone(), out=out, space="small", networks=networks, seed=seed, formats=formats)


def time_all(folder: Path, rows: range | None = None, *, slower: float = 1.0) -> Path:
    """Fill in what the files' networks truly take, off by a hundredth, on a device that is so much slower; in the rows
    of these numbers alone."""
    rng = np.random.default_rng(5)

    def latency(number: int, row: dict[str, str]) -> str:
        text = (folder / row["file"]).read_text("utf-8")
        ms = slower * float(text.removesuffix(" ms")) * np.exp(NOISE * rng.standard_normal())
        return f"{ms:.5g}" if rows is None or number in rows else ""

    return fill_in(folder, latency)


def stored() -> list[StoredTiming]:
    with TimingStore(phone().timings, phone().device.environment) as store:
        return store.timings()


def state(workspace: Path) -> dict[str, bytes]:
    """The device's files and its timings."""
    folders = ("latency_tables/phone", "runs/lut")
    return {str(file): file.read_bytes() for folder in folders for file in (workspace / folder).glob("*")}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the device `phone` and the space `small`; network files say what their network takes."""
    simulate(monkeypatch, tmp_path, SimulatedRunner())
    write_space(tmp_path, small_document())
    add_phone(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ImportedBundle]]:
    """A workspace whose `phone` has the table of a bundle of 24 networks, and what its import said."""
    folder = tmp_path_factory.mktemp("workspace")
    patch = pytest.MonkeyPatch()
    simulate(patch, folder, SimulatedRunner())
    write_space(folder, small_document())
    add_phone(folder)
    make_bundle(ask(folder / "out"))
    time_all(folder / "out")
    yield folder, import_bundle(phone(), folder / "out")
    patch.undo()


def test_a_table_comes_of_times_taken_elsewhere(fitted: tuple[Path, ImportedBundle]) -> None:
    workspace, found = fitted
    assert (found.added, found.corrected, found.unchanged, found.elsewhere) == (23, 0, 0, 0)
    assert (found.timed, found.needed, found.times.missing, len(found.reference_ms)) == (24, 0, (), 2)
    assert found.table is not None and found.table.networks == 23 and found.table.space == "small"
    assert found.folder == workspace / "latency_tables" / "phone"
    rows = read_table(found.folder / "table.csv")
    assert {row.source for row in rows.values()} == {"measured"}
    device = phone().device
    assert (device.chip, device.runtime, device.threads, device.reach) == ("a chip", "a runtime", 4, "")
    assert all(isinstance(timing.timing, Summary) for timing in stored())
    assert [timing.role for timing in stored()][:: len(stored()) - 1] == [REFERENCE, REFERENCE]


def test_networks_that_were_not_in_the_bundle_are_predicted(
    fitted: tuple[Path, ImportedBundle], tmp_path: Path
) -> None:
    timed = {timing.digest for timing in stored()}
    networks = [n for n in measured_space("small").sample(40, np.random.default_rng(11)) if n.digest not in timed]
    assert len(networks) > 30
    truth = true_ms([network.segments() for network in networks])
    predicted = load_latency("phone").latency_ms(networks)
    errors = np.abs(predicted / truth - 1.0)
    assert np.median(errors) < 0.03 and errors.max() < 0.12
    by_macs = np.array([network.macs for network in networks], dtype=np.float64)
    by_macs *= np.median(truth / by_macs)
    assert np.median(errors) < 0.5 * np.median(np.abs(by_macs / truth - 1.0))
    path = tmp_path / "net.yaml"
    path.write_text(networks[0].to_yaml(), encoding="utf-8")
    assert predict(phone(), str(path)).estimate.mean_ms == pytest.approx(predicted[0])


def test_a_bundle_that_was_not_imported_tells_how_good_the_table_is(
    fitted: tuple[Path, ImportedBundle], tmp_path: Path
) -> None:
    """The device is a tenth slower by then, which the reference tells."""
    make_bundle(ask(tmp_path / "second", networks=20, seed=3))
    time_all(tmp_path / "second", slower=1.1)
    before = state(fitted[0])
    found = verify_times(phone(), tmp_path / "second" / TIMINGS_FILE)
    record = found.as_json()
    assert state(fitted[0]) == before
    assert (record["count"], record["space"]) == (19, "small")
    assert found.speed == pytest.approx(1.1, rel=0.03)
    assert record["median_error"] < 0.05 and record["by_the_clock"]["bias"] < record["bias"] - 0.05
    with pytest.raises(InputError, match="must have times of networks that the table was not fitted to"):
        verify_times(phone(), fitted[0] / "out")


def test_a_search_goes_by_the_table(fitted: tuple[Path, ImportedBundle]) -> None:
    networks = list(measured_space("small").sample(20, np.random.default_rng(2)))
    target_ms = float(np.quantile(load_latency("phone").latency_ms(networks), 0.3))
    answer = search(
        measured_space("small"),
        latency=load_latency("phone"),
        accuracy=nas.load_accuracy("imagenet"),
        target_ms=target_ms,
        strategy=RandomSearch(evaluations=2000),
        starts=0,
    )
    latency = answer.best.latency
    assert latency.mean_ms <= target_ms and latency.source in ("measured", "predicted")
    (truth,) = true_ms([answer.best.architecture.segments()])
    assert latency.mean_ms == pytest.approx(truth, rel=0.12)


def test_the_table_is_fitted_again_without_the_bundle(fitted: tuple[Path, ImportedBundle]) -> None:
    _, found = fitted
    before = (found.folder / "coefficients.json").read_bytes()
    assert has_timings(phone()) and not has_timings(device_home("iphone12"))
    assert refit_table(phone()).networks == 23
    assert (found.folder / "coefficients.json").read_bytes() == before


def test_the_table_is_for_the_space_of_the_bundle_wherever_that_came_from(
    fitted: tuple[Path, ImportedBundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, found = fitted
    own = workspace / "search_spaces" / "small.yaml"
    assert (found.folder / SPACE_FILE).read_bytes() == own.read_bytes()
    monkeypatch.setattr("nas.resources.names", lambda room, pattern: {})  # as where the bundle was not written
    assert refit_table(phone()).space == "small"


def test_a_bundle_holds_what_whoever_times_it_needs(workspace: Path) -> None:
    out = workspace / "deep" / "out"
    found = make_bundle(ask(out, networks=21, formats=("onnx", "litert")))
    assert sorted(path.name for path in out.iterdir()) == sorted(
        (MANIFEST_FILE, PAGE_FILE, SPACE_FILE, TIMINGS_FILE, "onnx", "litert")
    )
    assert (found.written, len(list(out.glob("*/*")))) == (42, 42)
    assert len(rows_of(out)) == 2 * 22
    roles = [network.role for network in found.bundle.networks]
    # As a build would: two generic networks, then one of the space, and so on.
    assert roles == ["reference", *["probe", "probe", "space"] * 4, *["space"] * 8]
    assert found.size_bytes == sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def test_a_bundle_goes_on_and_what_was_filled_in_stays(workspace: Path) -> None:
    out = workspace / "out"
    first = make_bundle(ask(out, networks=12))
    path = time_all(out)
    text = path.read_text("utf-8")
    (out / first.bundle.networks[3].files["onnx"].path).unlink()
    again = make_bundle(ask(out, networks=12))
    assert (again.bundle, again.written, path.read_text("utf-8")) == (first.bundle, 1, text)
    import_bundle(phone(), out)
    assert make_bundle(ask(out, networks=12)).bundle == first.bundle


def test_a_further_bundle_holds_other_networks(workspace: Path) -> None:
    first = make_bundle(ask(workspace / "one", networks=12)).bundle
    same = make_bundle(ask(workspace / "same", networks=12)).bundle
    assert same.networks == first.networks
    time_all(workspace / "one")
    import_bundle(phone(), workspace / "one")
    further = make_bundle(ask(workspace / "two", networks=13)).bundle
    shared = {network.digest for network in first.networks} & {network.digest for network in further.networks}
    assert shared == {first.reference.digest}
    time_all(workspace / "two")
    found = import_bundle(phone(), workspace / "two")
    assert (found.added, found.timed) == (12, 24)
    assert len({timing.batch for timing in stored()}) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"networks": 3}, "--networks must be at least 4"),
        ({"formats": ("exe",)}, "format must be a known name, but got 'exe'"),
    ],
)
def test_a_bundle_that_cannot_be_is_refused_before_anything_is_written(
    workspace: Path, change: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        make_bundle(ask(workspace / "out", **change))  # type: ignore[arg-type]
    assert not (workspace / "out").exists()


def test_a_folder_of_something_else_is_left_alone(workspace: Path) -> None:
    out = workspace / "out"
    make_bundle(ask(out, networks=12))
    for request, words in (
        (ask(out, networks=13), "holds a bundle of wanted 12, but this is 13"),
        (ask(out, networks=12, seed=1), "holds a bundle of seed 0, but this is 1"),
        (ask(workspace / "search_spaces", networks=12), "--out must be a new or empty folder"),
        (ask(workspace / "out" / TIMINGS_FILE, networks=12), "--out must be a new or empty folder"),
    ):
        with pytest.raises(InputError, match=words):
            make_bundle(request)


def test_half_a_file_now_and_the_rest_later(workspace: Path) -> None:
    out = workspace / "out"
    make_bundle(ask(out, networks=24))
    time_all(out, range(6))
    first = import_bundle(phone(), out)
    assert (first.added, first.timed, first.needed, first.table) == (5, 6, 6, None)
    assert len(first.times.missing) == 18
    assert not (workspace / "latency_tables" / "phone" / "coefficients.json").exists()
    time_all(out)
    second = import_bundle(phone(), out)
    assert (second.added, second.unchanged, second.corrected, second.timed) == (18, 5, 0, 24)
    assert second.table is not None and second.table.networks == 23
    assert len({timing.batch for timing in stored()}) == 1


def test_the_same_file_twice_changes_nothing(workspace: Path) -> None:
    out = workspace / "out"
    make_bundle(ask(out, networks=12))
    time_all(out)
    import_bundle(phone(), out)
    before = state(workspace)
    found = import_bundle(phone(), out / TIMINGS_FILE)
    assert (found.added, found.unchanged, found.table) == (0, 11, None)
    assert state(workspace) == before
    for names in (["table.csv"], ["table.csv", "coefficients.json"]):  # as where a fit was killed
        for name in names:
            (workspace / "latency_tables" / "phone" / name).unlink()
        assert import_bundle(phone(), out).table is not None
        assert state(workspace) == before


def test_times_that_left_the_file_stay_and_others_are_corrected(workspace: Path) -> None:
    out = workspace / "out"
    make_bundle(ask(out, networks=12))
    time_all(out)
    import_bundle(phone(), out)
    former = {timing.digest: timing.latency_ms for timing in stored()}
    rows = rows_of(out)
    rows[2]["latency_ms"] = str(1.25 * float(rows[2]["latency_ms"]))
    for row in (rows[0], rows[5], rows[-1]):
        row["latency_ms"] = ""
    write_rows(out, rows)
    found = import_bundle(phone(), out)
    assert (found.added, found.corrected, found.unchanged) == (0, 1, 9)
    assert found.table is not None
    now = {timing.digest: timing.latency_ms for timing in stored()}
    changed = {digest for digest in former if former[digest] != now[digest]}
    assert changed == {read_bundle(out).networks[2].digest} and former.keys() == now.keys()


def test_a_reference_that_was_timed_again_is_a_correction(workspace: Path) -> None:
    out = workspace / "out"
    make_bundle(ask(out, networks=12))
    time_all(out)
    import_bundle(phone(), out)
    rows = rows_of(out)
    rows[0]["latency_ms"] = "7.5"
    write_rows(out, rows)
    assert import_bundle(phone(), out).table is not None
    assert next(timing.latency_ms for timing in stored() if timing.role == REFERENCE) == 7.5


def test_what_another_bundle_brought_stays(workspace: Path) -> None:
    make_bundle(ask(workspace / "one", networks=12))
    make_bundle(ask(workspace / "two", networks=14))
    time_all(workspace / "one")
    import_bundle(phone(), workspace / "one")
    fill_in(workspace / "two", lambda number, row: "4.0" if number % 14 == 0 else "3.0")
    found = import_bundle(phone(), workspace / "two")
    assert found.elsewhere + found.added == 13 and found.elsewhere == 11
    assert sum(timing.latency_ms == 3.0 for timing in stored()) == 2


def test_a_reference_is_needed(workspace: Path) -> None:
    out = workspace / "out"
    make_bundle(ask(out, networks=12))
    time_all(out, range(1, 12))
    with pytest.raises(InputError, match=r"timings\.csv, line 2: the reference mobilenetv3-large-1\.0 must be timed"):
        import_bundle(phone(), out)
    assert not phone().timings.exists()


def test_what_is_bad_changes_nothing(workspace: Path) -> None:
    out = workspace / "out"
    make_bundle(ask(out, networks=14))
    time_all(out, range(13))
    import_bundle(phone(), out)
    before = state(workspace)
    good = (out / TIMINGS_FILE).read_text("utf-8")

    def refused(words: str) -> None:
        with pytest.raises(InputError, match=words):
            import_bundle(phone(), out)
        assert state(workspace) == before

    time_all(out)
    rows = rows_of(out)
    for line, cell, words in ((15, "-3", "line 15: latency_ms"), (3, "NaN", "line 3: latency_ms")):
        write_rows(out, [{**row, **({"latency_ms": cell} if n == line - 2 else {})} for n, row in enumerate(rows)])
        refused(words)
    fill_in(out, lambda number, row: str(1e3 * float(rows[number]["latency_ms"])))
    refused("line 1: times must be those of networks of this size.*latency_us")
    write_rows(out, rows)
    (out / rows[4]["file"]).write_text("another", encoding="utf-8")
    refused("line 6: .* was replaced")
    (out / rows[4]["file"]).unlink()
    add_phone(workspace, PHONE.replace("float16", "float32"))
    before = state(workspace)
    refused(r"manifest\.json: the bundle was written for precision 'float16', but .* says 'float32'")
    add_phone(workspace)
    other = workspace / "latency_tables" / "other" / "device.yaml"
    other.parent.mkdir()
    other.write_text(PHONE.replace("phone", "other"), encoding="utf-8")
    with pytest.raises(InputError, match="the bundle is of the device phone, but --device is other"):
        import_bundle(device_home("other"), out)
    (out / TIMINGS_FILE).write_text(good, encoding="utf-8")
    (out / MANIFEST_FILE).write_text("{}", encoding="utf-8")
    before = state(workspace)
    refused(r"manifest\.json: the key 'schema' must be given")


def test_an_imported_table_is_not_overwritten(workspace: Path) -> None:
    out = workspace / "out"
    make_bundle(ask(out, networks=12))
    time_all(out)
    (workspace / "latency_tables" / "phone" / "table.csv").write_text("mine\n", encoding="utf-8")
    with pytest.raises(InputError, match="was imported, and a build would overwrite it"):
        import_bundle(phone(), out)
    assert not phone().timings.exists()


def test_a_shipped_device_keeps_what_others_published_of_it(workspace: Path) -> None:
    home = device_home("pixel3-cpu")
    out = workspace / "out"
    make_bundle(BundleRequest(home=home, out=out, space="small", networks=12, formats=("onnx",)))
    time_all(out)
    found = import_bundle(home, out)
    assert found.table is not None and found.folder == workspace / "latency_tables" / "pixel3-cpu"
    shipped = (home.folder / "networks.csv").read_bytes()
    assert (found.folder / "networks.csv").read_bytes() == shipped
    assert load_latency("pixel3-cpu").estimate("mobilenetv2-1.0").source in ("measured", "predicted")


def test_the_space_travels_with_the_bundle(workspace: Path) -> None:
    out = workspace / "out"
    make_bundle(ask(out, networks=12))
    time_all(out)
    (workspace / "search_spaces" / "small.yaml").unlink()
    found = import_bundle(phone(), out)
    assert found.table is not None and found.table.space == "small"


UNTOLD_PHONE = PHONE.replace("a chip", "unknown until it is measured")


def test_a_bundle_waits_for_the_chip(workspace: Path) -> None:
    add_phone(workspace, UNTOLD_PHONE)
    with pytest.raises(InputError, match="chip must be that of the device.*write it there first"):
        make_bundle(ask(workspace / "out", networks=12))
    assert not (workspace / "out").exists()
    add_phone(workspace)
    make_bundle(ask(workspace / "out", networks=12))


def test_times_of_a_bundle_that_was_written_before_the_chip_was_told_are_of_it(workspace: Path) -> None:
    out = workspace / "out"
    make_bundle(ask(out, networks=12))
    manifest = out / MANIFEST_FILE
    manifest.write_text(manifest.read_text("utf-8").replace("a chip", "unknown until it is measured"), "utf-8")
    time_all(out)
    assert import_bundle(phone(), out).table is not None
    with TimingStore(phone().timings, phone().device.environment) as store:
        assert len(store.timings()) == 13

"""Whole networks in a CSV file make a device; the shipped device of few published figures is made the same way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import nas
from nas.cli.main import main
from nas.errors import InputError, UnreachableError
from nas.jobs.device_record import device_record
from nas.jobs.lut_build import check_table, has_timings
from nas.jobs.lut_few import helping_devices
from nas.jobs.lut_import import import_tables
from nas.jobs.lut_networks import fit_from_networks, helped_by, import_networks, verify_from_networks
from nas.jobs.network_times import read_network_times
from nas.latency import DeviceHome, device_home, load_latency
from nas.latency.published.rows import read_published
from nas.latency.table.rows import read_table
from nas.latency.transfer.networks import TransferredOperators, device_of
from nas.measure.store import TimingStore
from nas.nets.onnx_writer import export_onnx
from nas.report.few_text import from_networks_text, left_out_networks_text
from nas.space import known_network
from tests.measure.bundles import PHONE, add_phone
from tests.measure.devices import TINY, tiny_file
from tests.onnx.onnx_files import node, save

NAMES = ("mobilenetv1-0.5", "mobilenetv2-0.5", "mobilenetv2-1.0", "repvgg-a0", "mnasnet-b1", "fbnet-c")
MOBILEONES = {f"mobileone-s{size}": ms for size, ms in enumerate((73.9, 130.8, 164.9, 207.1, 303.6))}
"""HUAWEI Mate 30 Pro, ONNX Runtime, CPU, four threads, ms."""


def phone() -> DeviceHome:
    return device_home("phone")


def csv_file(path: Path, rows: dict[str, float], header: str = "network,latency_ms") -> Path:
    path.write_text("\n".join((header, *(f"{name},{ms:.4f}" for name, ms in rows.items()), "")), encoding="utf-8")
    return path


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a device `phone` that nothing is known of; few segments are printed."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    monkeypatch.setattr("nas.jobs.lut.TABLE_SEGMENTS", 20)
    add_phone(tmp_path)
    return tmp_path


def twice_the_pixel() -> dict[str, float]:
    return dict(zip(NAMES, 2.0 * nas.load_latency("pixel3-cpu").latency_ms(NAMES), strict=True))


def test_networks_and_latencies_are_enough_for_a_device(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = csv_file(workspace / "times.csv", twice_the_pixel())
    assert main(["lut", "import", str(path), "--device", "phone", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["added"], record["rows"]) == (6, 6)
    assert {"iphone12", "pixel3-cpu"} < set(record["others"]) and "kirin990-cpu" not in record["others"]
    assert record["left_out"]["ours"]["median"] < 0.05
    assert record["model"].startswith("modelled from 6 published or imported latencies")
    model = load_latency("phone")
    true = 2.0 * nas.load_latency("pixel3-cpu").latency_ms(["mobilenetv2-1.4"])[0]
    estimate = model.estimate("mobilenetv2-1.4")
    assert estimate.mean_ms == pytest.approx(true, rel=0.1)
    assert estimate.low_ms < true < estimate.high_ms and estimate.source == "modelled"
    rows = read_published(phone().folder / "networks.csv")
    assert [(row.network, row.family, row.resolution) for row in rows][:2] == [
        ("mobilenetv1-0.5", "mobilenetv1", 224), ("mobilenetv2-0.5", "mobilenetv2", 224)
    ]  # fmt: skip
    assert {row.rounding_ms for row in rows} == {1e-4}
    assert {row.source for row in read_table(phone().folder / "table.csv").values()} == {"modelled"}
    # The same files give the same model, and networks that come later join.
    before = (phone().folder / "coefficients.json").read_bytes()
    assert main(["lut", "fit", "--device", "phone"]) == 0
    assert "modelled from 6" in capsys.readouterr().out
    assert (phone().folder / "coefficients.json").read_bytes() == before
    more = import_networks(phone(), csv_file(workspace / "more.csv", {"mobilenetv1-0.5": 9.0, "mobileone-s0": 40.0}))
    assert (more.added, more.rows) == (2, 7)
    assert main(["lut", "verify", "--device", "phone"]) == 0
    assert "networks left out" in capsys.readouterr().out
    assert main(["lut", "verify", "--device", "phone", "--report", "there"]) == 2
    assert len(device_record(phone())["compared"]) == 7


def test_files_of_networks_are_read_from_beside_the_csv(workspace: Path) -> None:
    tiny_file(workspace)
    onnx = export_onnx(known_network("mobilenetv2-0.35@96"), workspace / "small.onnx")
    path = csv_file(workspace / "times.csv", {"tiny.yaml": 0.1, onnx.name: 2.0, **twice_the_pixel()})
    rows, lists = read_network_times(path, phone().device)
    assert [row.network for row in rows][:3] == ["tiny", "small", "mobilenetv1-0.5"]
    assert [row.resolution for row in rows][:2] == [TINY.resolution, 96]
    assert lists.keys() == {"tiny", "small"}
    assert lists["small"].macs.sum() == known_network("mobilenetv2-0.35@96").macs
    found = import_networks(phone(), path)
    assert found.rows == 8 and fit_from_networks(phone()).operators.to_json() == found.operators.to_json()


def test_files_of_one_name_are_told_apart_by_their_folders(workspace: Path) -> None:
    for folder, sides in {"a": 8, "b": 16, "b/a": 32, "c": 8}.items():
        (workspace / folder).mkdir()
        save(workspace / folder / "model.onnx", [node("Relu", ["x"], "y")], (1, 3, sides, sides))
    save(workspace / "model.onnx", [node("Relu", ["x"], "y")], (1, 3, 64, 64))
    files = {"a/model.onnx": 1.0, "./b/model.onnx": 2.0, "b/a/model.onnx": 3.0, "model.onnx": 4.0}
    rows, lists = read_network_times(csv_file(workspace / "t.csv", files), phone().device)
    assert [(row.network, row.family, row.resolution) for row in rows] == [
        ("model", "model", 8), ("b-model", "b-model", 16), ("a-model", "a-model", 32), ("model-2", "model-2", 64)
    ]  # fmt: skip
    assert [lists[row.network].output_elements.tolist() for row in rows] == [[3 * n * n] for n in (8, 16, 32, 64)]
    # Equal operators are one network, wherever its files lie.
    with pytest.raises(InputError, match="row 3: model must come once, but comes again"):
        read_network_times(csv_file(workspace / "t.csv", {"a/model.onnx": 1.0, "c/model.onnx": 2.0}), phone().device)


def test_a_file_of_open_sizes_is_refused_with_what_can_be_done_there(workspace: Path) -> None:
    save(workspace / "model.onnx", [node("Relu", ["x"], "y")], ("n", 16, 8, 8))
    with pytest.raises(InputError, match=r"but has nx16x8x8; export it with one, or.*nas\.load_graph.*x=1x16x8x8$"):
        read_network_times(csv_file(workspace / "t.csv", {"model.onnx": 1.0}), phone().device)


def test_networks_may_be_named_by_their_digests(workspace: Path) -> None:
    network = known_network("fbnet-c")
    rows, lists = read_network_times(csv_file(workspace / "t.csv", {network.digest: 1.0}), phone().device)
    assert ([row.network for row in rows], lists) == (["fbnet-c"], {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("network,latency_ms,why\nfbnet-c,1,x\n", "columns must be network and latency_ms"),
        ("network,latency_ms\n", "at least one row"), ("network,latency_ms\nfbnet-c,-1\n", "row 2: latency_ms"),
        ("network,latency_ms\nfbnet-c,nan\n", "latency_ms"), ("network,latency_ms\n,1\n", "network must be given"),
        ("network,latency_ms\nfbnet-c\n", "a value in each column"), ("network,latency_ms\nfbnet-x,1\n", "fbnet-c"),
        ("network,latency_ms\nfbnet-c,1\nfbnet-c,2\n", "row 3: fbnet-c must come once"),
        ("network,latency_ms\nfbnet-c,1\nmobileone-s0,2\n", "at least 3 networks"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_and_change_nothing(workspace: Path, text: str, expected: str) -> None:
    path = workspace / "times.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=expected):
        import_networks(phone(), path)
    assert [file.name for file in phone().folder.iterdir()] == ["device.yaml"]


def test_a_device_with_other_latencies_is_refused(workspace: Path) -> None:
    with pytest.raises(InputError, match="add a device of another name"):
        import_networks(device_home("pixel3-cpu"), csv_file(workspace / "t.csv", twice_the_pixel()))
    (phone().folder / "calibration.yaml").write_text("devices: [local]\n", encoding="utf-8")
    with pytest.raises(InputError, match="local"):
        import_networks(phone(), csv_file(workspace / "t.csv", twice_the_pixel()))


def test_the_shipped_device_is_what_its_five_figures_give(workspace: Path) -> None:
    shipped = load_latency("kirin990-cpu")
    assert isinstance(shipped.operators, TransferredOperators)
    home = device_home("kirin990-cpu")
    assert helped_by(home) == ("pixel3-cpu",)
    rows = read_published(home.folder / "networks.csv")
    assert {row.network: row.latency_ms for row in rows} == MOBILEONES
    found = fit_from_networks(home)
    again = load_latency("kirin990-cpu")  # the workspace's own now
    assert again.operators is not None
    # The same bits on the same machine; elsewhere the last digits may differ.
    assert again.latency_ms(list(MOBILEONES)) == pytest.approx(shipped.latency_ms(list(MOBILEONES)), rel=1e-4)
    assert again.operators.manifest["inputs_sha256"] == shipped.operators.manifest["inputs_sha256"]
    assert found.operators.source == "modelled"
    assert "one family" in from_networks_text(found)


def test_the_shipped_device_is_honest_about_five_figures() -> None:
    """Each of its networks is predicted from the other four; another family is at least 35 % unsure, and what its one
    helper hardly knows is unsure by more."""
    model, home = load_latency("kirin990-cpu"), device_home("kirin990-cpu")
    found = verify_from_networks(home)
    assert found.by_family is None and found.by_network.inside == 1.0
    assert np.median(np.abs(found.by_network.ours)) < 0.1 < np.median(np.abs(found.by_network.scaled))
    assert "mobileone-s4" in left_out_networks_text("kirin990-cpu", found.as_json())
    for name in ("mobilenetv2-1.0", "mobileone-s0", "repvit-m0.9"):
        estimate = model.estimate(name)
        assert np.log(estimate.high_ms / estimate.mean_ms) >= 0.35 - 1e-9
        assert estimate.source == "modelled"
    page = (Path(__file__).parents[2] / "docs" / "few-measurements.md").read_text("utf-8").replace("\n", " ")
    for size in ("xxs", "xs", "s"):  # which of them took 144.0 ms is not known
        estimate = model.estimate(f"mobilevit-{size}@224")
        assert estimate.low_ms < 144.0 < estimate.high_ms and estimate.warnings
        assert f"{estimate.mean_ms:.0f} ms ({estimate.low_ms:.0f} to {estimate.high_ms:.0f})" in page
    errors = found.by_network.as_json()
    assert all(f"{part['median']:.1%}".replace("%", " %") in page for part in errors.values())
    assert all(f"{part['mean']:.1%}".replace("%", " %") in page for part in errors.values())


def imported_row(workspace: Path) -> str:
    """Import a table of one row that somebody measured; its segment."""
    key = known_network("mobilenetv2-1.0").graph().segments[1].key
    table = workspace / "lookup.csv"
    table.write_text(
        f'segment,mean_ms,low_ms,high_ms,count,source,date\n"{key}",0.5,0.4,0.6,9,measured,2026-01-01\n', "utf-8"
    )
    import_tables(phone(), [table])
    return key


def test_rows_that_were_imported_before_stay_beside_those_that_are_printed(workspace: Path) -> None:
    key = imported_row(workspace)
    import_networks(phone(), csv_file(workspace / "t.csv", dict(list(twice_the_pixel().items())[:3])))
    for _ in range(2):
        rows = read_table(phone().folder / "table.csv")
        assert (rows[key].mean_ms, rows[key].source, rows[key].count) == (0.5, "measured", 9)
        assert len(rows) > 10 and key in load_latency("phone").rows
        fit_from_networks(phone())
    with pytest.raises(InputError, match=r"table\.csv was imported, and a build would overwrite it"):
        check_table(phone())
    (phone().folder / "table.csv").unlink()
    fit_from_networks(phone())
    check_table(phone())


def three(*cells: str) -> str:
    """Rows of networks of 301, 217 and 150 million multiply-adds."""
    names = ("mobilenetv2-1.0", "mobilenetv3-large-1.0", "mobilenetv1-0.5")
    return "".join(f"{name},{cell}\n" for name, cell in zip(names, cells, strict=True))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (three("31.2", "27900", "15"), "row 3: latency_ms must be of the unit of the others"),
        (three("31200", "27900", "15000"), "if they are microseconds, write that into the cells"),
        (three(".0312", ".0279", ".015"), "if they are seconds, write that into the cells"),
        (three("31.2", "27.9", "15") + "tiny.yaml,99\n", "the oddest is tiny: 99 ms"),
    ],
    ids=["one in us", "all in us", "all in s", "one that nothing follows from"],
)
def test_latencies_that_cannot_be_milliseconds_are_refused_and_change_nothing(
    workspace: Path, rows: str, expected: str
) -> None:
    tiny_file(workspace)
    imported_row(workspace)
    before = {path: path.read_bytes() for path in phone().folder.iterdir()}
    path = workspace / "times.csv"
    path.write_text(f"network,latency_ms\n{rows}", encoding="utf-8")
    with pytest.raises(InputError, match=expected):
        import_networks(phone(), path)
    assert {path: path.read_bytes() for path in phone().folder.iterdir()} == before


def test_a_cell_that_names_its_unit_is_believed(workspace: Path) -> None:
    path = workspace / "times.csv"
    path.write_text(f"network,latency_ms\n{three('31.2', '27900 us', '9000 ms')}", encoding="utf-8")
    rows, _ = read_network_times(path, phone().device)
    assert [row.latency_ms for row in rows] == pytest.approx([31.2, 27.9, 9000.0])
    assert [row.rounding_ms for row in rows] == pytest.approx([0.1, 0.001, 1.0])


def test_a_device_whose_files_are_bad_helps_no_other_and_is_told(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [device_of(model) for model in helping_devices(phone())]
    bad = workspace / "latency_tables" / "bad"
    bad.mkdir()
    (bad / "device.yaml").write_text(PHONE.replace("name: phone", "name: bad"), encoding="utf-8")
    (bad / "coefficients.json").write_text("{}", encoding="utf-8")
    worse = workspace / "latency_tables" / "worse"
    worse.mkdir()
    (worse / "device.yaml").write_text("name: another\n", encoding="utf-8")
    path = csv_file(workspace / "t.csv", dict(list(twice_the_pixel().items())[:3]))
    assert main(["lut", "import", str(path), "--device", "phone", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["others"] == others
    assert "warning: bad does not help: " in err and "warning: worse does not help: " in err


def test_networks_tell_of_a_device_that_is_reached_until_it_is_timed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(home: DeviceHome) -> None:
        raise UnreachableError("it must be there, but is not; plug it in.")

    for module in ("nas.measure.stopwatch", "nas.jobs.lut_build"):
        monkeypatch.setattr(f"{module}.find_runner", away)
    add_phone(workspace, PHONE.replace("reach: none", "reach: local").replace("a runtime", "ONNX Runtime"))
    import_networks(phone(), csv_file(workspace / "t.csv", dict(list(twice_the_pixel().items())[:4])))
    assert main(["lut", "fit", "--device", "phone"]) == 0
    assert "modelled from 4" in capsys.readouterr().out
    assert main(["lut", "verify", "--device", "phone"]) == 0
    assert "networks left out" in capsys.readouterr().out
    assert main(["lut", "verify", "--device", "phone", "--space", "mobile"]) == 1  # goes there
    assert not has_timings(phone())
    phone().timings.parent.mkdir(parents=True)
    with TimingStore(phone().timings, {"chip": "c"}):
        assert has_timings(phone())

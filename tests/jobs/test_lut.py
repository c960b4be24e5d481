from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.errors import InputError, NasError
from nas.graph.operators import read_operator_lists
from nas.jobs import lut
from nas.jobs.lut import (
    TABLE_SEGMENTS,
    add_device,
    describe,
    fit_device,
    fitted_model,
    predict,
)
from nas.jobs.lut_networks import helped_by
from nas.latency import device_home, load_latency
from nas.latency.device import device_names
from nas.latency.load import NETWORKS_FILE, load_calibration, published_index
from nas.latency.published import validate
from nas.latency.published.rows import COLUMNS
from nas.latency.published.validate import LeftOut
from nas.latency.table.rows import read_table
from nas.nets.onnx_writer import export_onnx
from nas.report.lut_text import fitted_text
from nas.space import known_network
from tests.shared_data import shared_data

FITTED = [
    name
    for name, folder in sorted(device_names().items())
    if (folder / "networks.csv").exists() and not helped_by(device_home(name))
]


@pytest.mark.parametrize("device", FITTED)
def test_the_shipped_files_are_what_a_fit_to_the_shipped_rows_gives(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = load_latency(device)
    rows = read_table(device_home(device).folder / "table.csv")
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    scored = int(load_calibration(device_home(device)).scored.sum())
    good, bad = np.zeros(scored), np.ones(scored)
    left = LeftOut(ours=good, macs_and_parameters=bad, constant=bad)  # `nas lut verify` tests the scores
    monkeypatch.setattr(validate, "left_out_errors", lambda data, progress: left)
    found = fit_device(device_home(device))
    assert found.folder == tmp_path.resolve() / "latency_tables" / device
    again = load_latency(device)  # the workspace's own now
    networks = load_calibration(device_home(device)).tables.values()
    # The same bits on the same machine; elsewhere the last digits may differ.
    assert again.latency_ms(networks) == pytest.approx(shipped.latency_ms(networks), rel=1e-4)
    written = read_table(found.folder / "table.csv")
    assert len(written) == found.table_rows
    assert written.keys() == rows.keys()
    manifests = [dict(m.operators.manifest) for m in (again, shipped) if m.operators]
    assert manifests[0]["inputs_sha256"] == manifests[1]["inputs_sha256"]


@pytest.mark.parametrize("device", FITTED)
def test_the_printed_table_is_what_the_model_says(device: str) -> None:
    model = load_latency(device)
    rows = read_table(device_home(device).folder / "table.csv")
    segments = known_network("mobilenetv2-1.0").graph().segments
    costs = model.segment_costs([s.key for s in segments], [s.operators for s in segments])
    assert [rows[s.key].mean_ms for s in segments] == pytest.approx(costs.mean_ms, rel=1e-9)
    assert all(rows[s.key].source == "modelled" for s in segments)
    assert len(rows) == TABLE_SEGMENTS == describe(device_home(device))["rows"]


def test_the_shipped_rows_are_the_published_ones() -> None:
    folder, data = device_home("iphone12").folder, shared_data("iphone12")
    ours = [line.split(",") for line in (folder / "networks.csv").read_text("utf-8").splitlines()[1:]]
    theirs = [line.split(",") for line in (data / "networks.csv").read_text("utf-8").splitlines()[1:]]
    assert [(row[0], float(row[-5])) for row in ours] == [(row[0], float(row[4])) for row in theirs]
    lists = [read_operator_lists(place / "operators.csv.gz") for place in (folder, data)]
    assert lists[0].keys() == lists[1].keys()
    assert all(np.array_equal(lists[0][name].macs, lists[1][name].macs) for name in lists[0])


def test_names_files_and_onnx_are_predicted_alike(tmp_path: Path) -> None:
    network = known_network("repvit-m0.9")
    file = tmp_path / "net.yaml"
    file.write_text(network.to_yaml(), encoding="utf-8")
    onnx = export_onnx(network, tmp_path / "net.onnx")
    found = [predict(device_home("iphone12"), str(item)) for item in ("repvit-m0.9", file, onnx)]
    assert found[1].estimate.mean_ms == pytest.approx(found[0].estimate.mean_ms)
    assert found[2].estimate.mean_ms == pytest.approx(found[0].estimate.mean_ms)
    assert {row.network for row in found[2].published} == {"RepViT-m0_9", "RepViT-v1-m1"}
    fixed = load_latency("iphone12").fixed_ms
    assert sum(ms for _, ms in found[0].segments) + fixed == pytest.approx(found[0].estimate.mean_ms)


def test_a_network_nobody_published_has_no_published_rows() -> None:
    assert published_index(device_home("iphone12")).find(known_network("mobilenetv2-0.35").graph().operators()) == []


def test_a_device_is_added_to_the_workspace_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    file = tmp_path / "phone.yaml"
    text = (device_home("iphone12").folder / "device.yaml").read_text("utf-8")
    file.write_text(text.replace("name: iphone12", "name: phone"), encoding="utf-8")
    device, place = add_device(file)
    assert device.name == "phone"
    assert place.is_file()
    assert "phone" in device_names()
    with pytest.raises(InputError, match="must be new"):
        add_device(file)
    with pytest.raises(InputError, match="neither"):
        load_latency("phone")
    with pytest.raises(InputError, match=r"networks\.csv"):
        fit_device(device_home("phone"))
    rows = (device_home("pixel3-cpu").folder / "networks.csv").read_text("utf-8").splitlines()[:7]  # two widths
    (place.parent / "networks.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="at least 5 different convolutional networks of at most 300 px .* but has 2"):
        fit_device(device_home("phone"))


SEVEN = (
    "mobilenetv1-0.5",
    "mobilenetv2-0.5",
    "mobilenetv2-1.0",
    "repvgg-a0",
    "squeezenet-1.1",
    "mnasnet-b1",
    "fbnet-c",
)


def own_device(workspace: Path, latency_ms: dict[str, float]) -> None:
    """A device `phone` of the workspace, with these latencies of known networks."""
    folder = workspace / "latency_tables" / "phone"
    folder.mkdir(parents=True)
    text = (device_home("iphone12").folder / "device.yaml").read_text("utf-8")
    (folder / "device.yaml").write_text(text.replace("name: iphone12", "name: phone"), encoding="utf-8")
    rows = [
        f"{name},{name.partition('-')[0]},224,yes,convolutional,{ms!r},{1e-6 * ms!r},mine,here,2026"
        for name, ms in latency_ms.items()
    ]
    (folder / "networks.csv").write_text("\n".join((",".join(COLUMNS), *rows, "")), encoding="utf-8")


def test_a_row_that_does_not_calibrate_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a row is looked up where its name means something; a misspelt one that calibrates is an error."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    own_device(tmp_path, dict.fromkeys(SEVEN, 2.0))
    home = device_home("phone")
    table = home.folder / NETWORKS_FILE
    rows = "".join(
        f"{name},vit,224,yes,transformer,60,1,mine,here,2026\n" for name in ("vit-tiny", "vit.onnx", "mobilevit-xs")
    )
    table.write_text(table.read_text("utf-8") + rows, encoding="utf-8")
    index = published_index(home)
    for name, ms in {"fbnet-c": 2.0, "mobilevit-xs": 60.0}.items():
        assert [row.latency_ms for row in index.find(known_network(name).graph().operators())] == [ms]
    assert len(load_calibration(home).rows) == len(SEVEN)
    table.write_text(table.read_text("utf-8").replace("vit,224,yes,transformer", "vit,224,yes,convolutional"))
    for read in (published_index, load_calibration):
        with pytest.raises(InputError, match=f"{table}: network must be a known name or a file, but got 'vit-tiny'"):
            read(home)


def test_a_row_may_name_a_network_by_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    known, own = known_network("fbnet-c"), known_network("mobilenetv2-0.65@160").named("mine")
    folder = tmp_path / "runs" / "zoo" / "mine"
    folder.mkdir(parents=True)
    (folder / "architecture.yaml").write_text(own.to_yaml(), encoding="utf-8")
    (folder.parent / "bad").mkdir()
    (folder.parent / "bad" / "architecture.yaml").write_text("[", encoding="utf-8")
    own_device(tmp_path, {known.digest: 2.0, own.digest: 3.0})
    index = published_index(device_home("phone"))
    for network, ms in ((known, 2.0), (own, 3.0)):
        assert [row.latency_ms for row in index.find(network.graph().operators())] == [ms]
    (folder / "architecture.yaml").unlink()
    with pytest.raises(InputError, match=f"a digest must be that of a known network.* but got '{own.digest}'"):
        published_index(device_home("phone"))


def test_a_few_timed_networks_make_a_device_that_says_how_good_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(lut, "TABLE_SEGMENTS", 40)
    graphs = {name: known_network(name).graph() for name in SEVEN}
    # A slow board, where multiply-adds and parameters are all that counts.
    slow = {name: 11.0 + graph.macs / 0.27e6 + graph.params / 0.1e6 for name, graph in graphs.items()}
    own_device(tmp_path, slow)
    found = fit_device(device_home("phone"))
    assert found.calibrated.share == 0.0
    estimate = predict(device_home("phone"), "mobilenetv2-1.4").estimate
    graph = known_network("mobilenetv2-1.4").graph()
    assert estimate.mean_ms == pytest.approx(11.0 + graph.macs / 0.27e6 + graph.params / 0.1e6, rel=0.01)
    assert any("MACs and parameters alone" in warning for warning in estimate.warnings)
    told = fitted_model(device_home("phone"))
    assert told["model"] == "MACs and parameters"
    assert told["left_out"]["macs_and_parameters"]["mean"] < 0.01 < 0.3 < told["left_out"]["constant"]["mean"]
    text = fitted_text("phone", found)
    assert "no better than multiply-adds and" in text
    assert "one family" not in text


def test_a_device_that_nothing_predicts_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    own_device(tmp_path, dict(zip(SEVEN, (30.0, 31.0, 29.5, 30.5, 30.2, 29.0, 30.8), strict=True)))
    with pytest.raises(NasError, match="Nothing was written"):
        fit_device(device_home("phone"))
    assert not (tmp_path / "latency_tables" / "phone" / "coefficients.json").exists()
    assert fitted_model(device_home("phone")) == {}

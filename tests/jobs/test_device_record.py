from __future__ import annotations

from pathlib import Path

import pytest

from nas.jobs.device_record import device_record
from nas.latency import device_home
from nas.resources import shipped_room


def test_a_fitted_device_is_compared_with_what_was_published() -> None:
    record = device_record(device_home("pixel3-cpu"))
    rows = (shipped_room("latency_tables") / "pixel3-cpu" / "networks.csv").read_text().splitlines()[1:]
    assert len(record["compared"]) == len(rows)
    printed = {float(row.split(",")[5]) for row in rows}
    assert {one["ms"] for one in record["compared"]} == printed
    assert record["left_out"]["ours"]["median"] < record["left_out"]["macs_and_parameters"]["median"]
    names = {one["name"]: one for one in record["networks"]}
    assert names["mobilenetv2-1.0"]["latency"]["source"] == "modelled"


def test_a_device_without_a_table_has_its_facts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    record = device_record(device_home("local"))
    assert set(record) == {"schema", "device", "notes"} and record["device"]["name"] == "local"


def test_a_device_of_rows_alone_says_which_networks_it_does_not_cover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    from nas.space import load_architecture

    shipped = shipped_room("latency_tables") / "iphone12" / "device.yaml"
    folder = tmp_path / "latency_tables" / "rows-alone"
    folder.mkdir(parents=True)
    (folder / "device.yaml").write_text(shipped.read_text().replace("iphone12", "rows-alone"))
    keys = dict.fromkeys(segment.key for segment in load_architecture("mobilenetv1-1.0").graph().segments)
    lines = [f'"{key}",1.0,0.9,1.1,3,measured,2026' for key in keys]
    (folder / "table.csv").write_text("segment,mean_ms,low_ms,high_ms,count,source,date\n" + "\n".join(lines) + "\n")
    record = device_record(device_home("rows-alone"))
    found = {one["name"]: one for one in record["networks"]}
    assert found["mobilenetv1-1.0"]["latency"]["source"] == "measured"
    assert found["repvit-m0.9"]["latency"] is None and "must have a row" in found["repvit-m0.9"]["fault"]
    assert record["coverage"][0]["rows"] == len(keys) and record["compared"] == []

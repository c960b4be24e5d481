"""A table of few networks, on a simulated device, with the help of the shipped devices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nas.cli.main import main
from nas.errors import InputError
from nas.jobs.device_record import device_record
from nas.jobs.lut import predict
from nas.jobs.lut_build import TableRequest, build_table, measured_space, plan_table, refit_table
from nas.jobs.lut_bundle import BundleRequest, import_bundle, make_bundle
from nas.jobs.lut_few import helping_devices, is_from_few
from nas.jobs.lut_verify import verify_table
from nas.latency import DeviceHome, device_home, load_latency
from nas.latency.table.rows import read_table
from nas.latency.transfer.networks import TransferredOperators, device_of
from nas.measure.few import FEW, FewTable, few_items
from nas.measure.fit import BuiltTable
from nas.measure.plan import REFERENCE_NETWORK
from nas.pages import page_of
from nas.pages.documents import of_device, of_result
from nas.report.few_text import few_text
from tests.jobs.simulated import simulate, write_space
from tests.jobs.small import small_document
from tests.latency.timed.networks import true_ms
from tests.measure.bundles import add_phone, fill_in
from tests.measure.devices import SimulatedRunner

COUNT = 12
HELPING = ("i7-12700h-cpu", "i9-10940x-cpu", "iphone12", "pixel1-cpu", "pixel3-cpu")
"""Shipped devices with operator costs of their own."""
HELPED = f"modelled from 12 measurements of whole networks and the operator costs of {', '.join(HELPING)}"


def local() -> DeviceHome:
    return device_home("local")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, FewTable]]:
    """A workspace whose `local` has the model of `COUNT` networks, and what its build said."""
    folder = tmp_path_factory.mktemp("workspace")
    patch = pytest.MonkeyPatch()
    simulate(patch, folder, SimulatedRunner())
    write_space(folder, small_document())
    request = TableRequest(home=local(), space="small", networks=COUNT)
    planned = plan_table(request)
    assert not local().timings.exists()
    found = build_table(request, progress=lambda state: None)
    assert isinstance(found, FewTable)
    # What was planned was timed, and nothing else; the reference is beside it.
    assert len(planned.chosen) == found.networks == COUNT - 1
    assert planned.others == found.operators.names == HELPING
    yield folder, found
    patch.undo()


def test_few_networks_make_a_model_that_is_read_back_and_predicts(built: tuple[Path, FewTable]) -> None:
    folder, found = built
    model = load_latency("local")
    assert isinstance(model.operators, TransferredOperators)
    assert model.operators.to_json() == found.operators.to_json()
    assert model.operators.manifest["model"] == HELPED
    assert HELPED in (folder / "latency_tables" / "local" / "device.yaml").read_text("utf-8").replace("\n ", "")
    networks = list(measured_space("small").sample(30, np.random.default_rng(8)))
    truth = true_ms([network.segments() for network in networks])
    estimates = [model.estimate(network) for network in networks]
    errors = np.abs(np.array([one.mean_ms for one in estimates]) / truth - 1.0)
    assert np.median(errors) < 0.1
    inside = [one.low_ms <= ms <= one.high_ms for one, ms in zip(estimates, truth, strict=True)]
    assert np.mean(inside) >= 0.8
    assert {one.source for one in estimates} == {"predicted"}
    # The table is a printout: no row of it is served.
    rows = read_table(found.folder / "table.csv")
    assert rows and {(row.source, row.count) for row in rows.values()} == {("predicted", 0)}
    assert not model.rows


def test_it_serves_whatever_asks_for_a_table(
    built: tuple[Path, FewTable], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = built
    assert predict(local(), "mobilenetv2-0.35").model == HELPED
    assert HELPED in few_text(found).replace("\n", " ")
    record = device_record(local())
    assert len(record["compared"]) == COUNT - 1
    assert {"ours", "scaled"} == set(record["left_out"])
    assert "predicted" in page_of(of_device(record)).headline
    assert HELPED in page_of(of_result(found.as_json())).headline
    checked = verify_table(local(), "small", count=4)
    assert checked.speed == pytest.approx(1.0, abs=0.02)
    assert is_from_few(local())
    again = refit_table(local())
    assert isinstance(again, FewTable) and again.operators.to_json() == found.operators.to_json()
    for words in (["show", "--device", "local"], ["predict", "mobilenetv2-0.35", "--device", "local"]):
        assert main(["lut", *words]) == 0
        assert f"the operator costs of {HELPING[0]}" in capsys.readouterr().out.replace("\n", " ")
    assert main(["lut", "fit", "--device", "local", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["others"] == list(HELPING)


def test_of_many_timings_the_device_alone_is_fitted(
    built: tuple[Path, FewTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = built
    files = {path: path.read_bytes() for path in (folder / "latency_tables" / "local").iterdir()}
    monkeypatch.setattr("nas.measure.few.MOST_HELPED", COUNT - 1)
    assert isinstance(refit_table(local()), BuiltTable)
    for path, content in files.items():
        path.write_bytes(content)


def test_more_networks_add_to_those_that_are_there(built: tuple[Path, FewTable]) -> None:
    more = build_table(TableRequest(home=local(), space="small", networks=COUNT + 2), progress=lambda state: None)
    assert isinstance(more, FewTable)
    assert more.networks == COUNT + 1
    plan = plan_table(TableRequest(home=local(), space="small", networks=COUNT + 2))
    assert plan.chosen == () and plan.timed_before == COUNT + 1


def test_the_networks_of_fewer_come_first_and_a_third_of_them_are_known(built: tuple[Path, FewTable]) -> None:
    others = helping_devices(local())
    assert [device_of(one) for one in others] == list(HELPING)  # no device that others helped
    few, fewer = (few_items(measured_space("small"), local().runtime, others, count) for count in (9, 5))
    assert [item.digest for item in fewer] == [item.digest for item in few[:5]]
    assert [item.role for item in few] == ["space", "space", "known"] * 3
    assert len({item.digest for item in few}) == 9
    assert REFERENCE_NETWORK not in [item.name for item in few]


def test_too_few_networks_and_two_sizes_are_refused(
    built: tuple[Path, FewTable], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="at least 4, the reference among them"):
        plan_table(TableRequest(home=local(), space="small", networks=3))
    assert main(["lut", "plan", "--device", "local", "--budget", "1m", "--networks", "20"]) == 2
    assert "must not both be given" in capsys.readouterr().err


def test_few_networks_of_a_bundle_make_the_same_kind_of_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch, tmp_path, SimulatedRunner())
    write_space(tmp_path, small_document())
    add_phone(tmp_path)
    out = tmp_path / "out"
    made = make_bundle(BundleRequest(home=device_home("phone"), out=out, space="small", networks=8))
    roles = [network.role for network in made.bundle.networks]
    assert roles == ["reference", *["space", "space", "known"] * 2, "space"]
    assert "From 4 timed networks on" in (out / "README.md").read_text("utf-8")

    def latency(number: int, row: dict[str, str]) -> str:
        return (out / row["file"]).read_text("utf-8").removesuffix(" ms") if number < 6 else ""

    fill_in(out, latency)
    found = import_bundle(device_home("phone"), out)
    assert isinstance(found.table, FewTable) and found.needed == 0 and found.timed <= FEW
    assert found.table.networks == found.timed - 1
    assert load_latency("phone").estimate("mobilenetv2-0.35").source == "predicted"

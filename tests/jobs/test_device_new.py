from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.errors import InputError
from nas.jobs.device_new import RUNTIMES, NewDevice, new_device
from nas.latency import device_home
from nas.latency.way import WAYS, Adb, Ssh
from nas.runners.find import find_runner


@pytest.fixture(autouse=True)
def workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("runtime", [None, *RUNTIMES])
@pytest.mark.parametrize("reach", WAYS)
def test_what_is_written_is_a_device_whose_runner_is_found(reach: str, runtime: str | None) -> None:
    if (reach, runtime) in (("adb", "coreml"), ("ios", "onnx"), ("ios", "litert")):
        return
    device, place = new_device(NewDevice(name="mine", reach=reach, runtime=runtime))
    home = device_home("mine")
    assert home.device == device and device.reach == reach and home.file == place
    assert "# " in place.read_text("utf-8")
    if device.is_timed:
        assert find_runner(home).suffix in (".onnx", ".tflite", ".mlpackage")


def test_a_host_and_a_serial_go_into_the_file() -> None:
    far, _ = new_device(NewDevice(name="far", reach="ssh", host="pi@pi.local"))
    assert isinstance(far.way, Ssh) and far.way.host == "pi@pi.local"
    phone, _ = new_device(NewDevice(name="phone", reach="adb", serial="0123:5555"))
    assert isinstance(phone.way, Adb) and phone.way.serial == "0123:5555"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"name": "local", "reach": "local"}, "local is there already"),
        ({"name": "a/b", "reach": "local"}, "device must be a plain name"),
        ({"name": "a", "reach": "adb", "host": "h"}, "--host must come with --reach ssh, but got --reach adb"),
        ({"name": "a", "reach": "ssh", "serial": "h"}, "--serial must come with --reach adb"),
        ({"name": "a", "reach": "adb", "runtime": "coreml"}, "--runtime must be one of an Android phone"),
        ({"name": "a", "reach": "ios", "runtime": "onnx"}, "--runtime must be coreml for --reach ios, but got 'onnx'"),
        ({"name": "a", "reach": "ssh", "host": 'x" # $(touch pwned)'}, "host must be a name of your ssh"),
    ],
)
def test_what_cannot_be_is_refused_and_writes_nothing(asked: dict[str, Any], words: str, workspace: Path) -> None:
    with pytest.raises(InputError) as caught:
        new_device(NewDevice(**asked))
    assert words in str(caught.value)
    assert not (workspace / "latency_tables").exists()


@pytest.mark.parametrize("reach", WAYS)
def test_a_chip_that_nothing_finds_is_to_be_written_first(reach: str) -> None:
    device, place = new_device(NewDevice(name="mine", reach=reach))
    is_asked = reach in ("ios", "bundle")
    note = place.read_text("utf-8").partition("\nchip: ")[0]
    assert ("first, as times are of" in note) == is_asked == ("A build writes what it finds" not in note)
    assert device.chip.endswith("it is written here") == is_asked

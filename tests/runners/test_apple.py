"""Connected iPhones: no Mac is at hand, so coremltools is one of the tests' own, of version 9.0's interface."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import InputError, UnreachableError
from nas.latency.home import DeviceHome, device_home
from nas.latency.way import Ios
from nas.runners import apple
from nas.runners.apple import AppleRunner
from nas.runners.find import find_runner
from nas.runners.protocol import FileFault, TimingJob

_FILES = {
    "__init__.py": """
import enum
from . import models
class ComputeUnit(enum.Enum):
    CPU_ONLY, CPU_AND_GPU, CPU_AND_NE = 1, 2, 3
""",
    "models/__init__.py": """
class MLModel:
    def __init__(self, path, compute_units, skip_model_load):
        text = open(path).read()
        if not text.startswith("package"):
            raise ValueError("no package")
        self.ms, self.unit = float(text.split()[1]), compute_units.name
        assert skip_model_load  # it runs elsewhere
""",
    "models/ml_program/__init__.py": "",
    "models/ml_program/experimental/__init__.py": "",
    "models/ml_program/experimental/remote_device.py": """
import enum, os
from dataclasses import dataclass, replace
class DeviceType(enum.Enum):
    IPHONE, IPAD = "iphone", "ipad"
@dataclass(frozen=True)
class AppSigningCredentials:
    development_team: str | None = ""
    provisioning_profile_uuid: str | None = None
    bundle_identifier: str | None = None
@dataclass(frozen=True)
class Device:
    name: str
    type: DeviceType
    udid: str
    os_version: str = "18.1"
    session: object = None
    @staticmethod
    def get_connected_devices(device_type):
        found = [Device("a phone", DeviceType.IPHONE, "1-A"), Device("a tablet", DeviceType.IPAD, "2-B")]
        return [one for one in found if one.type is device_type and one.udid in os.environ["CONNECTED"].split()]
    async def prepare_for_model_debugging(self, credentials, working_directory):
        print("building")  # as xcodebuild's progress is: it must not be in the way
        if not credentials.development_team:
            raise RuntimeError("signing needs a development team")
        assert working_directory.is_dir()
        return replace(self, session="an app")
""",
    "models/ml_program/experimental/perf_utils.py": """
from dataclasses import dataclass
@dataclass
class Measurement:
    samples: list
class MLModelBenchmarker:
    def __init__(self, model, device):
        assert device.session == "an app"
        self.model = model
    async def benchmark_load(self, iterations):
        return Measurement([40.0] * iterations)
    async def benchmark_predict(self, iterations, warmup=False):
        return Measurement([self.model.ms + (0.0 if warmup else 5.0)] * iterations)
""",
}


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This machine as a Mac, to which a phone is connected, and a folder."""
    for name, text in _FILES.items():
        path = tmp_path / "lib" / "coremltools" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(apple, "_PLATFORM", sys.platform)
    monkeypatch.setattr(apple, "find_spec", lambda name: name)
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path / "lib"), before])))
    monkeypatch.setenv("CONNECTED", "1-A")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def home(**changes: str) -> DeviceHome:
    found = device_home("local")
    device = replace(
        found.device, chip="Apple A17 Pro", runtime="Core ML", reach="ios", precision="float16", threads=0,
        compute_unit="Neural Engine", way=Ios(**{"team": "ABCDE12345", **changes}),
    )  # fmt: skip
    return replace(found, device=device)


def job(*files: Path) -> TimingJob:
    return TimingJob(files=files, rounds=3, threads=0, precision="float16", compute_unit="Neural Engine")


def package(folder: Path, text: str) -> Path:
    path = folder / f"{text.replace(' ', '-')}.mlpackage"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_connected_phone_is_timed_by_coremltools(mac: Path) -> None:
    runner = find_runner(home())
    assert isinstance(runner, AppleRunner) and runner.suffix == ".mlpackage"
    assert runner.environment() == {
        "chip": "Apple A17 Pro", "runtime": "Core ML, iOS 18.1", "system": "iphone, iOS 18.1", "cores": "1",
    }  # fmt: skip
    with runner:
        found = runner.time(job(package(mac, "package 2.5"), package(mac, "nothing"), package(mac, "package 4")))
    first, bad, last = found.results
    assert isinstance(bad, FileFault) and "no package" in bad.text
    assert not isinstance(first, FileFault) and not isinstance(last, FileFault)
    assert (first.wall_ms, last.wall_ms) == ((2.5,) * 3, (4.0,) * 3)
    assert (first.load_ms, first.first_ms) == (40.0, 7.5)


def test_which_of_several_is_to_be_named(mac: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTED", "1-A 2-B")
    with pytest.raises(
        UnreachableError, match=r"one iPhone or iPad must be connected.*a phone \(1-A\), a tablet \(2-B\)"
    ):
        find_runner(home()).environment()
    assert find_runner(home(udid="2-B")).environment()["runtime"] == "Core ML, iPadOS 18.1"


def test_what_is_not_as_it_must_be_is_told(mac: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreachableError, match="must run coremltools' own app, but: signing needs a development team"):
        find_runner(home(team="")).time(job(package(mac, "package 1")))
    monkeypatch.setenv("CONNECTED", "")
    with pytest.raises(UnreachableError, match="but there are: none; connect it"):
        find_runner(home()).environment()
    (mac / "lib/coremltools/models/ml_program/experimental/remote_device.py").unlink()
    with pytest.raises(UnreachableError, match=r"coremltools must be 8\.3 or newer"):
        find_runner(home()).environment()


def test_elsewhere_than_on_a_mac_the_way_out_is_told(mac: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apple, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="coremltools must be installed"):
        find_runner(home()).environment()
    monkeypatch.setattr(apple, "_PLATFORM", "another")
    with pytest.raises(InputError, match="must be timed from a Mac with Xcode.*reach: bundle"):
        find_runner(home()).environment()
    other = home()
    with pytest.raises(InputError, match="runtime must be Core ML for reach: ios"):
        find_runner(replace(other, device=replace(other.device, runtime="LiteRT")))


def test_a_chip_that_nobody_has_told_yet_is_asked_for(mac: Path) -> None:
    found = home()
    with pytest.raises(InputError, match="chip must be that of the device.*write it there first"):
        find_runner(replace(found, device=replace(found.device, chip="unknown until it is measured"))).environment()

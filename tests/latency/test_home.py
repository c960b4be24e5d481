from __future__ import annotations

from pathlib import Path

import pytest

from nas.errors import InputError
from nas.latency.device import device_names
from nas.latency.home import device_home
from tests.latency.test_device import TEXT, write


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    return tmp_path.resolve()


def test_a_home_says_where_its_device_is_read_written_and_timed(here: Path) -> None:
    place = write(here, TEXT)
    home = device_home("mine")
    assert (home.name, home.device.chip) == ("mine", "a chip")
    assert home.file.resolve() == place and home.folder.resolve() == home.own_folder == place.parent
    assert home.timings == here / "runs" / "lut" / "mine.db"
    assert not home.timings.exists()


def test_a_shipped_device_is_read_where_it_is_and_written_to_the_workspace(here: Path) -> None:
    home = device_home("iphone12")
    assert home.folder != home.own_folder == here / "latency_tables" / "iphone12"
    assert (home.folder / "coefficients.json").exists() and not home.own_folder.exists()


def test_the_workspace_comes_before_what_is_shipped(here: Path) -> None:
    write(here, TEXT.replace("name: mine", "name: iphone12"), name="iphone12")
    assert device_home("iphone12").device.chip == "a chip"
    assert "iphone12" in device_names()


def test_a_home_is_read_again_where_files_were_written(here: Path) -> None:
    home = device_home("local")
    assert home.reread() == home
    write(here, TEXT.replace("name: mine", "name: local"), name="local")
    again = home.reread()
    assert (again.folder, again.device.chip) == (home.own_folder, "a chip")
    assert home.device.chip == "this machine"


def test_unknown_names_and_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nearest: iphone12"):
        device_home("iphone")
    for path in ("latency_tables/iphone12", "../iphone12", str(tmp_path)):
        with pytest.raises(InputError, match="plain name"):
            device_home(path)


def test_a_folder_must_bear_its_devices_name(here: Path) -> None:
    write(here, TEXT, name="yours")
    with pytest.raises(InputError, match="name must be that of its folder"):
        device_home("yours")


@pytest.mark.parametrize("name", sorted(device_names()))
def test_every_shipped_device_loads(name: str) -> None:
    assert device_home(name).device.source

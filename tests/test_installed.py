from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from nas import installed

EDITABLE = {"dir_info": {"editable": True}}


class _Distribution:
    """What `importlib.metadata` says of the program, with one file."""

    def __init__(self, direct_url: dict[str, object] | None) -> None:
        self._text = None if direct_url is None else json.dumps(direct_url)

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self._text


def _install(monkeypatch: pytest.MonkeyPatch, direct_url: dict[str, object] | None) -> None:
    monkeypatch.setattr(installed, "distribution", lambda name: _Distribution(direct_url))


def test_a_checkout_that_make_set_up_is_told_its_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = tmp_path / "a checkout"
    (checkout / ".venv").mkdir(parents=True)
    (checkout / "Makefile").touch()
    _install(monkeypatch, {"url": (checkout).as_uri(), **EDITABLE})
    monkeypatch.setattr(sys, "prefix", str(checkout / ".venv"))
    monkeypatch.chdir(checkout)
    assert installed.extra_remedy("litert") == "make litert"
    monkeypatch.chdir(tmp_path)
    assert installed.extra_remedy("litert") == f"make -C '{checkout}' litert"
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "other"))
    assert installed.extra_remedy("ray") == f"pip install -e '{checkout}[ray]'"


@pytest.mark.parametrize(
    "direct_url",
    [
        None,
        {"url": "https://example.org/nas.whl"},
        {"url": "file:///src/nas", "dir_info": {}},
        {"url": "file:///nas.whl"},
    ],
)
def test_any_other_installation_is_one_of_pip(
    direct_url: dict[str, object] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(monkeypatch, direct_url)
    assert installed.extra_remedy("litert") == "pip install 'nas[litert]'"


def test_a_program_that_is_not_installed_at_all_is_one_of_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installed, "distribution", absent)
    assert installed.extra_remedy("coreml") == "pip install 'nas[coreml]'"


def test_every_extra_that_a_remedy_names_has_its_target() -> None:
    makefile = (Path(__file__).resolve().parent.parent / "Makefile").read_text(encoding="utf-8")
    targets = next(line for line in makefile.splitlines() if line.startswith("EXTRAS :=")).split()[2:]
    assert {"litert", "coreml", "postgresql", "ray"} <= set(targets)

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

from nas import resources

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a clean virtual environment that holds the wheel; the dependencies are this environment's."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (wheel,) = folder.glob("nas-*.whl")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    paths = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    python = Path(sysconfig.get_path("scripts", "venv", paths), "python")
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True, capture_output=True)
    # The .pth files of a folder that is named in one (an editable install of this checkout) are not read.
    Path(sysconfig.get_path("purelib", "venv", paths), "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python


def _run(python: Path, *arguments: str) -> str:
    """The stdout of `python` with `arguments`, run in its own folder, which holds no data."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "NAS_WORKSPACE")}
    folder = python.parent
    done = subprocess.run([python, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_brings_its_data(installed: Path) -> None:
    script = "import nas; from nas.resources import *; print(nas.__file__, *map(shipped_room, ROOMS), sep='\\n')"
    package, *rooms = map(Path, _run(installed, "-c", script).splitlines())
    assert package.is_relative_to(installed.parent.parent)
    assert rooms == [package.parent / "_data" / room for room in resources.ROOMS]
    for room, name in zip(rooms, resources.ROOMS, strict=True):
        shipped = {path.relative_to(CHECKOUT / name) for path in (CHECKOUT / name).rglob("*") if path.is_file()}
        assert shipped, name
        assert {path.relative_to(room) for path in room.rglob("*") if path.is_file()} == shipped


@pytest.mark.parametrize(("group", "name"), [("arch", "mobilenetv3-large-1.0"), ("device", "iphone12")])
def test_the_installed_command_lists_what_ships(installed: Path, group: str, name: str) -> None:
    assert name in [record["name"] for record in json.loads(_run(installed, "-m", "nas", group, "list", "--json"))]


def test_the_checkout_has_every_room() -> None:
    for room in resources.ROOMS:
        assert resources.shipped_room(room) == CHECKOUT / room
        assert resources.shipped_room(room).is_dir()


def test_every_dependency_is_pinned() -> None:
    pins = dict(line.split("==") for line in (CHECKOUT / "constraints.txt").read_text().splitlines() if "==" in line)
    pins = {_normal(name): version for name, version in pins.items()}
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    for requirement in [*project["project"]["dependencies"], *(one for extra in extras for one in extra)]:
        assert _normal(re.split(r"[\[<>=~! ]", requirement)[0]) in pins | {"nas": ""}, requirement
    for requirement in project["build-system"]["requires"]:
        name, version = requirement.split("==")
        assert pins[_normal(name)] == version


def test_long_proofs_are_left_out_by_make_test_alone() -> None:
    recipes = dict(re.findall(r"^(test|test-all):.*\n\t(.*)$", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    assert '-m "not slow"' in recipes["test"] and "slow" not in recipes["test-all"]
    options = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    assert "-m" not in options and not any("slow" in option for option in options)
    commands = (CHECKOUT / ".ci" / "run").read_text().splitlines()
    assert [line for line in commands if line.startswith("make ")] == ["make search", "make check", "make test-all"]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

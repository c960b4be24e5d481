"""docs/add-a-block.md, followed literally in a copy of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nas.documents import parse_yaml
from nas.graph.operators import read_operator_lists
from nas.space import parse_architecture
from tests.shared_data import shared_data

CHECKOUT = Path(__file__).resolve().parent.parent.parent
PAGE = (CHECKOUT / "docs" / "add-a-block.md").read_text(encoding="utf-8")


def _files() -> dict[str, str]:
    """Path → text of each file that the page gives: a line with its path, then a code block."""
    return dict(re.findall(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))


def _apply(diff: str, text: str) -> str:
    before = "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] != "+")
    after = "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] != "-")
    assert text.count(before) == 1, f"the page changes lines that are not there once:\n{before}"
    return text.replace(before, after)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the page followed."""
    copy = tmp_path_factory.mktemp("followed")
    for folder in ("nas", "search_spaces", "tests"):
        shutil.copytree(CHECKOUT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", copy)
    for path, text in _files().items():
        assert not (copy / path).exists()
        (copy / path).write_text(text, encoding="utf-8")
    registry = copy / "nas" / "blocks" / "__init__.py"
    for diff in re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL):
        registry.write_text(_apply(diff, registry.read_text(encoding="utf-8")), encoding="utf-8")
    return copy


def _run(copy: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy), "NAS_WORKSPACE": str(copy)}
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_gives_one_block_file_and_one_family_file() -> None:
    assert list(_files()) == ["nas/blocks/mobilenext.py", "search_spaces/seeds/mobilenext.yaml"]


def test_the_new_network_is_known_and_exact(followed: Path) -> None:
    record = json.loads(_run(followed, "nas", "arch", "show", "mobilenext-1.0", "--training", "--json"))
    assert record["published"]["top1"] == 74.02
    assert sum(layer["block"] == "sandglass" for layer in record["layers"]) == 20
    # The same network, traced by others: weights, two numbers a channel of each batch norm, the classifier's biases.
    traced = read_operator_lists(shared_data("published/accuracy_operators.csv.gz"))["mnext:1.0@224"]
    convs = np.isin(traced.kind, ("dense", "dw", "pw"))
    assert record["params"] == traced.weight_elements.sum() + 2 * traced.out_channels[convs].sum() + 1000
    assert record["macs"] == traced.macs.sum()


@pytest.mark.slow
def test_the_tests_of_every_block_hold_for_it(followed: Path) -> None:
    out = _run(followed, "pytest", "-q", "-p", "no:cacheprovider", "-k", "sandglass", "tests/nets/test_blocks.py")
    passed = re.search(r"(\d+) passed", out)
    assert passed is not None and int(passed[1]) > 10, out
    out = _run(followed, "pytest", "-q", "-p", "no:cacheprovider", "-k", "mobilenext", "tests/nets/test_networks.py")
    assert "2 passed" in out


def test_the_architecture_file_of_the_page_is_one() -> None:
    block = PAGE.partition("## An architecture file")[2]
    text = re.search(r"```yaml\n(.*?)```", block, re.DOTALL)
    assert text is not None
    network = parse_architecture(parse_yaml(text[1], name="the page"), "the page")
    assert [layer.block for layer in network.layers] == ["conv", "mbconv", "mbconv", "head"]

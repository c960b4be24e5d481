from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nas.documents import parse_yaml
from nas.errors import InputError
from nas.space import Architecture, CodeSpace, SearchSpace, known_network, load_architecture, load_space, space_paths
from nas.space.codes import parse_code_space
from nas.space.encode import encode
from tests.space.examples import TINY, space_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "search-spaces.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    (tmp_path / "search_spaces").mkdir()
    return tmp_path


def test_a_shipped_space_by_name() -> None:
    space = load_space("mobile")
    assert isinstance(space, SearchSpace)
    assert space.source == str(space_paths()["mobile"])


def test_the_workspace_comes_first(workspace: Path) -> None:
    (workspace / "search_spaces" / "mobile.yaml").write_text(TINY)
    (workspace / "search_spaces" / "mine.yaml").write_text("schema: 1\nname: mine\ngenes: {a: [1, 2]}\n")
    space, mine = load_space("mobile"), load_space("mine")
    assert isinstance(space, SearchSpace) and space.name == "tiny"
    assert isinstance(mine, CodeSpace) and mine.size == 2
    assert set(space_paths()) >= {"mobile", "mine"}


@pytest.mark.parametrize("as_text", [True, False])
def test_a_path(tmp_path: Path, as_text: bool) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(TINY)
    space = load_space(str(path) if as_text else path)
    assert space.name == "tiny"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (
            "mobil",
            r"search space must be a known name or a file, but got 'mobil' \(nearest: mobile.*\). `nas space list`",
        ),
        ("", "search space must be a known name or a file, but got ''"),
        ("nowhere.yaml", "nowhere.yaml must be a readable YAML file, but: No such file or directory."),
        ("./mobile", "mobile must be a readable YAML file, but: No such file or directory."),
        ("/", "/ must be a readable YAML file, but: Is a directory."),
    ],
)
def test_what_is_no_space(reference: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_space(reference)


def test_the_examples_of_the_page_are_spaces() -> None:
    networks, codes = EXAMPLES
    space = space_of(networks)
    assert {kind for stage in space.stages for kind in stage.kinds} == {"mbconv", "repvit"}
    for network in space.sample(20, np.random.default_rng(0)):
        assert space.decode(encode(space, network)).digest == network.digest
    points = parse_code_space(parse_yaml(codes, name="page"), "page")
    assert {"layer0": 2, "layer1": 0, "optimizer": "sgd"} in [
        dict(point.genes) for point in points.sample(200, np.random.default_rng(0))
    ]


def test_the_page_names_every_key() -> None:
    for key in ("schema", "name", "description", "num_classes", "resolution", "stems", "kinds", "stages", "heads"):
        assert f"`{key}`" in PAGE
    for key in ("stride", "kinds", "depth", "width", "kernel", "expansion", "se", "act", "free_blocks"):
        assert f"`{key}`" in PAGE


def test_an_architecture_by_name_file_and_folder(tmp_path: Path) -> None:
    network = known_network("mobilenetv3-small-1.0")
    (tmp_path / "architecture.yaml").write_text(network.to_yaml())
    found: list[Architecture] = [
        load_architecture("mobilenetv3-small-1.0"),
        load_architecture(tmp_path / "architecture.yaml"),
        load_architecture(str(tmp_path)),
    ]
    assert {architecture.digest for architecture in found} == {network.digest}


def test_what_is_no_architecture(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"must be an architecture file or a folder with architecture.yaml, but has none"
    ):
        load_architecture(tmp_path)
    with pytest.raises(InputError, match=r"network must be a known name or a file, but got 'repvit-m1.1x'"):
        load_architecture("repvit-m1.1x")

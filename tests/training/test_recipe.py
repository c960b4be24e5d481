from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.documents import read_yaml
from nas.errors import InputError
from nas.training import load_recipe, parse_recipe, recipe_paths

MINIMAL: dict[str, Any] = {
    "schema": 1, "name": "mine", "source": "me", "epochs": 3, "batch": 8,
    "optimizer": {"kind": "sgd", "lr": 0.1}, "schedule": {"kind": "cosine"},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(recipe_paths()))
def test_a_shipped_recipe_is_named_as_its_file_and_reads_back(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert parse_recipe(recipe.as_json(), "again") == recipe


@pytest.mark.parametrize("name", sorted(recipe_paths()))
def test_every_number_of_a_shipped_recipe_arrives(name: str) -> None:
    def flat(document: dict[str, Any], path: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in document.items():
            found |= flat(value, f"{path}{key}.") if isinstance(value, dict) else {path + key: value}
        return found

    read = flat(load_recipe(name).as_json())
    assert {key: read[key] for key in flat(read_yaml(recipe_paths()[name]))} == flat(read_yaml(recipe_paths()[name]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"optimizer": {"kind": "sgd", "lr": 0.1, "momentums": 0.9}}, "did you mean 'momentum'"),
        ({"optimizer": {"kind": "adamw", "lr": 0.1, "nesterov": True}}, "keys must be known, but got 'nesterov'"),
        ({"optimizer": {"kind": "adam", "lr": 0.1}}, "optimizer.kind must be one of sgd, rmsprop, adamw"),
        ({"optimizer": {"kind": ["sgd"], "lr": 0.1}}, "optimizer.kind must be one of sgd, rmsprop, adamw"),
        ({"optimizer": {"kind": "sgd", "lr": -1}}, "optimizer.lr must be a number from"),
        ({"optimizer": {"kind": "sgd", "lr": True}}, "optimizer.lr must be a number from"),
        ({"optimizer": {"kind": "sgd"}}, "the key 'lr' must be given"),
        ({"augment": {"flip": 1}}, "augment.flip must be true or false"),
        ({"augment": {"scale": [0.9, 0.1]}}, "augment.scale must be low, high"),
        ({"augment": {"randaugment": {"number": 1.5, "magnitude": 9}}}, "number must be a whole number"),
        ({"schedule": {"kind": "steps", "factor": 0.9}}, "must have every_epochs and factor"),
        ({"sizes": {"kind": "growing", "shares": [0.5, 1], "until": [0.5, 0.9]}}, "rises to 1"),
        ({"schema": 2}, "schema must be 1"),
        ({"name": ""}, "name must be a text"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_recipe(MINIMAL | change, "mine.yaml")


def test_an_unknown_recipe_has_its_nearest() -> None:
    with pytest.raises(InputError, match="nearest: mobilenetv3"):
        load_recipe("mobilenetv")


def test_a_recipe_of_the_workspace_and_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "training_recipes"
    folder.mkdir()
    lines = ["schema: 1", "name: mine", "source: me", "epochs: 3", "batch: 8"]
    text = "\n".join([*lines, "optimizer: {kind: sgd, lr: 0.1}", "schedule: {kind: cosine}"])
    (folder / "mine.yaml").write_text(text)
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    assert load_recipe("mine") == load_recipe(folder / "mine.yaml") == parse_recipe(MINIMAL, "mine")


def test_learning_rates_follow_the_batch() -> None:
    recipe = load_recipe("repvit").at_batch(512)
    assert (recipe.batch, recipe.optimizer.lr) == (512, 1e-3)
    assert recipe.schedule.final_lr == pytest.approx(2.5e-6)
    assert recipe.optimizer.weight_decay == 0.025

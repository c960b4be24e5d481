from __future__ import annotations

from pathlib import Path

import pytest

from nas.accuracy import AccuracyModel, Recipe, load_accuracy
from nas.errors import InputError
from nas.space import known_network
from nas.testing.accuracy import AccuracyModelConformance
from tests.accuracy.tables import copied


class TestImageNet(AccuracyModelConformance):
    @pytest.fixture
    def model(self) -> AccuracyModel:
        return load_accuracy("imagenet")


def test_an_estimate_says_its_recipe_and_that_it_is_predicted() -> None:
    model, network = load_accuracy("imagenet"), known_network("mobilenetv2-1.0")
    plain, long = (model.estimate([network], recipe=recipe)[0] for recipe in (None, Recipe(epochs=600.0)))
    assert plain.source == "predicted"
    assert plain.recipe == "300 epochs, modern augmentation, no distillation"
    assert 0 < plain.low < plain.mean < plain.high < 1
    assert long.mean > plain.mean
    assert long.recipe.startswith("600 epochs")
    assert model.predict([network])[0] == pytest.approx(plain.mean)


@pytest.mark.parametrize(
    ("name", "words"),
    [("imagenett", "nearest: imagenet"), ("../imagenet", "plain name"), ("", "plain name"), ("a/b", "plain name")],
)
def test_unknown_names_are_refused(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_accuracy(name)


def test_the_predictor_of_the_workspace_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied(tmp_path / "predictors")
    (folder / "prior.npz").write_bytes(b"damaged")
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    with pytest.raises(InputError, match=str(folder / "prior.npz")):
        load_accuracy("imagenet")

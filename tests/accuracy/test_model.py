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


FAMILIES = ("mobilenetv3-large-1.0", "squeezenet-1.1", "repvit-m1.0", "mobilevit-xs", "espnetv2-1.0", "poolformer-s12")


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_network_is_to_classify_makes_no_difference(name: str) -> None:
    model, network = load_accuracy("imagenet"), known_network(name)
    others = [network.adapted(num_classes=classes) for classes in (2, 10, 100, 999, 1001)]
    others += [network.adapted(in_channels=channels) for channels in (1, 4)]
    assert len({other.digest for other in (network, *others)}) == 8
    assert len({other.params for other in (network, *others)}) == 8
    found = model.estimate([network, *others])
    for estimate in found[1:]:
        assert (estimate.mean, estimate.low, estimate.high) == pytest.approx(
            (found[0].mean, found[0].low, found[0].high), rel=0, abs=1e-9
        )
    assert {estimate.data for estimate in found} == {"imagenet"}


def test_a_rectangle_counts_by_its_area() -> None:
    """96 x 384 has as many pixels as 192 x 192, and so have all maps: only the shape of the image differs."""
    model, network = load_accuracy("imagenet"), known_network("mobilenetv2-1.0")
    square, rectangle = network.at_resolution(192), network.at_resolution((96, 384))
    assert rectangle.macs == square.macs
    assert model.predict([rectangle])[0] == pytest.approx(model.predict([square])[0], rel=0, abs=1e-9)


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

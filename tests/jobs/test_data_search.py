"""A search on images: seconds of training on a few networks of 32 pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import nas
from nas.data import open_data
from nas.errors import InputError, NasError, TargetError
from nas.jobs import trained
from nas.jobs.data_answer import DataAnswer
from nas.jobs.data_run import DataRequest, run_data_search
from nas.jobs.data_space import default_space, kind_of, rivals, space_for, tried_note
from nas.latency import Estimate, load_latency
from nas.runs import Tables, database_url
from nas.runs.models import EvaluationRow
from nas.space import Architecture, load_architecture
from nas.space.reading import parse_search_space
from tests.jobs.small import tiny_document
from tests.jobs.test_train import write_images

SPACE = parse_search_space(tiny_document(), "tiny")
MEMBERS = ("mobilenetv1-0.25", "squeezenet-1.1")


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with images, where two families are known."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    monkeypatch.setattr("nas.jobs.data_space.family_members", lambda: [load_architecture(name) for name in MEMBERS])
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    write_images(tmp_path / "photos.npz")
    yield tmp_path
    torch.set_num_threads(before)


def search(workspace: Path, **changes: Any) -> DataAnswer:
    usual: dict[str, Any] = {
        "latency": load_latency("pixel3-cpu"), "data": workspace / "photos.npz", "target_ms": 0.3, "epochs": 3,
        "seeds": 2, "trials": 4, "baselines": 2, "asker": "random",
    }  # fmt: skip
    found: DataAnswer = nas.search(SPACE, **{**usual, **changes})
    return found


def evaluations() -> list[EvaluationRow]:
    with Tables(database_url()).reading() as session:
        assert session is not None
        rows = session.query(EvaluationRow).all()
        session.expunge_all()
    return rows


def test_from_images_to_a_trained_network_and_a_second_search(workspace: Path) -> None:
    found = search(workspace)
    # Three epochs: one rung of one epoch, and full trainings of three.
    assert (found.rungs, found.epochs, found.images) == ((1,), 3, {"train": 180, "val": 20, "test": 60})
    assert [len(found.trials[part]) for part in ("known", "searched")] == [2, 4]
    assert all(
        trial.state == "done" and trial.epochs == 1 for part in ("known", "searched") for trial in found.trials[part]
    )
    # Finalists are the best two of each part, of different families; the best of each has two seeds.
    parts = [one.finalist.part for one in found.finalists]
    assert sorted(parts) == ["known", "known", "searched", "searched"]
    assert len({one.finalist.family for one in found.finalists if one.finalist.part == "known"}) == 2
    compared = [found.searched, found.known]
    for one in found.finalists:
        assert sorted(one.trained) == ([0, 1] if one in compared else [0])
        assert (one.right is not None) == (one in compared)
        assert [epoch["number"] for epoch in one.trained[0].history] == [1, 2, 3]
    means = {
        trial.digest: np.mean([t.accuracy for t in found.trials["searched"] if t.digest == trial.digest])
        for trial in found.trials["searched"]
    }
    chosen = {one.architecture.digest for one in found.finalists if one.finalist.part == "searched"}
    assert min(means[digest] for digest in chosen) >= max(m for digest, m in means.items() if digest not in chosen)
    # The better of the two on validation images is the answer, and its weights are those that were tested.
    assert found.known is not None and found.comparison is not None
    better = found.searched if found.searched.validation >= found.known.validation else found.known
    assert found.best is better and found.best.accuracy is not None
    assert found.best.right is not None and found.best.right.shape == (2, 60)
    assert found.searched.right is not None and found.known.right is not None
    assert found.comparison.gain.mean == pytest.approx(found.searched.right.mean() - found.known.right.mean())
    # By hand, once more: the weights that are handed out, on the test images as they lie in the file.
    arrays = np.load(workspace / "photos.npz")
    pixels = torch.from_numpy(arrays["x_test"]).permute(0, 3, 1, 2).float() / 255
    pixels = torch.nn.functional.interpolate(pixels, (32, 32), mode="bilinear")
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        said = found.best.module.eval()((pixels - mean) / std).argmax(1).numpy()
    right = found.best.right[list(found.best.trained).index(found.best.best_seed)]
    assert ((said == arrays["y_test"]) == right).mean() > 0.9  # enlarged by another filter
    assert found.best.module.architecture is not None
    # What it cost: two and four trainings of an epoch, four and two of three.
    assert [found.costs[part].epochs for part in ("known", "searched", "final")] == [2, 4, 18]
    rows = evaluations()
    assert len(rows) == len({(row.digest, row.recipe, row.epochs, row.seed) for row in rows})
    assert {row.state for row in rows} == {"done"}
    # The same search again, and one for another device: nothing that was trained is trained again.
    again = search(workspace)
    assert again.study == found.study and again.best.architecture == found.best.architecture
    assert again.trials == found.trials
    other = search(workspace, target_ms=0.28)
    known = {(row.digest, row.recipe, row.epochs, row.seed) for row in rows}
    assert other.study != found.study
    for part, trials in other.trials.items():
        epochs = 3 if part == "final" else 1
        for trial in trials:
            paid = any(key[0] == trial.digest and key[2:] == (epochs, trial.repeat) for key in known)
            assert trial.reused == paid
    assert sum(cost.reused for cost in other.costs.values()) > 0
    # It begins with what the first has found, as far as that meets its target, best first, and tries as many more.
    begun = [trial for trial in other.trials["searched"] if trial.why == "trained before"]
    meeting = {t.digest: t.accuracy for t in found.trials["searched"] if t.repeat == 0 and t.latency_ms <= 0.28}
    assert {trial.digest: trial.accuracy for trial in begun} == meeting != {}
    assert [trial.number for trial in begun] == list(range(len(begun))) and all(trial.reused for trial in begun)
    accuracies = [trial.accuracy for trial in begun if trial.accuracy is not None]
    assert accuracies == sorted(accuracies, reverse=True)
    assert len(other.trials["searched"]) == 4 + len(begun)
    assert any("earlier search" in note for note in other.notes) and not any("earlier" in note for note in found.notes)


def test_what_failed_is_trained_by_the_same_search_again(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(place: Path, network: Architecture, *more: Any, **options: Any) -> float:
        if network.genes and not only_known:  # of the space
            return train_to(place, network, *more, **options)
        raise OSError("no space left on device")

    small: dict[str, Any] = {"epochs": 1, "seeds": 1, "trials": 1, "baselines": 1}
    train_to, only_known = trained.train_to, True
    with monkeypatch.context() as patch:
        patch.setattr("nas.jobs.trained.train_to", full)
        with pytest.raises(NasError, match="none did; the first one: OSError: no space left"):
            search(workspace, **small)
        only_known = False
        found = search(workspace, **small)
        assert found.known is None and [trial.state for trial in found.trials["known"]] == ["failed"]
        assert any("No known network could be trained" in note and "no space left" in note for note in found.notes)
    found = search(workspace, **small)
    assert found.known is not None and [trial.state for trial in found.trials["known"]] == ["done"]
    assert not any("No known network" in note for note in found.notes)


def test_two_workers_say_what_one_says(workspace: Path) -> None:
    one = search(workspace, seeds=1, trials=3)
    two = search(workspace, seeds=1, trials=3, workers=2, storage=f"sqlite:///{workspace}/other.db")
    assert {trial.digest: trial.accuracy for trial in two.trials["known"]} == {
        trial.digest: trial.accuracy for trial in one.trials["known"]
    }


def test_no_answer_and_no_rival(workspace: Path) -> None:
    with pytest.raises(TargetError, match="but the fastest of tiny"):
        search(workspace, target_ms=0.001)
    found = search(workspace, baselines=0, seeds=1, epochs=1, trials=2)
    assert found.known is None and found.comparison is None and found.best is found.searched
    assert [note for note in found.notes if "there is none to compare with" in note]


def test_the_stopwatch_decides_who_meets_the_target(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates that are measured above the target are no finalists, however accurate."""
    slow: list[str] = []

    def times(self: Any, networks: list[Any]) -> list[Estimate]:
        if not slow:
            slow.append(networks[0].digest)  # the most accurate candidate
        return [
            Estimate(mean_ms=0.4 if network.digest in slow else 0.2, low_ms=0.1, high_ms=0.5, source="measured")
            for network in networks
        ]

    monkeypatch.setattr("nas.jobs.data_finals.Times.of", times)
    monkeypatch.setattr("nas.jobs.data_finals.Times.are_measured", property(lambda self: True))
    found = search(workspace, seeds=1)
    best = max(found.trials["searched"], key=lambda trial: (trial.accuracy, -trial.number))
    assert slow == [best.digest]
    assert slow[0] not in {one.architecture.digest for one in found.finalists}
    assert found.comparison is not None and found.comparison.measured
    assert "measured latency" in found.comparison.sentence


def test_known_families_are_fitted_by_the_stopwatch(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table says that they take twice as long as they do: wider forms of them meet the target."""
    model, sessions = load_latency("pixel3-cpu"), []

    def times(self: Any, networks: list[Any]) -> list[Estimate]:
        sessions.append(len(networks))
        known = [network.name.startswith(("mobilenetv1", "squeezenet")) for network in networks]
        taken = model.latency_ms(networks) * np.where(known, 0.5, 1.0)
        return [Estimate(mean_ms=ms, low_ms=ms, high_ms=ms, source="measured") for ms in taken.tolist()]

    predicted = search(workspace, seeds=1, epochs=1, trials=2)
    monkeypatch.setattr("nas.jobs.data_finals.Times.of", times)
    for name in ("are_measured", "are_cheap"):
        monkeypatch.setattr(f"nas.jobs.data_finals.Times.{name}", property(lambda self: True))
    found = search(workspace, seeds=1, epochs=1, trials=2)
    assert found.known is not None and predicted.known is not None
    # Twice as long is what they are predicted to take now, and half of that, the target, what was measured.
    wide, narrow = (
        {one.finalist.family: one.finalist for one in answer.finalists if one.finalist.part == "known"}
        for answer in (found, predicted)
    )
    assert set(wide) == set(narrow)
    for family, one in wide.items():
        assert one.network.macs > narrow[family].network.macs
        assert 0.2 < one.latency.mean_ms <= 0.3 < float(model.latency_ms([one.network])[0])
    # It is done once: the same search again asks nothing more.
    before = list(sessions)
    assert before[0] >= 4 and search(workspace, seeds=1, epochs=1, trials=2).trials == found.trials
    assert sessions == before


def test_a_budget_is_kept(workspace: Path) -> None:
    """Without time for more, one network of each part is tried, and the final is cut to what is left."""
    found = search(workspace, budget_s=0.01, trials=20, epochs=30)
    assert len(found.trials["known"]) == 1 and len(found.trials["searched"]) == 1
    assert found.epochs < 30 and "The budget allowed" in found.notes[0]
    assert all(len(one.trained) == 1 for one in found.finalists)


def test_spaces_and_rivals_fit_the_images(workspace: Path) -> None:
    dataset = open_data(workspace / "photos.npz")
    space = parse_search_space({**tiny_document(), "resolution": [32, 64]}, "two sizes")
    fit = space_for(space, dataset)
    # Images of 16 pixels: the smaller size stays, though they are smaller still.
    assert (fit.resolutions, fit.num_classes, fit.in_channels) == ((32,), 3, 3)
    assert default_space(dataset) in ("tiny", "mobile")
    forms = rivals(load_latency("pixel3-cpu"), 0.3, space=fit, count=3)
    assert [form.family for form in forms] == ["mobilenetv1", "squeezenet", "mobilenetv1"]
    assert all(form.network.num_classes == 3 and form.latency_ms <= 0.3 for form in forms)
    # MobileNetV1 is there twice, so every other family had its turn: 22 there are, and none of 20 meets the target.
    told = "Known networks that were tried: 3 of 2 families."
    assert tried_note(forms) == f"{told} Of 20 more families none meets the target at any width, as predicted."
    assert tried_note(forms[:2]) == "Known networks that were tried: 2 of 2 families."
    assert rivals(load_latency("pixel3-cpu"), 0.01, space=fit, count=3) == [] and tried_note([]) is None
    assert kind_of(load_architecture("mobilenetv2-1.0")) == "mbconv"


def test_a_search_needs_a_device(workspace: Path) -> None:
    with pytest.raises(InputError, match="needs a device's latency model"):
        search(workspace, latency=object())


def test_inherited_weights_and_the_parent_as_a_rival(workspace: Path) -> None:
    """Every network begins with what it can take over; forms of the parent come first among known ones."""
    parent = next(iter(SPACE.sample(1, np.random.default_rng(3)))).named("parent")
    trained = nas.train(parent, data=workspace / "photos.npz", epochs=2)
    (workspace / "small.yaml").write_text(yaml.safe_dump(tiny_document("small")))
    request = DataRequest(
        device="pixel3-cpu", target_ms=0.3, data=str(workspace / "photos.npz"), space=str(workspace / "small.yaml"),
        init=trained.zoo, seeds=1, epochs=1, trials=2, baselines=2, asker="random",
    )  # fmt: skip
    outcome = run_data_search(request)
    assert outcome.fault is None and outcome.best.zoo is not None
    card = (Path(outcome.best.zoo) / "README.md").read_text("utf-8")
    assert f"% of the weights, from {trained.zoo}" in card
    found = outcome.answer
    first, second = (found.names[trial.digest] for trial in found.trials["known"])
    assert first.startswith("parent@32") and second.startswith("parent-x")
    # What has learned from the validation images begins none, at whatever size they are looked at.
    whole = nas.train(parent, data=workspace / "photos.npz", epochs=1, all_images=True)
    with pytest.raises(InputError, match="were trained on all images of these data; begin with weights"):
        search(workspace, init=whole.zoo)
    shares = {one.architecture.family: one.trained[0].inherited for one in found.finalists}
    assert all(share is not None for share in shares.values()) and max(filter(None, shares.values())) > 0.2

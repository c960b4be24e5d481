"""The final of a search on a user's images: finalists are trained fully, and the best two measured on test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data import Prepared
from nas.errors import InputError
from nas.jobs.data_answer import Finalist, Finished
from nas.jobs.data_course import Course
from nas.jobs.data_finals import fair_to, read_finalist
from nas.jobs.trained import Teaching, Trained, images, on_test_images, read_trained, train_to
from nas.jobs.trials import Where
from nas.progress import OnProgress
from nas.space import Architecture
from nas.space.resolution import height_width
from nas.trials.evaluations import Evaluations
from nas.trials.listed import Listed, ListedDomain
from nas.trials.loop import Loop, Settings
from nas.trials.question import Question
from nas.trials.records import Trial
from nas.trials.studies import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """The finalists, how far they are trained, what is to be said of that, and whether their latencies were `measured`
    in one session."""

    finalists: tuple[Finalist, ...]
    course: Course
    notes: tuple[str, ...]
    measured: bool = True

    def as_json(self) -> dict[str, Any]:
        """What `read` reads."""
        course = {"epochs": self.course.epochs, "seeds": self.course.seeds, "finalists": self.course.finalists}
        return {
            "finalists": [one.as_json() for one in self.finalists], "course": course, "notes": list(self.notes),
            "measured": self.measured,
        }  # fmt: skip

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Final:
        """What `as_json` wrote. Raises `InputError` for another document."""
        try:
            return cls(
                finalists=tuple(map(read_finalist, document["finalists"])),
                course=Course(**document["course"]),
                notes=tuple(document["notes"]),
                measured=bool(document.get("measured", True)),
            )
        except (KeyError, TypeError) as error:
            raise InputError(
                f"a recorded final must have finalists and a course, but: {error}; search anew."
            ) from error


class FullTrainings:
    """The trainings of a final, as the study `name`: all branches, all epochs, weights kept."""

    def __init__(
        self, name: str, final: Final, *, teaching: Teaching, asked: Question, where: Where, progress: OnProgress
    ) -> None:
        self._final, self._where, self._progress = final, where, progress
        self._teaching = replace(teaching, branches=None, weights_from=final.course.epochs)
        self._evaluator = self._teaching.evaluator((final.course.epochs,))
        self._study = Study(
            Evaluations(where.tables()),
            name,
            evaluator=self._evaluator.key,
            recipe=self._teaching.recipe_key,
            question=final.as_json(),
            rungs=self._evaluator.rungs,
        )
        latency_ms = [one.latency.mean_ms for one in final.finalists]
        # Who meets the target was decided; what was measured a little above it is trained all the same.
        self._asked = replace(
            asked,
            domain=ListedDomain([one.network for one in final.finalists], latency_ms),
            goal=replace(asked.goal, target_ms=max(latency_ms)),
            noisy=True,
        )

    def run(self) -> tuple[list[Trial], list[Finished]]:
        """Train every finalist once, the best known one and the best of those as fast by further seeds; the trials, and
        what they left."""
        finalists, seeds = self._final.finalists, self._final.course.seeds
        count = len(finalists)
        trials = self._trained(range(count), times=1, budget=count)
        known = _best_place(trials, [i for i in range(count) if finalists[i].part == "known"])
        fair = self._fair(finalists, None if known is None else finalists[known])
        searched = _best_place(trials, [i for i in range(count) if finalists[i] in fair])
        again = [place for place in (known, searched) if place is not None]
        if seeds > 1 and again:
            trials = self._trained(again, times=seeds, budget=count + len(again) * (seeds - 1))
        finished = []
        for place, finalist in enumerate(finalists):
            own = [trial for trial in trials if trial.codes == (place,) and trial.state == "done"]
            trained = {trial.repeat: self._read(trial, finalist.network) for trial in own}
            if trained:
                finished.append(Finished(finalist=finalist, trained=trained))
        return trials, finished

    def tested(self, finished: Sequence[Finished]) -> list[Finished]:
        """`finished`, where the best of each part has been measured on the test images: nobody else sees them."""
        compared = self.compared(finished)
        return [replace(one, right=self._right(one)) if one in compared else one for one in finished]

    def compared(self, finished: Sequence[Finished]) -> tuple[Finished | None, Finished | None]:
        """The best searched finalist of those as fast as the best known one, and that one."""
        theirs = _best([one for one in finished if one.finalist.part == "known"])
        fair = self._fair([one.finalist for one in finished], None if theirs is None else theirs.finalist)
        return _best([one for one in finished if one.finalist in fair]), theirs

    def _fair(self, finalists: Sequence[Finalist], rival: Finalist | None) -> list[Finalist]:
        return fair_to(rival, [one for one in finalists if one.part == "searched"], self._final.measured)

    def _trained(self, places: Sequence[int], *, times: int, budget: int) -> list[Trial]:
        return Loop(
            replace(self._asked, budget=budget),
            asker=Listed(places, times=times),
            evaluator=self._evaluator,
            study=self._study,
            executor=self._where.executor(self._evaluator),
            settings=Settings(limit_s=self._where.time_limit, checkpoints=self._where.checkpoints.resolve()),
            progress=self._progress,
        ).run()

    def _read(self, trial: Trial, network: Architecture) -> Trained:
        """What a training left; it is trained again where its file is gone."""
        stored = self._study.evaluations.find(self._study.last_key(trial))
        place = None if stored is None or stored.checkpoint is None else Path(stored.checkpoint)
        if place is None or not place.exists():
            place = self._where.checkpoints.resolve() / f"{trial.digest}-{trial.repeat}-{trial.epochs}-again"
            train_to(place, network, self._teaching, epochs=trial.epochs, seed=trial.repeat)
        return read_trained(place, network)

    def _right(self, one: Finished) -> NDArray[np.bool_]:
        """Which test images each training has right, (seeds, images)."""
        network = one.finalist.network
        data = images_for(self._teaching, network)
        found = [on_test_images(network, trained, data) for trained in one.trained.values()]
        return np.array([held_out.said == held_out.labels for held_out in found])


def images_for(teaching: Teaching, network: Architecture) -> Prepared:
    """The images at the size of `network`."""
    return images(teaching.path, teaching.contents, height_width(network.resolution), network.in_channels)


def _best(finished: Sequence[Finished]) -> Finished | None:
    """The finalist with the best mean validation accuracy, of those with the most seeds."""
    return max(finished, key=lambda one: (len(one.trained), one.validation), default=None)


def _best_place(trials: Sequence[Trial], places: Sequence[int]) -> int | None:
    """The place with the most accurate first training; of equals the first."""
    done = [
        (trial.accuracy, -trial.codes[0])
        for trial in trials
        if trial.codes[0] in places and trial.repeat == 0 and trial.accuracy is not None
    ]
    return -max(done)[1] if done else None

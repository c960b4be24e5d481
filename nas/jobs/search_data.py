"""`nas.search(..., data=...)`: from a space, a latency and a user's images to a trained network."""

from __future__ import annotations

from pathlib import Path

from nas.accuracy import PriorModel, load_accuracy
from nas.data import open_data
from nas.errors import InputError
from nas.evaluate import Limits
from nas.jobs.data_answer import DataAnswer
from nas.jobs.data_course import SEEDS, Course
from nas.jobs.data_search import DataQuestion, DataSearch, usual_recipe
from nas.jobs.trials import Where
from nas.latency import DeviceHome, LatencyModel, device_home
from nas.progress import OnProgress, silent
from nas.space.search_space import SearchSpace
from nas.strategies import Goal
from nas.training import Recipe, load_recipe


def search_data(
    space: SearchSpace,
    *,
    latency: LatencyModel,
    data: str | Path,
    target_ms: float,
    recipe: str | Path | Recipe | None = None,
    epochs: int | None = None,
    seeds: int = SEEDS,
    init: str | None = None,
    trials: int = 30,
    baselines: int = 24,
    budget_s: float | None = None,
    seed: int = 0,
    storage: str | None = None,
    workers: int = 1,
    ray: str | None = None,
    cpus: float = 1.0,
    gpus: float = 0.0,
    time_limit: float | None = None,
    asker: str = "surrogate",
    accuracy: PriorModel | None = None,
    limits: Limits | None = None,
    progress: OnProgress = silent,
) -> DataAnswer:
    """The best network for the images at `data` within a target latency in milliseconds, trained.

    `trials` networks of `space` and up to `baselines` known ones, fitted to the target, are trained on the training
    images in the same rungs, by `recipe` (`small`, with `init` `fine-tune`); the best of both are trained fully
    (`epochs`, by default the recipe's), the best of each part by `seeds` seeds. All choices are by validation accuracy;
    the test images are looked at once, for the two that are compared. Where the device of `latency` is reached from
    here, its stopwatch decides who meets the target.
    `init` names weights that networks begin with. Every training is kept in `storage` and serves later searches; the
    same call again goes on where it ended. `budget_s` bounds the seconds of all of it. `result.best.module` is the
    trained network.

    Raises `TargetError` where nothing meets the target, `InputError` for data that cannot be trained on, `NasError`
    where no training succeeded.
    """
    if not isinstance(latency, LatencyModel):
        raise InputError(
            f"a search on images needs a device's latency model, but got {type(latency).__name__};"
            " nas.load_latency(DEVICE) gives one."
        )
    read = recipe if isinstance(recipe, Recipe) else load_recipe(recipe or usual_recipe(init))
    question = DataQuestion(
        space=space,
        dataset=open_data(data, progress=progress),
        goal=Goal(target_ms=target_ms),
        course=Course(epochs=read.epochs if epochs is None else epochs, seeds=seeds),
        recipe=read,
        trials=trials,
        baselines=baselines,
        seed=seed,
        asker=asker,
        init=init,
        limits=limits,
    )
    search = DataSearch(
        question,
        latency=latency,
        home=_home(latency),
        accuracy=accuracy or load_accuracy("imagenet"),
        where=Where(workers=workers, ray=ray, cpus=cpus, gpus=gpus, time_limit=time_limit, storage=storage),
        budget_s=budget_s,
        progress=progress,
    )
    try:
        return search.answer()
    except KeyboardInterrupt as error:
        again = f"the same call goes on (its study is {search.study})"
        raise KeyboardInterrupt(f"interrupted; {search.kept_text()}; {again}") from error


def _home(latency: LatencyModel) -> DeviceHome | None:
    """The home of the model's device; None for a device that is none of ours."""
    try:
        return device_home(latency.device.name)
    except InputError:
        return None

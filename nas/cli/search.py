"""`nas search`: the most accurate network for a device and a latency."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from nas.cli.answer_options import accuracy_option, formats_option
from nas.cli.given import given_options
from nas.cli.limits import target_and_limits
from nas.cli.names import known_device, known_reward, known_space, known_strategy
from nas.cli.progress import progress
from nas.cli.run_page import write_run_page
from nas.cli.storage import storage_option
from nas.cli.terminal import page, wide_option
from nas.cli.trials_options import DATA_ONLY, TRIALS_ONLY, trials_options
from nas.errors import NasError, TargetError

if TYPE_CHECKING:
    from nas.jobs.data_run import DataOutcome
    from nas.jobs.trials_run import TrialsOutcome


def _device(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else known_device(context, parameter, value)


def _also(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    from nas.errors import InputError
    from nas.units import parse_latency_ms

    found = []
    for value in values:
        device, colon, target = value.rpartition(":")
        if not (colon and device):
            raise InputError(f"--also must be a device and its target, but got {value!r}; write pixel3-cpu:30ms.")
        known_device(context, parameter, device)
        found.append((device, parse_latency_ms(target, name=f"the target of --also {device}")))
    return tuple(found)


def _targets(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...]:
    from nas.units import parse_latency_ms

    words = [word for word in (value or "").split(",") if word.strip()]
    return tuple(dict.fromkeys(parse_latency_ms(word.strip(), name="--targets") for word in words))


def _start(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    from nas.space.load import load_architecture

    for value in values:
        load_architecture(value)
    return values


def _interval(context: click.Context, parameter: click.Parameter, value: str) -> float | None:
    if value == "none":
        return None
    range_of: click.ParamType[Any] = click.FloatRange(1.0)
    ratio: float = range_of.convert(value, parameter, context)
    return ratio


@click.command()
@target_and_limits
@click.option("--device", callback=_device, metavar="NAME", help="The device (`nas device list`).  [required]")
@click.option(
    "--targets",
    "targets_ms",
    callback=_targets,
    metavar="TIME,TIME",
    help="Several targets, each answered, in place of --target-latency: 0.6ms,0.8ms,1ms.",
)
@click.option(
    "--also",
    multiple=True,
    callback=_also,
    metavar="NAME:TIME",
    help="A further device with a target of its own that the answer meets as well: pixel3-cpu:30ms. Repeatable.",
)
@click.option(
    "--space",
    callback=known_space,
    metavar="NAME",
    help="The search space, or its file.  [default: mobile; with --data by the size of the images]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="GENE=CHOICES",
    help="Keep some choices of the space only: act=relu, stage3.kernel=3,5. Repeatable.",
)
@accuracy_option
@click.option(
    "--strategy",
    callback=known_strategy,
    metavar="NAME",
    help="evolution, exhaustive or random.  [default: by the space's size]",
)
@click.option(
    "--start",
    multiple=True,
    callback=_start,
    metavar="NETWORK",
    help="A network to begin from: a known name, an architecture file, a folder of the zoo. Repeatable.",
)
@click.option(
    "--reward",
    default="hard",
    callback=known_reward,
    show_default=True,
    metavar="FORM",
    help="hard: the best at or under the target; soft, absolute: what the reward pays for, up to 1.3 times the target.",
)
@click.option("--w", type=float, help="Exponent of the reward, or slope of the absolute one.  [default: the form's]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same answer.")
@click.option(
    "--max-interval",
    callback=_interval,
    default="1.3",
    show_default=True,
    metavar="R",
    help="How wide the latency's interval may be, in the usual width for known networks; none: any.",
)
@click.option("--no-shrink", is_flag=True, help="Networks of the space alone: nothing is made narrower than it says.")
@click.option(
    "--covered-only",
    is_flag=True,
    help="A device with a table alone: leave out networks for which it lacks rows.",
)
@click.option("--simple", is_flag=True, help="One kind of block and one activation in the whole network.")
@click.option(
    "--verify",
    is_flag=True,
    help="Time the answer on the device; where the table was wrong, correct it and search again.",
)
@click.option("--now", is_flag=True, help="At the speed that the device has now, which is looked at first.")
@trials_options
@formats_option
@storage_option
@wide_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(as_json: bool, storage: str | None, evaluate: str | None, resume: str | None, **options: Any) -> None:
    """Find the most accurate network of a space that meets a latency on a device, or limits alone.

    Exports it to runs/zoo and shows it beside the known networks. Exits with 1 where the target cannot be met. With
    --evaluate accuracies are those of a function, which costs: few networks are tried, each the one worth most. With
    --data they are trained on your images, beside the known families (docs/search-on-your-data.md).
    """
    if resume is not None:
        _resume(resume, options, storage, as_json)
        return
    if options["device"] is None:
        raise click.MissingParameter(param_type="option", param_hint="'--device'")
    own = {name: options.pop(name) for name in TRIALS_ONLY}
    on_data = {name: options.pop(name) for name in DATA_ONLY}
    if on_data["data"] is not None and evaluate is not None:
        raise click.UsageError("--data says what networks are trained on, --evaluate does it by itself; give one.")
    if on_data["data"] is not None:
        _on_data({**options, **own, **on_data}, storage, as_json)
        return
    if given := given_options(DATA_ONLY):
        raise click.UsageError(f"{given[0]} says how networks are trained on --data, but there is none; add it.")
    if evaluate is not None:
        _by_trials(evaluate, {**options, **own}, storage, as_json)
        return
    if given := given_options(TRIALS_ONLY):
        raise click.UsageError(
            f"{given[0]} says how networks are tried by --evaluate or --data, but there is none; add it."
        )
    options["space"] = options["space"] or "mobile"
    with progress() as show:
        from nas.jobs.search_run import SearchRequest, TargetsOutcome, run_search

        outcome = run_search(SearchRequest(**options), storage=storage, progress=show)
    if as_json:
        click.echo(json.dumps(outcome.as_json(), indent=1))
    else:
        from nas.report.search_text import search_text, targets_text

        if isinstance(outcome, TargetsOutcome):
            click.echo(targets_text(outcome.answers, outcome.run, page()))
        else:
            click.echo(search_text(outcome.answer, outcome.run, outcome.verification, page()))
    _ended(outcome.run, outcome.fault, storage, as_json)


def _ended(run: str, fault: NasError | None, storage: str | None, as_json: bool) -> None:
    """Write the page of a run that was recorded, whose targets may not all be met; raise its fault."""
    if fault is None or isinstance(fault, TargetError):
        write_run_page(run, storage, quiet=as_json)
    if fault is not None:
        raise fault


_FREE_ONLY = (
    "also", "targets_ms", "start", "verify", "now", "simple", "covered_only", "strategy", "max_novelty", "max_interval",
    "no_shrink",
)  # fmt: skip
"""What belongs to a search by predicted accuracy."""


def _refuse_free_only(options: dict[str, Any], beside: str) -> None:
    """Take the options of a search by predicted accuracy out of `options`; `InputError` where one was given."""
    from nas.errors import InputError

    if given := given_options(_FREE_ONLY):
        raise InputError(
            f"{given[0]} belongs to a search by predicted accuracy, but came with {beside}; leave one of the two out."
        )
    for name in _FREE_ONLY:
        options.pop(name)


def _on_data(options: dict[str, Any], storage: str | None, as_json: bool) -> None:
    """Search by training on images."""
    from nas.errors import InputError

    _refuse_free_only(options, "--data")
    if options["target_ms"] is None:
        raise InputError("a search with --data needs a target, but there is none; add --target-latency.")
    if options.pop("reward") != "hard" or options.pop("w") is not None or options.pop("noiseless"):
        raise InputError(
            "a search with --data compares trainings, which differ, within the target, but came with --reward, --w or"
            " --noiseless; leave them out."
        )
    dry_run, trials = options.pop("dry_run"), options.pop("trials")
    with progress() as show:
        from nas.jobs.data_run import DataRequest, plan_data_search, run_data_search

        request = DataRequest(**options, **({} if trials is None else {"trials": trials}))
        if not dry_run:
            _show_data(run_data_search(request, storage=storage, progress=show), storage, as_json)
            return
        plan = plan_data_search(request, storage=storage, progress=show)
    if as_json:
        click.echo(json.dumps(plan.as_json(), indent=1))
    else:
        from nas.report.data_search_text import data_plan_text

        click.echo(data_plan_text(plan, page()))


def _show_data(outcome: DataOutcome, storage: str | None, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(outcome.as_json(), indent=1))
    else:
        from nas.report.data_search_text import data_search_text

        click.echo(data_search_text(outcome, page()))
    _ended(outcome.run, outcome.fault, storage, as_json)


_OF_OUTPUT = ("resume", "storage", "wide", "as_json")
"""What says of a search to go on with which one it is, and how its answer is shown."""


def _resume(resume: str, options: dict[str, Any], storage: str | None, as_json: bool) -> None:
    """Go on with a search whose accuracies cost."""
    from nas.errors import InputError

    with progress() as show:
        from nas.jobs.resume import changeable, resume_search
        from nas.jobs.trials_run import TrialsOutcome

        may_change = changeable(resume, storage=storage)
        parameters = [one.name for one in click.get_current_context().command.params if one.name is not None]
        if given := given_options([name for name in parameters if name not in (*_OF_OUTPUT, *may_change)]):
            raise InputError(
                f"a search that is gone on with must be asked what {resume} was asked, but came with {given[0]}; leave"
                " it out, or leave --resume out to begin another search."
            )
        changes = {name: options[name] for name in may_change if given_options([name])}
        outcome = resume_search(resume, changes=changes, storage=storage, progress=show)
    if isinstance(outcome, TrialsOutcome):
        _show_trials(outcome, storage, as_json)
    else:
        _show_data(outcome, storage, as_json)


def _by_trials(evaluate: str, options: dict[str, Any], storage: str | None, as_json: bool) -> None:
    """Search by evaluations that cost."""
    from nas.errors import InputError

    _refuse_free_only(options, "--evaluate")
    if options["target_ms"] is None:
        raise InputError("a search with --evaluate needs a target, but there is none; add --target-latency.")
    trials = options.pop("trials")
    options["space"] = options["space"] or "mobile"
    with progress() as show:
        from nas.jobs.trials_run import TrialsRequest, run_trials

        request = TrialsRequest(evaluate=evaluate, **options, **({} if trials is None else {"trials": trials}))
        outcome = run_trials(request, storage=storage, progress=show)
    _show_trials(outcome, storage, as_json)


def _show_trials(outcome: TrialsOutcome, storage: str | None, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(outcome.as_json(), indent=1))
    else:
        from nas.report.trials_text import trials_text

        click.echo(trials_text(outcome, page()))
    _ended(outcome.run, outcome.fault, storage, as_json)

"""`nas search`: the most accurate network for a device and a latency."""

from __future__ import annotations

import json
from typing import Any

import click

from nas.cli.answer_options import accuracy_option, formats_option
from nas.cli.limits import target_and_limits
from nas.cli.names import known_device, known_reward, known_space, known_strategy
from nas.cli.progress import progress
from nas.cli.run_page import write_run_page
from nas.cli.storage import storage_option
from nas.cli.terminal import page, wide_option
from nas.cli.trials_options import TRIALS_ONLY, trials_options
from nas.errors import NasError, TargetError


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
    default="mobile",
    callback=known_space,
    show_default=True,
    metavar="NAME",
    help="The search space, or its file.",
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
@trials_options
@formats_option
@storage_option
@wide_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(as_json: bool, storage: str | None, evaluate: str | None, resume: str | None, **options: Any) -> None:
    """Find the most accurate network of a space that meets a latency on a device, or limits alone.

    Exports it to runs/zoo and shows it beside the known networks. Exits with 1 where the target cannot be met. With
    --evaluate accuracies are those of a function, which costs: few networks are tried, each the one worth most.
    """
    if resume is None and options["device"] is None:
        raise click.MissingParameter(param_type="option", param_hint="'--device'")
    own = {name: options.pop(name) for name in TRIALS_ONLY}
    if evaluate is not None or resume is not None:
        _by_trials(evaluate, resume, {**options, **own}, storage, as_json)
        return
    if own["trials"] is not None:
        raise click.UsageError("--trials says how often --evaluate is called, but there is none; add it.")
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


def _by_trials(
    evaluate: str | None, resume: str | None, options: dict[str, Any], storage: str | None, as_json: bool
) -> None:
    """Search by evaluations that cost, or go on with such a search."""
    from nas.errors import InputError

    for name in ("also", "targets_ms", "start", "verify", "simple", "covered_only", "strategy"):
        if options.pop(name, None):
            raise InputError(
                f"--{name.removesuffix('_ms').replace('_', '-')} belongs to a search by predicted accuracy, but came"
                " with --evaluate; leave one of the two out."
            )
    trials = options.pop("trials")
    with progress() as show:
        from nas.jobs.trials_run import TrialsRequest, resume_trials, run_trials

        if resume is not None:
            outcome = resume_trials(resume, trials=trials, storage=storage, progress=show)
        elif options["target_ms"] is None:
            raise InputError("a search with --evaluate needs a target, but there is none; add --target-latency.")
        else:
            for name in ("max_novelty", "max_interval", "no_shrink"):
                del options[name]
            request = TrialsRequest(evaluate=str(evaluate), **options, **({} if trials is None else {"trials": trials}))
            outcome = run_trials(request, storage=storage, progress=show)
    if as_json:
        click.echo(json.dumps(outcome.as_json(), indent=1))
    else:
        from nas.report.trials_text import trials_text

        click.echo(trials_text(outcome, page()))
    _ended(outcome.run, outcome.fault, storage, as_json)

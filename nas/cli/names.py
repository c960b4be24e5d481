"""Names that a user writes, checked while the command line is read: before anything heavy is imported or begun.

Each function is the callback of an option or argument; it returns the value, or raises `InputError` with the nearest
names.
"""

from __future__ import annotations

import click


def known_device(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """The name of a device."""
    from nas.latency.home import device_home

    device_home(value)
    return value


def known_space(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The name of a search space, or its file."""
    from nas.space.load import space_path

    if value is not None:
        space_path(value)
    return value


def known_accuracy(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """The name of a predictor of accuracy."""
    from nas.accuracy.artifact import prior_folder

    prior_folder(value)
    return value


def known_network(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A known network, an architecture file, a zoo folder, or a file of a runtime (left to the command)."""
    from nas.onnx.content import LITERT, ONNX, kind_of_file
    from nas.space.load import load_architecture

    if kind_of_file(value) not in (ONNX, LITERT):
        load_architecture(value)
    return value


def known_strategy(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The name of a search strategy; None leaves the choice to the search."""
    from nas.strategies import strategy_named

    if value is not None:
        strategy_named(value)
    return value


def known_reward(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A form of the reward."""
    from nas.strategies.reward import Reward

    Reward.parse(value)
    return value


def known_formats(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """File formats separated by commas, each of which can be written here."""
    from nas.zoo.formats import check_formats

    formats = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    check_formats(formats)
    return formats


def known_recipe(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The name of a recipe of training, or its file."""
    from nas.training import load_recipe

    if value is not None:
        load_recipe(value)
    return value


def trained_network(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A network of the zoo that is trained."""
    from nas.zoo import find_entry, training_of

    if value is not None:
        training_of(find_entry(value))
    return value


def known_source(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A trained network of the zoo, or a checkpoint file (read by the command)."""
    from nas.jobs.inherit import check_source

    if value is not None:
        check_source(value)
    return value

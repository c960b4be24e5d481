"""Which options a user gave, whatever their defaults."""

from __future__ import annotations

from collections.abc import Collection

import click


def given_options(names: Collection[str]) -> list[str]:
    """What those of the parameters `names` are called that were given to the present command."""
    context = click.get_current_context()
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names
        and context.get_parameter_source(parameter.name) is not click.core.ParameterSource.DEFAULT
    ]

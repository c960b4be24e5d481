"""The options that say of what sizes a network is, where its file leaves that open."""

from __future__ import annotations

import click


def _checked(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    from nas.onnx.sizes import parse_input_shapes

    parse_input_shapes(value)
    return value


input_shape_option = click.option(
    "--input-shape",
    "input_shapes",
    multiple=True,
    callback=_checked,
    metavar="NAME=1x3x224x224",
    help="The sizes of an input that the ONNX file leaves open; without NAME= of its only input. May be repeated.",
)
batch_option = click.option(
    "--batch", type=click.IntRange(1, 4096), help="Images at once.  [default: as many as the file holds, or 1]"
)

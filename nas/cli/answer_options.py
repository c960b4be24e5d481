"""Options of all commands that make a network: the model of its accuracy, and the formats of its files."""

from __future__ import annotations

import click

from nas.cli.names import known_accuracy, known_formats

accuracy_option = click.option(
    "--accuracy",
    default="imagenet",
    callback=known_accuracy,
    show_default=True,
    metavar="NAME",
    help="The accuracy predictor.",
)
formats_option = click.option(
    "--format",
    "formats",
    default="onnx",
    callback=known_formats,
    show_default=True,
    metavar="F,F",
    help="The file formats: onnx, coreml, litert.",
)

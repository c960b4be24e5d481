"""Converters that are extras: imported when a format asks for them, and kept quiet."""

from __future__ import annotations

import importlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import ModuleType

from nas.errors import ConversionError, InputError
from nas.installed import extra_remedy


def require(package: str, extra: str) -> ModuleType:
    """The module `package`. Raises `InputError` naming the extra where it is not installed."""
    with quiet():
        try:
            return importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package.partition(".")[0]:
                raise
    raise InputError(f"the format {extra} needs {package}, which is not installed; {extra_remedy(extra)}.")


@contextmanager
def converting(package: str) -> Iterator[None]:
    """Be `quiet`, and turn a refusal of the converter `package` into a `ConversionError`."""
    try:
        with quiet():
            yield
    except (NotImplementedError, RuntimeError, ValueError) as error:
        raise ConversionError(
            f"{package} must be able to convert the network, but: {error}; export another format."
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what Python code prints, logs as a warning, and warns of inside the block from the user.

    Converters report their progress on stdout, which belongs to the command, and warn of every torch they were not
    tested with; whether they were right is checked on the file.
    """
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)

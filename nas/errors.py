"""The error tree: every fault that a user can cause or meet is a `NasError`.

The text of an error states the rule, what came instead, and the remedy, in one short paragraph. The
command line prints it on stderr and exits with `exit_code`; a traceback there is a defect of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NasError(Exception):
    """Base of all errors meant for the user; the work failed (exit code 1)."""

    exit_code = 1


class InputError(NasError):
    """Wrong usage or bad input: a flag, a file, a name, a network (exit code 2)."""

    exit_code = 2


class TargetError(NasError):
    """The target cannot be met; the text names the fastest network and its latency (exit code 1)."""


class UnreachableError(NasError):
    """A device is not there now: asleep, unplugged, off the network. A long job may wait, and ask again."""


class UnknownOperatorError(InputError):
    """A latency or a lowering was asked for an operator that nothing here describes."""


class ConversionError(NasError):
    """A converter of another's refused a network; it may take others, and other formats may hold this one."""


def unknown_name(what: str, name: str, known: Iterable[str], *, remedy: str = "", or_file: bool = False) -> InputError:
    """An `InputError` that a name is not known, with the nearest known names.

    `what` is the noun ("device", "search space"); `remedy` is appended as a last sentence; `or_file` says that a file
    would do as well.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(names[:12]) or 'none'}"
    kinds = "a known name or a file" if or_file else "a known name"
    text = f"{what} must be {kinds}, but got {name!r} ({hint})."
    return InputError(f"{text} {remedy}".rstrip())

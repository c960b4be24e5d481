"""The error tree: every fault that a user can cause or meet is a `NasError`.

The text of an error states the rule, what came instead, and the remedy, in one short paragraph. The
command line prints it on stderr and exits with `exit_code`; a traceback there is a defect of ours.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

MOST_REPEATED = 200
"""An error repeats at most so many characters of anything that came."""
_LONGEST = 2000
_QUOTED = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.){201,}'|"(?:[^"\\]|\\.){201,}")""", re.DOTALL)
_WORD = re.compile(r"(?<!\S)(\S{200})\S{6,}?([\])'\";:,.]*)(?!\S)")


class NasError(Exception):
    """Base of all errors meant for the user; the work failed (exit code 1). Long quotations are cut (`briefly`)."""

    exit_code = 1

    def __init__(self, text: str = "") -> None:
        super().__init__(briefly(text))


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


def briefly(text: str) -> str:
    """`text` with quotations, bracketed values and words of at most `MOST_REPEATED` characters, and 2,000 in all: what
    is cut says so by an ellipsis, and the remedy, which comes last, stays."""
    if len(text) <= MOST_REPEATED:
        return text
    if len(text) > 10 * _LONGEST:
        text = f"{text[: 9 * _LONGEST]}… {text[-_LONGEST // 2 :]}"
    text = _QUOTED.sub(lambda found: f"{found[0][:MOST_REPEATED]}…{found[0][-1]}", text)
    text = _WORD.sub(r"\1…\2", _brackets_cut(text))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 500]}… {text[-400:]}"


def _brackets_cut(text: str) -> str:
    """`text`, what stands in outermost brackets ([], {}) cut."""
    kept, start, depth = [], 0, 0
    for at, character in enumerate(text):
        if character in "[{":
            if depth == 0:
                kept.append(text[start:at])
                start = at
            depth += 1
        elif character in "]}" and depth:
            depth -= 1
            if depth == 0:
                whole = text[start : at + 1]
                kept.append(whole if len(whole) <= MOST_REPEATED else f"{whole[:MOST_REPEATED]}…{character}")
                start = at + 1
    return "".join((*kept, text[start:]))


def unknown_name(what: str, name: str, known: Iterable[str], *, remedy: str = "", or_file: bool = False) -> InputError:
    """An `InputError` that a name is not known, with the nearest known names.

    `what` is the noun ("device", "search space"); `remedy` is appended as a last sentence; `or_file` says that a file
    would do as well.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name[:MOST_REPEATED].lower(), names, n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(names[:12]) or 'none'}"
    kinds = "a known name or a file" if or_file else "a known name"
    text = f"{what} must be {kinds}, but got {name!r} ({hint})."
    return InputError(f"{text} {remedy}".rstrip())

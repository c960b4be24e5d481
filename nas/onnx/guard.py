"""What a file lacks is the file's fault: an error that names it, whatever operator of it is not as ONNX defines it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.errors import InputError


@contextmanager
def as_onnx_defines(path: Path, what: str = "one of them") -> Iterator[None]:
    """Inside the block, operands, attributes, names and sizes that `what` lacks, or has of another kind than its
    operator, are an `InputError` that names the file at `path`."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} must hold operators as ONNX defines them, but {what} has other operands, attributes or names"
            f" ({type(error).__name__}); check it with onnx.checker, and export it again."
        ) from error

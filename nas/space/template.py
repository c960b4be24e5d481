"""Templates: how the genes of a stage become the parameters of its blocks.

A template is a block with an expression for each parameter. An expression is a number, a word taken literally
("hsigmoid"), one name, or a product of numbers and names with a rounding: "expansion*in", "hidden/4:floor",
"se*in/16:floor". Names are those of `STAGE_NAMES` and, where none of these is meant, the template's own parameters.
`se` is 0 or 1 and multiplies after the rounding.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from nas.blocks.rounding import ROUNDINGS, round_channels
from nas.errors import InputError

GENES = ("kernel", "expansion", "act", "se")
"""Names that are genes of a block: a template that does not use one makes that gene idle."""
STAGE_NAMES = ("in", "width", "stride", *GENES)
"""What a stage's templates may read: the width before the block, the stage's width, the block's stride, its genes."""

_TERM = r"(?:[A-Za-z_]\w*|\d+(?:\.\d+)?)"
_PRODUCT = re.compile(rf"({_TERM})((?:[*/]{_TERM})*)(?::(\w+))?")
_FACTOR = re.compile(rf"([*/])({_TERM})")


@dataclass(frozen=True, slots=True)
class Expression:
    """A literal, one name (no rounding), or a rounded product of factors (operation, name or number)."""

    literal: Any = None
    factors: tuple[tuple[str, str | float], ...] = ()
    rounding: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names that the expression reads."""
        return frozenset(term for _, term in self.factors if isinstance(term, str))

    def value(self, env: Mapping[str, Any]) -> Any:
        """The value where `env` gives each name's (numbers, texts, or integer arrays that broadcast)."""
        if not self.factors:
            return self.literal
        if self.rounding is None:
            return env[str(self.factors[0][1])]
        product: Any = 1.0
        switch: Any = 1
        for operation, term in self.factors:
            number = env[term] if isinstance(term, str) else term
            if term == "se":
                switch = number
            else:
                product = product / number if operation == "/" else product * number
        rounded = round_channels(product, self.rounding) * switch
        return rounded if rounded.ndim else int(rounded)


def parse_expression(text: Any, names: Collection[str], where: str, *, divisor: int = 8) -> Expression:
    """The expression that a template states; it may read `names`; `where` names its place in errors.

    A product without a rounding of its own is a multiple of `divisor`; one that the flag of SE switches, which is no
    width of a map, of 8.
    """
    match = _PRODUCT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        if isinstance(text, str | int | float) and not (isinstance(text, str) and set(text) & set("*/:")):
            return Expression(literal=text)
        raise InputError(f"{where} must be a value or a product such as 6*in or hidden/4:floor, but got {text!r}.")
    first, rest, rounding = match.groups()
    if first not in names and not rest and not rounding:
        return Expression(literal=text)
    if rounding not in (None, *ROUNDINGS):
        raise InputError(
            f"{where}: a rounding must be one of {', '.join(ROUNDINGS)}, but got {rounding!r} in {text!r}."
        )
    factors = tuple(_factor(o, t, names, where, text) for o, t in [("*", first), *_FACTOR.findall(rest)])
    lone = len(factors) == 1 and rounding is None
    if not lone and "act" in (term for _, term in factors):
        raise InputError(f"{where}: act is a word and must stand alone, but got {text!r}.")
    usual = "divisible8" if "se" in (term for _, term in factors) else f"divisible{divisor}"
    return Expression(factors=factors, rounding=None if lone else rounding or usual)


def _factor(operation: str, term: str, names: Collection[str], where: str, text: str) -> tuple[str, str | float]:
    number = float(term) if term[0].isdigit() else None
    if number is None and term not in names:
        known = f"names must be of {', '.join(names)}" if names else "no name has a value"
        raise InputError(f"{where}: {known} here, but got {term!r} in {text!r}.")
    if operation == "/" and (number == 0 or term == "se"):
        raise InputError(f"{where}: a divisor must not be 0, but got {text!r}.")
    return operation, term if number is None else number


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A block and an expression for each of its parameters, each after those that it reads."""

    block: str
    args: tuple[tuple[str, Expression], ...]

    @property
    def names(self) -> frozenset[str]:
        """All names that the template reads."""
        return frozenset().union(*(expression.names for _, expression in self.args))

    def evaluate(self, env: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters where `env` gives the names; scalars or arrays. A name hides a parameter called alike."""
        known, args = dict(env), {}
        for key, expression in self.args:
            args[key] = expression.value(known)
            known.setdefault(key, args[key])
        return args


def parse_template(document: Any, where: str, *, names: Collection[str] = STAGE_NAMES, divisor: int = 8) -> Template:
    """The template that a mapping with the key `block` states; its expressions may read `names`, and their products
    are multiples of `divisor` (`parse_expression`)."""
    if not isinstance(document, Mapping) or not isinstance(document.get("block"), str):
        raise InputError(f"{where} must be a mapping with the key block, but got {document!r}.")
    own = [key for key in document if key != "block" and key not in names]
    waiting: dict[str, Expression] = {}
    for key, value in document.items():
        if key != "block":
            others = [*names, *(k for k in own if k != key)]
            waiting[key] = parse_expression(value, others, f"{where}: {key}", divisor=divisor)
    ordered: dict[str, Expression] = {}
    while waiting:
        ready = [key for key, expression in waiting.items() if expression.names.isdisjoint(waiting.keys() - set(names))]
        if not ready:
            raise InputError(f"{where}: parameters must not refer to each other in a circle: {', '.join(waiting)}.")
        for key in ready:
            ordered[key] = waiting.pop(key)
            _check_factors(key, ordered, names, where)
    return Template(block=document["block"], args=tuple(ordered.items()))


def _check_factors(key: str, known: Mapping[str, Expression], names: Collection[str], where: str) -> None:
    """Raise `InputError` where the product `known[key]` has another parameter as a factor that is a word."""
    if known[key].rounding is not None:
        for name in known[key].names.difference(names):
            if isinstance(known[name].literal, str) or "act" in known[name].names:
                raise InputError(f"{where}: {key} must be a product of numbers, but {name} is a word.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of stage: its block, and what changes width or size before it where the block itself cannot."""

    name: str
    block: Template
    transition: Template | None

    def uses(self, gene: str) -> bool:
        """Whether the block's parameters depend on `gene`."""
        return gene in self.block.names or (self.transition is not None and gene in self.transition.names)

"""The parts of a training: the data, the curves, what it is right and wrong on, the recipe, what was inherited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.pages.parts import Axis, Cell, Column, Fact, Figure, Role, Row, Section, Series, Table, columns_of
from nas.pages.words import (
    DASH,
    accuracy_text,
    mapping,
    mappings,
    millions,
    number,
    number_cell,
    percent,
    percent_cell,
    seconds,
    short,
    text,
    text_cell,
)

_MATRIX = 20
"""So many classes have a matrix; of more the most frequent mistakes are listed."""
_MISTAKES = 40
_CURVES: Sequence[tuple[str, str, Role, float]] = (
    ("accuracy", "accuracy on validation images, %", "answer", 100.0),
    ("loss", "training loss", "known", 1.0),
)


def headline(result: Mapping[str, Any]) -> str:
    """What the network is right on."""
    accuracy, training = mapping(result.get("accuracy")), mapping(result.get("training"))
    held_out = number(training.get("held_out"))
    what = "held-out images" if held_out is None else f"{held_out:,.0f} held-out images"
    return (
        f"{short(result.get('name'))} is right on {accuracy_text(accuracy)} of the {what} of"
        f" {short(result.get('data'))} ({text(accuracy.get('source'))})."
    )


def cards(result: Mapping[str, Any]) -> list[Fact]:
    """The main figures."""
    accuracy = mapping(result.get("accuracy"))
    return [
        Fact(label="accuracy", value=accuracy_text(accuracy), source=text(accuracy.get("source"))),
        Fact(label="epochs", value=text(result.get("epochs"))),
        Fact(label="time", value=seconds(result.get("seconds"))),
        Fact(label="speed", value=f"{number(result.get('images_per_s')) or 0:,.0f} images/s", source="measured"),
    ]


def sections(result: Mapping[str, Any]) -> Iterator[Section]:
    """Data, curves, classes, recipe and inheritance, as far as the document has them."""
    training = mapping(result.get("training"))
    if not training:
        return
    classes = [short(name) for name in training.get("classes") or []]
    yield Section(
        name="data",
        title="The data",
        facts=[
            Fact(label="data", value=short(training.get("data"))),
            Fact(label="classes", value=str(len(classes))),
            Fact(label="images to train on", value=millions(training.get("images"))),
            Fact(label="held-out images", value=millions(training.get("held_out"))),
            Fact(label="digest", value=text(training.get("data_digest"))[:16]),
        ],
    )
    figures = list(_curves(mappings(training.get("history"))))
    if figures:
        yield Section(name="curves", title="How the training went", figures=figures)
    matrix = _matrix(training.get("confusion"), len(classes))
    if matrix:
        yield _classes(classes, matrix)
    yield _recipe(mapping(training.get("recipe")), training)
    init = mapping(result.get("init") or training.get("init"))
    if init:
        yield _inherited(init)


def _curves(history: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    epochs = [number(one.get("number")) for one in history]
    for key, title, role, factor in _CURVES:
        values = [number(one.get(key)) for one in history]
        if not any(value is not None for value in values):
            continue
        y = [None if value is None else factor * value for value in values]
        yield Figure(
            name=f"curve-{key}",
            title=title.partition(",")[0].capitalize(),
            x=Axis(title="epoch"),
            y=Axis(title=title),
            series=[
                Series(
                    name=title.partition(",")[0],
                    role=role,
                    form="line",
                    x=epochs,
                    y=y,
                    texts=[
                        f"epoch {text(e and f'{e:g}')}: {text(v and f'{v:.4g}')}"
                        for e, v in zip(epochs, y, strict=True)
                    ],
                )
            ],
            note="Measured after each epoch.",
        )


def _matrix(value: Any, count: int) -> list[list[int]]:
    """The confusion matrix, true classes in rows, where it is one of so many classes."""
    if not isinstance(value, list) or len(value) != count or not count:
        return []
    rows = [[int(number(one) or 0) for one in row] if isinstance(row, list) else [] for row in value]
    return rows if all(len(row) == count for row in rows) else []


def _classes(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> Section:
    totals = [sum(row) for row in matrix]
    right = [row[i] / total if total else None for i, (row, total) in enumerate(zip(matrix, totals, strict=True))]
    per_class = Table(
        name="classes",
        caption="The classes",
        columns=columns_of("class", "#held-out images", "#right", "#right %", "most often taken for"),
        rows=[
            Row(
                cells=[
                    Cell(text=name),
                    number_cell(float(totals[i])),
                    number_cell(float(matrix[i][i])),
                    percent_cell(right[i]),
                    Cell(text=_taken_for(classes, matrix[i], i)),
                ]
            )
            for i, name in enumerate(classes)
        ],
    )
    tables = [
        per_class,
        _matrix_table(classes, matrix, totals) if len(classes) <= _MATRIX else _mistakes(classes, matrix),
    ]
    figures = []
    if len(classes) <= 60:
        order = sorted(range(len(classes)), key=lambda i: right[i] or 0.0)
        figures.append(
            Figure(
                name="class-accuracy",
                title="Right by class",
                x=Axis(title="right, %", zero=True),
                y=Axis(title=""),
                series=[
                    Series(
                        name="right",
                        role="answer",
                        form="bars",
                        x=[100 * (right[i] or 0.0) for i in order],
                        y=[classes[i] for i in order],
                        texts=[f"{classes[i]}: {matrix[i][i]} of {totals[i]} ({percent(right[i])})" for i in order],
                    )
                ],
                note="Measured on held-out images.",
            )
        )
    return Section(name="classes-section", title="What it is right and wrong on", figures=figures, tables=tables)


def _taken_for(classes: Sequence[str], row: Sequence[int], own: int) -> str:
    wrong = [(count, i) for i, count in enumerate(row) if i != own and count]
    return "; ".join(f"{classes[i]} ({count})" for count, i in sorted(wrong, key=lambda one: -one[0])[:2]) or DASH


def _matrix_table(classes: Sequence[str], matrix: Sequence[Sequence[int]], totals: Sequence[int]) -> Table:
    rows = [
        Row(
            cells=[
                Cell(text=name),
                *(
                    Cell(text=str(count), sort=float(count), shade=count / totals[i] if totals[i] else 0.0)
                    for count in matrix[i]
                ),
            ]
        )
        for i, name in enumerate(classes)
    ]
    return Table(
        name="confusion",
        caption="Confusion matrix: true classes in rows, predicted in columns",
        columns=[Column(title="true class"), *(Column(title=name, numeric=True) for name in classes)],
        rows=rows,
        matrix=True,
    )


def _mistakes(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> Table:
    wrong = [(count, i, j) for i, row in enumerate(matrix) for j, count in enumerate(row) if i != j and count]
    rows = [
        Row(cells=[Cell(text=classes[i]), Cell(text=classes[j]), number_cell(float(count))])
        for count, i, j in sorted(wrong, key=lambda one: -one[0])[:_MISTAKES]
    ]
    columns = columns_of("true class", "taken for", "#images")
    return Table(name="confusion", caption="The most frequent mistakes", columns=columns, rows=rows)


def _recipe(recipe: Mapping[str, Any], training: Mapping[str, Any]) -> Section:
    simple = {key: value for key, value in recipe.items() if value is not None and not isinstance(value, Mapping)}
    facts = [Fact(label=key.replace("_", " "), value=short(value)) for key, value in simple.items()]
    for name, part in recipe.items():
        facts += [
            Fact(label=f"{name} {key}".replace("_", " "), value=short(value))
            for key, value in mapping(part).items()
            if value is not None
        ]
    if training.get("teacher"):
        facts.append(Fact(label="teacher", value=short(training["teacher"])))
    return Section(name="recipe", title="The recipe", facts=facts)


def _inherited(init: Mapping[str, Any]) -> Section:
    rows = [
        Row(
            cells=[
                text_cell(one.get("name")),
                number_cell(one.get("numbers"), ",.0f"),
                number_cell(one.get("of"), ",.0f"),
                text_cell(one.get("reason")),
            ]
        )
        for one in mappings(init.get("anew"))
    ]
    columns = columns_of("anew", "#numbers", "#of", "why")
    share = percent(init.get("share"))
    return Section(
        name="inherited",
        title="Inherited weights",
        texts=[
            (
                f"{share} of the weights ({millions(init.get('inherited'))} numbers) are inherited from"
                f" {short(init.get('parent'))}."
            )
        ],
        tables=[Table(name="anew", caption="What begins anew", columns=columns, rows=rows)] if rows else [],
    )

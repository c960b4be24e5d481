"""The page of a document: a section for each part that is there, and what an older version did not write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nas.errors import InputError
from nas.pages import checks, devices, search, studies, sustained, training
from nas.pages.finals import finals_section
from nas.pages.parts import Fact, Page, Section
from nas.pages.progress import progress_section
from nas.pages.trials import trials_section
from nas.pages.words import DASH, mapping, mappings, seconds, short, text

Document = Mapping[str, Any]
_DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def page_of(document: Document) -> Page:
    """The page of a document of `nas.pages.documents`. `InputError` for a result that no version wrote."""
    try:
        return _page(document)
    except _DAMAGE as error:
        raise InputError(
            f"a result must be one that nas wrote, but this one holds what none has ({type(error).__name__}: {error});"
            " run its command again."
        ) from error


def _page(document: Document) -> Page:
    kind, result = text(document.get("kind")), mapping(document.get("result"))
    run = mapping(document.get("run"))
    ends = list(_provenance(run, result))
    if kind == "device":
        name = short(mapping(result.get("device")).get("name"))
        return Page(
            title=name,
            kind="device",
            headline=devices.device_headline(result),
            sections=[*devices.device_sections(result), *ends],
        )
    if kind == "study":
        return Page(
            title=f"study of {short(result.get('study'))}",
            kind="study",
            headline=studies.study_headline(result),
            sections=[*studies.study_sections(result), *ends],
        )
    if kind == "build":
        return Page(
            title="latency table",
            kind="build",
            headline=checks.build_headline(result),
            sections=[*checks.build_sections(result), *ends],
        )
    if kind == "check":
        return Page(
            title="check of a table",
            kind="check",
            headline=checks.check_headline(result),
            sections=[*checks.check_sections(result), *ends],
        )
    if kind == "sustained":
        return Page(
            title=short(result.get("network")),
            kind="sustained",
            headline=sustained.sustained_headline(result),
            sections=[*sustained.sustained_sections(result), *ends],
        )
    if kind == "train":
        missing = [] if result.get("training") else ["the classes, the curves and the confusion matrix of the training"]
        return Page(
            title=short(result.get("name")),
            kind="train",
            headline=training.headline(result),
            cards=training.cards(result),
            sections=[*training.sections(result), *_files(result, result.get("zoo")), *ends],
            missing=missing,
        )
    return _search_page(kind, result, ends)


def _search_page(kind: str, result: Document, ends: list[Section]) -> Page:
    """A search, for one target or several, or an adaptation."""
    answers = mappings(result.get("answers"))
    first = answers[0] if answers else result
    if not mapping(first.get("best")):
        raise InputError("a result of a search must have an answer, but this one has none; run its command again.")
    networks = search.views(result if not answers else {**first, "answers": answers})
    whole = {**first, "answers": answers} if answers else result
    headline = search.headline(first)
    if answers:
        headline = (
            f"{len(answers)} targets on {short(first.get('device'))}: "
            + "; ".join(f"{one.get('target_ms'):g} ms: {search.cards(one)[1].value}" for one in answers)
            + f" ({text(mapping(mapping(first.get('best')).get('accuracy')).get('source'))})."
        )
    sections = [
        Section(
            name="answer",
            title="Accuracy and latency",
            figures=[search.trade_off(whole)],
            tables=[search.network_table(whole)],
        ),
        Section(name="architecture", title="The architecture, stage by stage", extra="architecture"),
    ]
    where = search.where_figures(whole)
    if where:
        sections.append(Section(name="where", title="Where the latency goes", figures=where))
    for part in (
        progress_section(whole), finals_section(result), trials_section(result), checks.verification_section(result)
    ):  # fmt: skip
        if part is not None:
            sections.append(part)
    best = mapping(first.get("best"))
    return Page(
        title=short(best.get("name")),
        kind=kind,
        headline=headline,
        lead=[line for one in answers or [result] for line in _led(one, several=bool(answers))],
        cards=search.cards(first),
        sections=[*sections, *training.sections(result), *_files(best, best.get("zoo")), *ends],
        networks=networks,
        beside=search.beside(whole),
        missing=list(_missing(result, first)),
    )


def _led(result: Document, *, several: bool) -> Iterator[str]:
    prefix = f"{result.get('target_ms'):g} ms, {short(mapping(result.get('best')).get('name'))}: " if several else ""
    for line in search.lead(result):
        yield prefix + line


def _missing(result: Document, first: Document) -> Iterator[str]:
    """What versions of today write and this document lacks."""
    if not mapping(first.get("best")).get("anatomy"):
        yield "the latency of the layers and operators"
    if not result.get("trials") and "rounds" not in result and not mapping(first.get("history")).get("points"):
        yield "how the search came to its answer"


def _files(network: Document, zoo: Any) -> Iterator[Section]:
    """How to run the files, in three lines."""
    if not zoo:
        return
    resolution = mapping(network.get("architecture")).get("resolution")
    sides = resolution if isinstance(resolution, list) else [resolution, resolution] if resolution else []
    channels = mapping(network.get("architecture")).get("in_channels") or 3
    shape = ", ".join(map(str, [1, channels, *sides])) if sides else "1, channels, height, width"
    yield Section(
        name="files",
        title="Run it",
        code=(
            "import onnxruntime as ort\n"
            f"session = ort.InferenceSession({str(zoo) + '/model.onnx'!r})\n"
            f'logits, = session.run(["logits"], {{"image": images}})    # images: float32 array ({shape})'
        ),
        facts=[Fact(label="folder", value=str(zoo))],
    )


def _provenance(run: Document, result: Document) -> Iterator[Section]:
    """What repeats it: command, seed, versions, inputs with their digests."""
    facts = [
        Fact(label="run", value=text(run.get("run") or result.get("run"))),
        Fact(label="command", value=text(run.get("command"))),
        Fact(
            label="began",
            value=f"{text(run.get('created'))} on {text(run.get('host'))}" if run.get("created") else DASH,
        ),
        Fact(label="took", value=seconds(run.get("seconds") or result.get("seconds"))),
        Fact(label="seed", value=text(run.get("seed") if run.get("seed") is not None else result.get("seed"))),
    ]
    facts += [Fact(label=str(name), value=str(value)) for name, value in mapping(run.get("versions")).items()]
    facts += [Fact(label=f"read: {name}", value=_inline(value)) for name, value in mapping(run.get("inputs")).items()]
    facts = [one for one in facts if one.value != DASH]
    if facts:
        yield Section(name="repeat", title="To repeat it", facts=facts)


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        found = ", ".join(f"{key} {_inline(one)}" for key, one in value.items() if one is not None)
    else:
        found = ", ".join(map(_inline, value)) if isinstance(value, list) else str(value)
    return found if len(found) <= 600 else f"{found[:599]}…"

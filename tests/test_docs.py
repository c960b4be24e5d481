from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import nas
from nas.cli.main import root
from nas.errors import InputError

CHECKOUT = Path(__file__).resolve().parent.parent
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
COMMANDS = (CHECKOUT / "docs" / "commands.md").read_text(encoding="utf-8")
PAGES = {path.relative_to(CHECKOUT): path.read_text(encoding="utf-8") for path in CHECKOUT.glob("docs/*.md")}
PAGES[Path("README.md")] = README


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Each command below `group` with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


CALLS = [
    pytest.param(line, id=f"{page}: {line}")
    for page, text in sorted(PAGES.items())
    for block in re.findall(r"```(?:sh|text)\n(.*?)```", text, re.DOTALL)
    for line in re.findall(r"^(?:\$ )?(nas [^#\n]*)", block, re.MULTILINE)
]


@pytest.mark.parametrize("call", CALLS)
def test_every_call_in_the_pages_parses(call: str) -> None:
    command: click.Command = root
    words = shlex.split(call)[1:]
    while isinstance(command, click.Group) and not words[0].startswith("-"):
        below = command.get_command(click.Context(command), words.pop(0))
        assert below is not None
        command = below
    unknown = ""
    try:
        with contextlib.suppress(click.exceptions.Exit):  # how --help ends
            command.make_context("nas", words)
    except InputError as error:
        unknown = str(error)
    # A page may name a device or a file of the reader's own.
    assert not unknown or re.search("must be a known name|must be a readable", unknown)


def test_every_command_has_its_section_and_every_section_its_command() -> None:
    sections = re.findall(r"^#+ `(nas .*)`$", COMMANDS, re.MULTILINE)
    assert sorted(sections) == sorted(path for path, _ in _commands(root, "nas"))


@pytest.mark.parametrize(("path", "command"), list(_commands(root, "nas")))
def test_every_option_is_in_the_section_of_its_command(path: str, command: click.Command) -> None:
    section = COMMANDS.partition(f"`{path}`\n")[2].partition("\n#")[0]
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.opts[0] not in ("--json", "--wide"):  # said once, for all
            assert f"`{parameter.opts[0]}" in section, parameter.opts[0]


@pytest.mark.parametrize("page", sorted(PAGES), ids=str)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGES[page]):
        if "://" not in link:
            assert (CHECKOUT / page.parent / link).exists(), link


def test_every_page_is_in_the_readme() -> None:
    assert [page for page in PAGES if page.parent.name and f"({page.as_posix()})" not in README] == []


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\bnas\.(\w+)\(", README))))
def test_every_python_name_of_the_readme_exists(name: str) -> None:
    assert callable(getattr(nas, name))


def test_the_transcripts_of_both_main_jobs_are_in_the_readme() -> None:
    mark = r"<!-- transcript: (nas [^\n]+?) -->\n```text\n\$ \1\n.+?```\n<!-- /transcript -->"
    first, second = re.findall(mark, README, re.DOTALL)
    assert first == "nas search --target-latency 1ms --device iphone12" and "--data photos" in second


def test_the_transcripts_of_your_data_are_there() -> None:
    page = PAGES[Path("docs/your-data.md")]
    mark = r"<!-- (transcript|refused|interrupted): (nas [^\n]+?) -->\n```text\n\$ ([^\n]+)\n(.+?)```\n<!-- /\1 -->"
    found = re.findall(mark, page, re.DOTALL)
    assert len(found) == page.count("<!-- /") == 9
    for _, command, called, _ in found:
        assert re.fullmatch(re.escape(command).replace("RUN", r"\d{8}-\d{6}-[0-9a-f]{4}"), called)

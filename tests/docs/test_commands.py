"""Every command and every piece of configuration in a page is one that exists, down to its options and keys."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
import yaml

from agent.base.errors import UserError
from agent.cli.app import app
from agent.config.campaign import Config, read_config

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
    *sorted((ROOT / "bench").rglob("*.md")),
    ROOT / "recipes" / "README.md",
    ROOT / "runs" / "README.md",
    ROOT / "agent" / "cli" / "SKILL.md",
]
PAGES = [page for page in PAGES if page.name != "CHANGELOG.md"]  # it names what was
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(ratchet [^`]+)`")
ENDS = re.compile(r"\s(?:&&|\||>>?|;|#\s|2>).*")
MODELS = "models:\n  solver: {provider: embedded}\n  improver: {provider: embedded}\n"


def commands(text: str) -> Iterator[str]:
    """The calls of `ratchet` in a page: in blocks of code, and between backquotes."""
    for language, block in BLOCK.findall(text):
        if language in ("", "sh", "bash", "console"):
            for line in block.splitlines():
                for part in line.split(" && "):
                    yield from re.findall(r"(?:^|\$ |; )(ratchet [^\n]*)", ENDS.sub("", part))
    for found in INLINE.findall(BLOCK.sub("", text)):
        yield " ".join(found.split())


def problem(line: str) -> str | None:
    """What is wrong with one call; None if command and options exist."""
    words = shlex.split(re.sub(r"(?<=\w)'(?=\w)", "", ENDS.sub("", line)), comments=True)[1:]
    command: click.Command = typer.main.get_command(app)
    while words and (inner := getattr(command, "commands", None)) is not None and not words[0].startswith("-"):
        if words[0].strip("/") not in inner:
            return f"no command {words[0]!r}"
        command = inner[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
    wrong = [word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]
    return f"no option {wrong[0]}" if wrong else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_exists_with_its_options(page: Path) -> None:
    said = [(line, problem(line)) for line in commands(page.read_text())]
    assert [one for one in said if one[1]] == []


def test_the_search_for_commands_finds_them() -> None:
    everything = [line for page in PAGES for line in commands(page.read_text())]
    assert len(everything) > 200
    assert problem("ratchet stop --everything") == "no option --everything"
    assert problem("ratchet tasks prove x") == "no command 'prove'"
    assert problem("ratchet eval --rev HEAD --against seed  # a remark") is None


def pieces() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for language, block in BLOCK.findall(page.read_text()):
            if language == "yaml":
                yield page, block


@pytest.mark.parametrize(("page", "block"), [*pieces()], ids=lambda one: getattr(one, "stem", ""))
def test_every_piece_of_configuration_is_valid(page: Path, block: str, tmp_path: Path) -> None:
    found = yaml.safe_load(block)
    if "tasks" in found or "rules" in found:  # a suite, a script
        return
    whole = ("" if "suite" in found else "suite: starter\n") + ("" if "models" in found else MODELS) + block
    (tmp_path / "campaign.yaml").write_text(whole)
    try:
        read_config(tmp_path / "campaign.yaml")
    except UserError as error:
        pytest.fail(f"{page.name}: {error}")


SECTIONS = {name: field.annotation for name, field in Config.model_fields.items()}
KEY = re.compile(rf"`({'|'.join(SECTIONS)})\.([a-z_]+)[`:]")


def test_every_key_that_a_sentence_names_exists() -> None:
    named = [(page.name, *found) for page in PAGES for found in KEY.findall(page.read_text())]
    # The keys of `models` are roles; some files are called as a section is.
    named = [one for one in named if one[1] != "models" and one[2] not in {"yaml", "sh", "md"}]
    assert len(named) > 30
    assert [one for one in named if one[2] not in getattr(SECTIONS[one[1]], "model_fields", {})] == []

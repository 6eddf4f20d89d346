"""`ratchet docs` shows every page where no checkout is, and what other commands point to is there."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from agent.base.errors import UserError
from agent.cli.app import app
from agent.cli.docs import pages

ROOT = Path(__file__).parents[2]
POINTER = re.compile(r"ratchet docs ([a-z][a-z/-]+)")


def test_every_page_is_listed_with_its_title_and_can_be_read() -> None:
    runner = CliRunner()
    listed = runner.invoke(app, ["docs"]).stdout.splitlines()
    assert len(listed) == len(pages()) > 30
    assert all(re.match(r"[a-z/-]+ +\S", line) for line in listed), listed
    for name, file in pages().items():
        assert runner.invoke(app, ["docs", name]).stdout == file.read_text()
    assert "# A night with a hosted model" in runner.invoke(app, ["docs", "hosted"]).stdout


def test_an_unknown_page_is_an_error_that_names_the_closest() -> None:
    done = CliRunner().invoke(app, ["docs", "modles"])
    assert isinstance(done.exception, UserError)
    assert "Did you mean 'models'?" in str(done.exception)


def test_what_messages_point_to_is_a_page_of_the_wheel() -> None:
    texts = [path.read_text() for path in [*(ROOT / "agent").rglob("*.py"), *(ROOT / "docs").rglob("*.md")]]
    pointed = {name for text in texts for name in POINTER.findall(text)}
    assert {"models", "importing", "own-agent", "unattended"} <= pointed
    assert {name for name in pointed if name not in pages()} == set()


def test_no_message_points_to_a_file_that_the_wheel_does_not_hold() -> None:
    for path in (ROOT / "agent").rglob("*.py"):
        code = re.sub(r'"""(.|\n)*?"""|#.*', "", path.read_text())
        assert not re.findall(r"(?<![.\w/])docs/[a-z-]+\.md", code), path

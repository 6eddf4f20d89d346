"""The documentation site: it builds strictly, loads nothing from elsewhere, and knows what the code knows."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import click
import pytest
import typer

from agent.cli.app import app
from agent.config.template import render_template

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    argv = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Loaded(HTMLParser):
    """The addresses that a page loads by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in {"script", "img", "iframe"}:
            self.found.append(values.get("src") or "")
        if tag == "link" and values.get("rel") in {"stylesheet", "preload", "icon"}:
            self.found.append(values.get("href") or "")


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        outside = [one for one in Loaded(page.read_text()).found if re.match(r"(https?:)?//", one)]
        assert outside == [], page


def test_the_search_finds_a_key_of_the_configuration(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text()
    assert "patience_minutes" in index


def commands() -> set[str]:
    return {path for path, _ in every_command(typer.main.get_command(app), "")}


def every_command(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    inner = getattr(command, "commands", {})
    if not inner:
        yield path.strip(), command
    for name, below in inner.items():
        yield from every_command(below, f"{path} {name}")


def written() -> str:
    """What people wrote: every page below docs/, and the README."""
    return "\n".join(path.read_text() for path in [*DOCS.rglob("*.md"), ROOT / "README.md"])


def test_every_command_is_in_a_written_page() -> None:
    text = written()
    assert [name for name in commands() if f"ratchet {name}" not in text] == []


def shell_lines() -> Iterator[str]:
    """The lines of every block of code without a language."""
    fence: str | None = None
    for line in written().splitlines():
        if line.startswith("```"):
            fence = None if fence is not None else line
        elif fence == "```":
            yield line


def test_no_page_names_a_command_that_does_not_exist() -> None:
    known = commands() | {name.split()[0] for name in commands()}
    lines = [line for line in shell_lines() if line.startswith("ratchet ")]
    assert len(lines) > 40
    for line in lines:
        words = [word for word in line.split("#")[0].split()[1:] if re.fullmatch("[a-z-]+", word)]
        assert words == [] or words[0] in known, line


def test_the_figures_of_search_and_gate_are_those_of_the_record() -> None:
    page = " ".join((DOCS / "concepts" / "search-and-gate.md").read_text().split())
    rows = [line.split("|") for line in (ROOT / "bench" / "gate" / "RESULTS.md").read_text().splitlines()]
    large = next(n for n, row in enumerate(rows) if "T = 60: 20,000 trials" in row[0]) + 1
    table = [row for row in rows[large : large + 14] if len(row) > 5]
    found = {row[1].strip(" *"): [word.split()[0] for word in row[2:5]] for row in table}
    once, ours = found["keep if one paired run is better"], found["search line + gate (ours)"]
    commits, false, gain = (round(float(figure)) for figure in once)
    assert f"makes {commits} commits of which {false} are false, and gains {gain} points" in page
    commits, false, gain = (round(float(figure)) for figure in ours)
    assert false == 0
    assert f"makes {commits}, none of them false, and gains {gain} points" in page


def keys() -> Iterator[str]:
    for line in render_template().splitlines():
        if match := re.match(r"^( *)([a-z_]+):", line):
            yield match[2]


def test_every_key_of_the_configuration_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "campaign.html").read_text()
    assert [key for key in keys() if key not in page] == []


def test_every_kind_of_event_is_in_its_table() -> None:
    kinds = set()
    for path in (ROOT / "agent").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            is_note = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "note" and node.args
            if is_note and isinstance(node.args[0], ast.Constant):
                kinds.add(node.args[0].value)
    listed = (DOCS / "reference" / "events.md").read_text()
    assert len(kinds) > 10
    assert [kind for kind in kinds if f"`{kind}`" not in listed] == []


def word_for_word(root: Path, page: str, mark: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the marked blocks of a checkout's page, as somebody who pastes them one after the other."""
    text = (root / "docs" / page).read_text()
    blocks = re.findall(rf"<!-- {mark} -->\n(`{{3,}})\n(.*?\n)\1\n", text, re.DOTALL)
    script = 'set -e\nratchet() { python -P -m agent.cli "$@"; }\n' + "".join(block for _, block in blocks)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    who = {f"GIT_{role}_{key}": "u@x" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    env = {**os.environ, **who, "PATH": path, "PYTHONPATH": str(root)}
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
@pytest.mark.docker
def test_the_quickstart_runs_word_for_word_in_a_fresh_clone(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    done = word_for_word(clone, "quickstart.md", "quickstart", tmp_path)
    assert re.search(r"\d+ patches proposed: ", done.stdout), "whether one is proven in ten minutes is chance"
    assert list((tmp_path / "first" / "runs").glob("*/report.html"))


@pytest.mark.slow
@pytest.mark.docker
def test_the_tutorial_of_ones_own_agent_runs_word_for_word(tmp_path: Path) -> None:
    done = word_for_word(ROOT, "tutorials/own-agent.md", "tutorial", tmp_path)
    assert "Ask for a check of the examples" in done.stdout
    assert done.stdout.endswith("Check every example before you answer.\n")
    assert (tmp_path / "my-agent/prompts/solve.md").read_text().count("\n") == 2

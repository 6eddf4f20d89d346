"""The house as a test: who may import whom, and what fits on a screen."""

from __future__ import annotations

import ast
import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.base.trust import DEFAULT_MUTABLE
from agent.kernel.loop.campaign import Campaign

ROOT = Path(__file__).parents[2]
TRUSTED = [
    path
    for folder in ("agent", "sandbox")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if ROOT / "agent" / "scaffold" not in path.parents
]
SCAFFOLD = sorted((ROOT / "agent" / "scaffold").rglob("*.py"))
IN_THE_IMAGE = {"frames", "forward", "runner", "install", "ratchet_check", "ratchet_child"}
SCREEN = 40


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", TRUSTED, ids=lambda p: str(p.relative_to(ROOT)))
def test_trusted_code_never_imports_the_scaffold(path: Path) -> None:
    assert not [name for name in imports(path) if name.startswith("agent.scaffold")]


@pytest.mark.parametrize("path", SCAFFOLD, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_scaffold_imports_only_itself_and_the_standard_library(path: Path) -> None:
    for name in imports(path):
        top = name.lstrip(".").split(".")[0]
        ours = name.startswith((".", "agent.scaffold")) or name == "agent"
        assert ours or top in sys.stdlib_module_names, name


def test_there_is_something_to_look_at() -> None:
    assert len(TRUSTED) > 20
    assert len(SCAFFOLD) > 3


def test_the_kernel_calls_no_model() -> None:
    for path in (ROOT / "agent" / "kernel").rglob("*.py"):
        assert not {"openai", "anthropic", "xllamacpp"} & {name.split(".")[0] for name in imports(path)}, path


def test_the_kernel_names_no_engine_and_no_command_line() -> None:
    outside = ("agent.cli.app", "agent.cli.options", "agent.review", "agent.wiring")
    for path in (ROOT / "agent" / "kernel").rglob("*.py"):
        assert not [n for n in imports(path) if n.split(".")[0] in {"docker", "typer", "rich", "sandbox"}], path
        assert not [n for n in imports(path) if n.startswith(outside)], path


def test_the_campaign_loop_fits_on_a_screen() -> None:
    assert len(inspect.getsource(Campaign.run).splitlines()) <= SCREEN


def test_running_the_tests_never_imports_what_a_campaign_rewrites(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_nothing.py").write_text("def test_nothing(): pass")
    planted = tmp_path / "agent" / "scaffold"
    planted.mkdir(parents=True)
    for name in ("conftest.py", "test_planted.py"):
        (planted / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, check=True)
    assert not (tmp_path / "ran").exists()


def test_mutable_paths_are_written_once() -> None:
    assert DEFAULT_MUTABLE == ("agent/scaffold", "prompts")
    for path in TRUSTED:
        if path.name != "trust.py":
            assert '"agent/scaffold"' not in path.read_text(encoding="utf-8"), path

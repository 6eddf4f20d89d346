"""The house as a test: what the scaffold and the kernel may import, and what fits on a screen.

Which trusted package may import which is a contract in pyproject.toml that `make check` holds.
"""

from __future__ import annotations

import ast
import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from agent.base.trust import DEFAULT_MUTABLE
from agent.kernel.loop.campaign import Campaign
from tests.structure.trees import ROOT, SCAFFOLD, TRUSTED, name

SCREEN = 40


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_trusted_code_never_imports_the_scaffold() -> None:
    assert [name(path) for path in TRUSTED for one in imports(path) if one.startswith("agent.scaffold")] == []


def test_the_scaffold_imports_only_itself_and_the_standard_library() -> None:
    for path in SCAFFOLD:
        for imported in imports(path):
            top = imported.lstrip(".").split(".")[0]
            ours = imported.startswith((".", "agent.scaffold")) or imported == "agent"
            assert ours or top in sys.stdlib_module_names, f"{name(path)}: {imported}"


def test_there_is_something_to_look_at() -> None:
    assert len(TRUSTED) > 20
    assert len(SCAFFOLD) > 3


def test_the_kernel_calls_no_model() -> None:
    for path in (ROOT / "agent" / "kernel").rglob("*.py"):
        assert not {"openai", "anthropic", "xllamacpp"} & {one.split(".")[0] for one in imports(path)}, path


def test_the_kernel_names_no_engine_and_no_command_line() -> None:
    outside = ("agent.cli", "agent.review", "agent.wiring")
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
    for file in ("conftest.py", "test_planted.py"):
        (planted / file).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, check=True)
    assert not (tmp_path / "ran").exists()


def test_mutable_paths_are_written_once() -> None:
    assert DEFAULT_MUTABLE == ("agent/scaffold", "prompts")
    for path in TRUSTED:
        if path.name != "trust.py":
            assert '"agent/scaffold"' not in path.read_text(encoding="utf-8"), path

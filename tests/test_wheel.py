"""The built wheel on a machine without a checkout: one name in site-packages, and the quickstart runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAST = "budget:\n  hours: 0.16\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True)
    return next(folder.glob("ratchet_rsi-*.whl"))


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_a_wheel_owns_one_top_level_name(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in names(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ratchet_rsi"}


def test_a_wheel_holds_what_git_tracks_and_nothing_else(wheel: Path) -> None:
    packages = ("agent", "sandbox", "tasks", "prompts", "recipes")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *packages, "docs/*.md"]
    tracked = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    inside = [name.removeprefix("ratchet_rsi/house/") for name in names(wheel) if "/house/" in name]
    assert sorted(inside) == sorted(path for path in tracked if (ROOT / path).is_file())


@pytest.mark.slow
@pytest.mark.docker
def test_the_quickstart_runs_from_a_wheel_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    subprocess.run([str(tmp_path / "venv/bin/pip"), "install", "-q", str(wheel)], check=True)

    def ratchet(*arguments: str, folder: Path = tmp_path) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        kept["XDG_CACHE_HOME"] = str(tmp_path / "cache")  # the weights are fetched
        argv = [str(tmp_path / "venv/bin/ratchet"), *arguments]
        done = subprocess.run(argv, cwd=folder, env=kept, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert re.fullmatch(r"ratchet \d+\.\d+\.\d+\n", ratchet("--version"))
    ratchet("init", "--starter", "mine")
    mine = tmp_path / "mine"
    assert "fetching the weights" in ratchet("doctor", folder=mine)
    campaign = mine / "campaign.yaml"
    assert LAST in campaign.read_text()
    campaign.write_text(campaign.read_text().replace(LAST, "budget:\n  trials: 6\n"))
    assert "6 trials" in ratchet("run", folder=mine)
    assert "No patch was accepted yet" in ratchet("log", folder=mine)
    for page in re.findall(r"`ratchet docs ([a-z/-]+)`", ratchet("docs", "faq") + ratchet("docs")):
        assert ratchet("docs", page)
    assert "# Models" in ratchet("docs", "models")

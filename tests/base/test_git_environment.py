"""The environment of the user's git: nothing in it names another repository."""

from __future__ import annotations

import pytest

from agent.base.git_environment import git_environment

LEADS = ("DIR", "WORK_TREE", "INDEX_FILE", "COMMON_DIR", "OBJECT_DIRECTORY", "NAMESPACE", "CONFIG", "CONFIG_PARAMETERS")
STAYS = ("AUTHOR_NAME", "COMMITTER_EMAIL", "CONFIG_GLOBAL", "CONFIG_SYSTEM", "SSH_COMMAND", "SSL_CAINFO", "ASKPASS")


@pytest.mark.parametrize(("names", "stay"), [(LEADS, False), (STAYS, True)])
def test_identity_and_settings_stay_and_nothing_leads_elsewhere(
    names: tuple[str, ...], stay: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        monkeypatch.setenv(f"GIT_{name}", "x")
    monkeypatch.setenv("GITHUB_TOKEN", "x")
    found = git_environment()
    assert [f"GIT_{name}" in found for name in names] == [stay] * len(names)
    assert found["GITHUB_TOKEN"] == "x"

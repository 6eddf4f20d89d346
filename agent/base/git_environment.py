"""The environment for the user's own git, when it runs in a folder that we name."""

from __future__ import annotations

import os

_KEPT = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
_REACHES = ("GIT_SSH", "GIT_SSL_", "GIT_ASKPASS", "GIT_PROXY_", "GIT_TERMINAL_PROMPT")


def git_environment() -> dict[str, str]:
    """The environment of this process without the variables that lead git to another repository.

    A hook, `git rebase --exec` and some set-ups of dotfiles set `GIT_DIR`, `GIT_INDEX_FILE`, `GIT_WORK_TREE` and the
    like; git then ignores the folder that it is told. Who commits, the files of its configuration, and how it reaches
    a server stay.
    """
    kept = (*_KEPT, *_REACHES)
    return {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith(kept)}

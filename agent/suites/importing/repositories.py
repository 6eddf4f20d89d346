"""A git repository as a task's workspace: out of an image, cloned into one, or from a clone on this machine.

The repository that a box sees ends at the base commit. The base is kept outside of the workspace where the image holds
it, so the patch that is handed in is made against files that a candidate cannot write.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from agent.base.errors import UserError
from agent.base.git_environment import git_environment
from agent.base.types import Files
from agent.suites import tree
from agent.suites.importing.draft import Unsupported

PATCH = ".ratchet/model.patch"
"""What is handed in, below the workspace."""

KEPT = "/opt/ratchet-repository"
TESTBED = "/testbed"
ENVIRONMENT = "/etc/ratchet-environment.sh"
"""Bash reads it: it brings the image's own Python environment into commands, and leaves the scaffold's alone."""

GIT = "RUN git --version || (apt-get update && apt-get install -y --no-install-recommends git ca-certificates)"
"""A layer that makes sure that an image has git."""

GIT_SECONDS = 120
COMMIT = re.compile(r"[0-9a-f]{40}")
_FETCH_ONLY = ("fetch.fsckObjects=true", "protocol.allow=never", "protocol.https.allow=always")
FETCH = (*(word for setting in _FETCH_ONLY for word in ("-c", setting)), "fetch", "-q", "--depth", "1")
"""Fetches over https, and refuses objects that git would not make: a path such as `..` in a tree."""

_PLAIN, _RUNS, _LINK = "100644", "100755", "120000"
_IDENTITY = "-c user.name=ratchet -c user.email=ratchet@localhost -c commit.gpgsign=false"
_CONDA = "/opt/miniconda3/bin/activate"
_START = "mkdir -p .ratchet && mkdir -p .git/info && echo /.ratchet/ >> .git/info/exclude"

PREPARE_FILES = (
    f"set -e; cd /workspace; git init -q; {_START}; git add -A -f; "
    f"git {_IDENTITY} commit -q --no-verify -m base; git branch -q ratchet-base"
)
"""Makes a repository of one commit of the starting files."""

COLLECT_FILES = (
    "cd /workspace && git add -A && git diff --cached --binary --no-ext-diff --no-textconv ratchet-base"
    f" > /tmp/patch && mkdir -p .ratchet && if [ -s /tmp/patch ]; then cp /tmp/patch {PATCH}; fi"
)
PREPARE_IMAGE = (
    f"set -e; tar -C {KEPT} --exclude=./.git -cf - . | tar -C /workspace -xf -; cd /workspace; git init -q; "
    f"echo {KEPT}/.git/objects > .git/objects/info/alternates; "
    f"git update-ref refs/heads/base $(cat {KEPT}/.git/base); git symbolic-ref HEAD refs/heads/base; {_START}; "
    "git reset -q"
)
"""Copies the working tree; the history stays in the image, which the repository borrows its objects from."""

COLLECT_IMAGE = (
    "export GIT_DIR=/tmp/base.git GIT_WORK_TREE=/workspace; rm -rf /tmp/base.git; git init -q --bare /tmp/base.git && "
    f"echo {KEPT}/.git/objects > /tmp/base.git/objects/info/alternates && cd /workspace && "
    "echo /.ratchet/ > /tmp/base.git/info/exclude && "
    f"git read-tree $(cat {KEPT}/.git/base) && git add -A . && "
    f"git diff --cached --binary --no-ext-diff --no-textconv $(cat {KEPT}/.git/base) > /tmp/patch && "
    f"mkdir -p .ratchet && if [ -s /tmp/patch ]; then cp /tmp/patch {PATCH}; fi"
)


def cloned(repository: str, commit: str) -> tuple[str, ...]:
    """Layers that fetch one commit of a GitHub repository, and nothing after it."""
    url = shlex.quote(f"https://github.com/{repository}")
    fetch = f"git fetch -q --depth 1 {url} {commit} && git checkout -q FETCH_HEAD"
    return (GIT, f"RUN git init -q {TESTBED} && cd {TESTBED} && {fetch}")


def ending_at(commit: str) -> tuple[str, ...]:
    """Layers that end the history of an image's repository at a commit, and set it aside for each box to copy."""
    base = (
        f"cd {TESTBED} && git config --global --add safe.directory '*'"
        f' && if [ "$(git rev-parse HEAD)" != {commit} ] && [ "$(git rev-parse HEAD^ 2>/dev/null)" != {commit} ];'
        f" then git checkout -q -f {commit}; fi"
        f" && git checkout -q --detach && git add -A && git {_IDENTITY} commit -q --no-verify --allow-empty -m base"
    )
    forget = (
        "git for-each-ref --format='delete %(refname)' | git update-ref --no-deref --stdin"
        ' && git remote | while read name; do git remote remove "$name"; done'
        " && git rev-parse HEAD > .git/base && git update-ref refs/heads/base HEAD"
        " && git symbolic-ref HEAD refs/heads/base && rm -rf .git/logs .git/FETCH_HEAD .git/ORIG_HEAD .git/refs/stash"
        " && git -c gc.pruneExpire=now gc -q --prune=now"
    )
    aside = f"cd / && mv {TESTBED} {KEPT} && ln -s /workspace {TESTBED} && chmod -R a+rX {KEPT}"
    conda = f"if [ -f {_CONDA} ]; then echo . {_CONDA} testbed > {ENVIRONMENT}; else touch {ENVIRONMENT}; fi"
    return (GIT, f"RUN {base} && {forget} && {aside}", f"RUN {conda}")


def files_at(clones: Path, repository: str, commit: str) -> Files:
    """The files of a commit, out of a clone below `clones`.

    Raises:
        Unsupported: there is no such commit, or it holds what starting files cannot.
    """
    clone = clone_of(clones, repository)
    return files_below(clone, commit, "")


def files_below(clone: Path, commit: str, folder: str) -> Files:
    """The files of a commit below one of its folders, by their paths in that. Raises Unsupported as `files_at` does."""
    wanted = ("--", f"{folder.strip('/')}/") if folder.strip("/.") else ()
    listing = _git(clone, "ls-tree", "-r", "-z", "--full-tree", commit, *wanted).split(b"\0")
    entries = [_entry(line) for line in listing if line]
    if len(entries) > tree.MAX_FOLDER_FILES:
        raise Unsupported(f"{clone.name}: {len(entries)} files; {tree.MAX_FOLDER_FILES} are carried: name an image")
    bodies = _blobs(clone, [blob for blob, _ in entries])
    above = wanted[1] if wanted else ""
    return {path.removeprefix(above): body for (_, path), body in zip(entries, bodies, strict=True)}


def fetched_commit(url: str, commit: str, into: Path) -> Path:
    """A repository with one commit of a public repository; made once. Raises Unsupported."""
    if not url.startswith("https://"):
        raise Unsupported(f"git_url: {url!r:.80} is not an https address")
    if not into.exists():
        into.mkdir(parents=True)
        _git(into, "init", "-q")
    if commit == "HEAD" or not _has(into, commit):
        _git(into, *FETCH, url, commit)
        if commit == "HEAD":
            _git(into, "update-ref", "HEAD", "FETCH_HEAD")
    return into


def _has(clone: Path, commit: str) -> bool:
    try:
        _git(clone, "cat-file", "-e", f"{commit}^{{commit}}")
    except Unsupported:
        return False
    return True


def clone_of(clones: Path, repository: str) -> Path:
    """The clone of `owner/name` in a folder of clones. Raises Unsupported."""
    owner, _, name = repository.partition("/")
    for candidate in (f"{owner}/{name}", f"{owner}__{name}", name):
        for folder in (clones / candidate, clones / f"{candidate}.git"):
            if (folder / ".git").exists() or (folder / "HEAD").is_file():
                return folder
    raise Unsupported(f"{repository}: no clone in {clones.name}/")


def _entry(line: bytes) -> tuple[str, str]:
    """Blob and path of a line of `git ls-tree`. Raises Unsupported for what is not a plain file, and for a path out."""
    head, _, name = line.partition(b"\t")
    mode, _, blob = head.decode().split()
    try:
        path = name.decode()
    except UnicodeDecodeError as error:
        raise Unsupported(f"a file name that is not UTF-8: {name!r:.60}") from error
    if mode not in {_PLAIN, _RUNS}:
        raise Unsupported(f"{path!r:.60}: a {'link' if mode == _LINK else 'submodule'}: name an image")
    try:
        return blob, tree.plain(path)
    except tree.BadTree as error:
        raise Unsupported(str(error)) from error


def _blobs(clone: Path, blobs: Sequence[str]) -> list[bytes]:
    """The contents of blobs, in their order."""
    said = _git(clone, "cat-file", "--batch", given="".join(f"{blob}\n" for blob in blobs).encode())
    found, at = [], 0
    for _ in blobs:
        end = said.index(b"\n", at)
        size = int(said[at:end].split()[2])
        found.append(said[end + 1 : end + 1 + size])
        at = end + size + 2
    return found


def _git(clone: Path, *words: str, given: bytes = b"") -> bytes:
    """What git says about a clone. Raises Unsupported where it fails, and UserError without git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(clone), *words],
            env=git_environment(),
            input=given,
            capture_output=True,
            check=False,
            timeout=GIT_SECONDS,
        )
    except OSError as error:
        raise UserError("git", f"cannot be started ({error.strerror})", "Install git.") from error
    except subprocess.TimeoutExpired as error:
        raise Unsupported(f"git {words[0]} in {clone.name}: took more than {GIT_SECONDS} s") from error
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise Unsupported(f"git {words[0]} in {clone.name}: {said:.120}")
    return done.stdout

"""`ratchet promote`: brings accepted patches to the user's branch, with the user's own git.

The only command that touches the user's files. It runs git as the user would (identity, hooks, signing), shows what it
will do, and asks first. For a conflict it says how to continue and how to go back.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.base.errors import UserError
from agent.base.git_environment import git_environment
from agent.base.text import visible
from agent.kernel.git.messages import CAMPAIGN_TRAILER, Commit
from agent.review.commits import Accepted, accepted, patch_of, whole_of

IN_PROGRESS = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What will be done: the commits (oldest first) and how they get onto `branch`."""

    branch: str
    how: str
    commits: tuple[Commit, ...]
    stat: str
    commands: tuple[tuple[str, ...], ...]
    message: str

    def lines(self) -> list[str]:
        """The plan for people, safe to print."""
        rows = [f"{self.how} on branch {visible(self.branch)}:"]
        rows += [f"  {commit.sha[:10]} {visible(commit.subject)}" for commit in self.commits]
        return rows + [f"  {visible(line.strip())}" for line in self.stat.splitlines() if line.strip()]


class Checkout:
    """The user's working tree, driven by the user's own git."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Nothing may wait for an editor or a password.
        self._env = {**git_environment(), "GIT_EDITOR": "true", "GIT_TERMINAL_PROMPT": "0"}

    def git(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run git; its output may contain text of a model."""
        return subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=self._env,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )

    def out(self, *arguments: str) -> str:
        """The output of git; "" if it fails."""
        done = self.git(*arguments)
        return done.stdout.strip() if done.returncode == 0 else ""

    def check_ready(self, campaign_branch: str) -> str:
        """The current branch. Raises UserError unless there is one that can take patches."""
        if self.out("rev-parse", "--is-inside-work-tree") != "true":
            raise UserError("scaffold.repo", f"{self.root} has no working tree", "Clone it and promote in the clone.")
        branch = self.out("symbolic-ref", "--quiet", "--short", "HEAD")
        if not branch:
            raise UserError("scaffold.repo", "HEAD is detached", "Run `git switch BRANCH` first.")
        if branch == campaign_branch:
            raise UserError("scaffold.repo", f"{branch} is the campaign's own branch", "Run `git switch BRANCH` first.")
        for name, what in IN_PROGRESS.items():
            if (self.root / self.out("rev-parse", "--git-path", name)).exists():
                raise UserError(
                    "scaffold.repo", f"a {what} is in progress", f"Run `git {what} --continue` or `--abort`."
                )
        return branch

    def check_clean(self, *touched: tuple[str, ...]) -> None:
        """Raises UserError if git would stop for changes of the user's.

        Changes of files that the patches leave alone, such as the campaign.yaml, stay as they are.

        Args:
            touched: arguments of git that list the paths which the patches change.
        """
        names = {name for command in touched for name in self._names(*command)}
        staged = self._names("diff", "--cached", "HEAD")
        if dirty := staged or [name for name in self._names("diff") if name in names]:
            more = f" and {len(dirty) - 1} more have" if len(dirty) > 1 else " has"
            problem = f"{visible(dirty[0])}{more} changes that are {'staged' if staged else 'not committed'}"
            raise UserError("scaffold.repo", problem, "Run `git stash` first, and `git stash pop` afterwards.")

    def _names(self, *command: str) -> list[str]:
        listed = self.out(*command, "--no-renames", "--name-only", "-z", "--")
        return [name for name in listed.split("\0") if name]


def plan(
    checkout: Checkout, campaign_branch: str, commits: Sequence[Commit], only: Sequence[int], *, squash: bool
) -> Plan:
    """Choose the commits and the git commands. `commits` are the campaign's, newest first.

    Raises:
        UserError: the working tree is not ready, an id was never accepted, or there is nothing to promote.
    """
    rows = accepted(commits)[::-1]
    if not rows:
        problem = f"no patch of {campaign_branch} was accepted yet"
        raise UserError("promote", problem, "`ratchet log --rejected` says why; `ratchet run` continues the campaign.")
    branch = checkout.check_ready(campaign_branch)
    picked = _chosen(rows, only, checkout) if only else _missing(rows, checkout)
    if not picked:
        raise UserError("promote", f"branch {branch} already has all of it", "There is nothing to do.")
    names = [commit.sha for commit in picked]
    commands: list[tuple[str, ...]]
    if only:
        how = "cherry-pick" + (" as one commit" if squash else "")
        checkout.check_clean(*(("show", "--format=", name) for name in names))
        # One by one for a squash: a conflict then leaves no unfinished sequence.
        commands = (
            [("cherry-pick", "--no-commit", name) for name in names] if squash else [("cherry-pick", "-x", *names)]
        )
        stat = "\n".join(checkout.out("show", "--shortstat", "--format=", name, "--") for name in names)
    else:
        how = "squash into one commit" if squash else "merge"
        checkout.check_clean(("diff", f"HEAD...{commits[0].sha}"))
        options = ("--squash",) if squash else ("--no-edit", "-m", f"Merge branch '{campaign_branch}'")
        commands = [("merge", *options, commits[0].sha)]
        stat = checkout.out("diff", "--shortstat", f"HEAD...{commits[0].sha}", "--")
    if squash:
        commands.append(("commit", "--cleanup=verbatim", "--file=-"))
    message = _squashed(picked, campaign_branch)
    return Plan(branch=branch, how=how, commits=tuple(picked), stat=stat, commands=tuple(commands), message=message)


def _missing(rows: Sequence[Accepted], checkout: Checkout) -> list[Commit]:
    """All commits that HEAD lacks, unless it has every patch under another hash."""
    if not rows:
        return []
    missing = set(checkout.out("rev-list", f"HEAD..{rows[-1].commit.sha}", "--").splitlines())
    left = [row for row in rows if row.commit.sha in missing]
    there = _candidates_on_head(checkout, rows[0].commit.trailers[CAMPAIGN_TRAILER])
    return [one for row in left for one in row.commits] if any(str(row.candidate) not in there for row in left) else []


def _chosen(rows: Sequence[Accepted], only: Sequence[int], checkout: Checkout) -> list[Commit]:
    known = {row.candidate: row.commit for row in rows}
    wholes = {patch_of(one): row.candidate for row in rows for one in row.commits if row.earlier}
    for number in only:
        if number not in known and number in wholes:
            problem = f"#{number} is a part of #{wholes[number]}, which is proven as a whole only"
            raise UserError("--only", problem, f"Name {wholes[number]}, or run `git cherry-pick` yourself.")
        if number not in known:
            raise UserError(
                "--only", f"#{number} is not an accepted patch of this campaign", "`ratchet log` lists them."
            )
    there = _candidates_on_head(checkout, known[only[0]].trailers[CAMPAIGN_TRAILER])
    picked = [row for row in rows if row.candidate in set(only) and str(row.candidate) not in there]
    return [one for row in picked for one in row.commits]


def _candidates_on_head(checkout: Checkout, campaign: str) -> set[str]:
    """Candidates of a campaign whose patch HEAD already has: merged, picked or squashed."""
    form = "%(trailers:key={},valueonly,separator=%x20)"
    forms = "%x00".join(form.format(key) for key in (CAMPAIGN_TRAILER, "Ratchet-Candidate"))
    lines = checkout.out("log", f"--format={forms}", f"--grep=^{CAMPAIGN_TRAILER}: ", "HEAD", "--").splitlines()
    pairs = (line.partition("\0") for line in lines)
    return {number for name, _, numbers in pairs if name.strip() == campaign for number in numbers.split()}


def carry_out(checkout: Checkout, wanted: Plan, say: Callable[[str], object]) -> str:
    """Run the plan; returns the new HEAD.

    Raises:
        UserError: git stopped; the error says where, how to continue and how to go back.
    """
    for command in wanted.commands:
        done = checkout.git(*command, stdin=wanted.message)
        for line in (done.stdout + done.stderr).splitlines()[:40]:
            say(f"  git: {visible(line)}")
        if done.returncode:
            raise _stopped(checkout, wanted, command[0])
    return checkout.out("rev-parse", "HEAD")


def _stopped(checkout: Checkout, wanted: Plan, verb: str) -> UserError:
    conflicts = [visible(path) for path in checkout.out("diff", "--name-only", "--diff-filter=U").splitlines()]
    squashing = wanted.commands[-1][0] == "commit"
    if conflicts:
        named = ", ".join(conflicts[:5]) + (f" and {len(conflicts) - 5} more" if conflicts[5:] else "")
        proceed = f"Fix the files, `git add` them, then `git {verb} --continue`; or go back with `git {verb} --abort`."
        if squashing:
            proceed = "Fix the files, `git add` them, then `git commit`; or go back with `git reset --merge`."
        if squashing and verb == "cherry-pick":
            proceed = "Go back with `git reset --merge`, and try again without --squash."
        return UserError("promote", f"conflict in {named}", proceed)
    if verb == "cherry-pick" and checkout.out("rev-parse", "--verify", "--quiet", "CHERRY_PICK_HEAD"):
        fix = "`git cherry-pick --skip` continues without it, `git cherry-pick --abort` goes back."
        return UserError("promote", "one of the patches changes nothing here", fix)
    return UserError("promote", f"git {verb} stopped", "Its output is above; `git status` shows the state.")


def _squashed(commits: Sequence[Commit], campaign_branch: str) -> str:
    """One message for all: every subject, and trailers that name each candidate."""
    subject = commits[0].subject
    if len(commits) > 1:
        subject = f"Bring {len(commits)} patches of {campaign_branch}"
    story = "\n".join(f"- {commit.subject} ({commit.sha[:12]})" for commit in commits)
    trailers = [f"{CAMPAIGN_TRAILER}: {commits[0].trailers[CAMPAIGN_TRAILER]}"]
    numbers = [commit.trailers.get("Ratchet-Candidate", "") for commit in commits if whole_of(commit) is None]
    numbers += dict.fromkeys(str(whole) for commit in commits if (whole := whole_of(commit)) is not None)
    trailers += [f"Ratchet-Candidate: {number}" for number in numbers]
    return "\n\n".join((subject, story, "\n".join(trailers))) + "\n"

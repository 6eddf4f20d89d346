"""Names that people give to candidates: a number, `#n`, `champion`, `seed`, or anything that git calls a commit."""

from __future__ import annotations

from agent.base.errors import UserError
from agent.base.text import clean_line
from agent.base.types import Candidate
from agent.kernel.git.messages import CAMPAIGN_TRAILER, Commit
from agent.kernel.git.repository import Repository
from agent.kernel.record.ledger import Ledger
from agent.review.commits import accepted, patch_of

FIX = "See `ratchet log --rejected` for the numbers."


def find_candidate(name: str, ledger: Ledger, repository: Repository, field: str = "ID") -> Candidate:
    """The candidate that a name means. Raises UserError, which names `field`."""
    known = {one.id: one for one in ledger.candidates()}
    number = _number(name, ledger)
    if number is None:
        number = _number_of(repository.commit(name, field), ledger, repository)
    if number is None or number not in known:
        raise UserError(field, f"`{clean_line(name)}` is not a candidate of campaign {repository.campaign}", FIX)
    return known[number]


def find_tree(name: str, ledger: Ledger, repository: Repository, field: str = "ID") -> tuple[str, str]:
    """(tree, label) of a candidate or of any commit of the repository. Raises UserError, which names `field`."""
    number = _number(name, ledger)
    if number is None:
        commit = repository.commit(name, field)
        return commit.tree, f"{commit.sha[:10]} {commit.subject}"
    candidate = find_candidate(name, ledger, repository, field)
    if candidate.tree is None:
        raise UserError(field, f"#{number} was refused, so it has no tree", f"`ratchet show {number}` says why.")
    return candidate.tree, f"#{candidate.id} {candidate.subject}"


def find_commit(name: str, ledger: Ledger, repository: Repository) -> Commit:
    """The commit that a name means; for a candidate, the commit by which it was accepted. Raises UserError."""
    number = _number(name, ledger)
    if number is None:
        return repository.commit(name, "COMMIT")
    rows = ledger.commits()
    commits = {patch: sha for row in rows for sha, patch in ledger.series(row.sha)}
    commits |= {row.candidate: row.sha for row in rows}
    if number not in commits:
        raise UserError("COMMIT", f"#{number} was not accepted, so it has no commit", FIX)
    on_branch = {commit.trailers.get("Ratchet-Candidate"): commit for commit in repository.accepted()}
    return on_branch.get(str(number)) or repository.commit(commits[number], "COMMIT")


def _number(name: str, ledger: Ledger) -> int | None:
    """The number that a name means: `seed`, `champion`, `#7`, or `7` if there is such a candidate; else None."""
    digits = name.removeprefix("#")
    if name == "seed":
        return 0
    if name == "champion":
        return ledger.champion()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):  # noqa: PLR2004 (longer ones are hashes)
        return None
    number = int(digits)
    known = name.startswith("#") or any(one.id == number for one in ledger.candidates())
    # Other numbers can be the beginning of a hash.
    return number if known or len(digits) < 4 else None  # noqa: PLR2004 (the shortest hash for git)


def _number_of(commit: Commit, ledger: Ledger, repository: Repository) -> int | None:
    rows = ledger.commits()
    by_sha = {sha: patch for row in rows for sha, patch in ledger.series(row.sha)}
    by_sha |= {row.sha: row.candidate for row in rows}
    by_sha |= {saved.commit: saved.id for saved in repository.candidates().values()}
    by_sha[repository.base] = 0
    if commit.sha in by_sha:
        return by_sha[commit.sha]
    # A cherry-picked commit has another hash, but the same trailers.
    if commit.trailers.get(CAMPAIGN_TRAILER) != repository.campaign:
        return None
    [row] = accepted([commit])
    return row.candidate if row.candidate is not None else patch_of(commit)

"""Takes an accepted candidate apart into a series of trees, one a patch, for `commit.patches: each`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.base.errors import Refused
from agent.base.types import Candidate
from agent.kernel.git.repository import Repository


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One commit of a series: the patch that it adds, and the tree that it leads to."""

    patch: int
    tree: str


def in_series(
    repository: Repository, known: Mapping[int, Candidate], patches: Sequence[int], whole: int, parent: str
) -> list[Part]:
    """The patches of the candidate `whole`, oldest first, put one by one onto the commit `parent`.

    A patch that adds nothing to those before it is left out. Empty where fewer than two are left, where one does not
    merge, or where all of them together are another tree than the candidate's.

    Raises:
        RecordBroken: a tree is missing, as in a clone.
    """
    tree, parts = repository.tree_of(parent), list[Part]()
    for patch in sorted(patches):
        before = known[known[patch].parent or 0].tree or ""
        try:
            after = repository.merge(before, tree, known[patch].tree or "")
        except Refused:
            return []
        if after != tree:
            parts.append(Part(patch=patch, tree=after))
        tree = after
    return parts if tree == known[whole].tree and len(parts) > 1 else []

"""Patches that do not merge onto the champion: whether an improver should bring one over, or its own tree meets it.

Both are judged by the posterior of the search (`effects`). What is brought over is expected to keep a part of what the
patch was worth, as earlier ones did in this campaign. Pure, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agent.kernel.decide.archive import Archive

KEPT: Final = 0.5
"""The part of its effect that a patch is expected to keep before any was brought over; counts like one that was."""
LEAST: Final = 0.03
"""The smallest effect, in score, of which a part can be told."""

Pair = tuple[int, int]
"""A candidate, and the champion that it does not merge onto."""


@dataclass(slots=True)
class Bringing:
    """What is known of patches that conflict with a champion.

    `due` are those that an improver will be asked about next, `under_way` those that it was asked about, both lists as
    the same may be retried; `brought` has the candidate that came of it, admitted or refused.
    """

    conflicts: set[Pair] = field(default_factory=set)
    due: list[Pair] = field(default_factory=list)
    under_way: list[Pair] = field(default_factory=list)
    brought: dict[Pair, int] = field(default_factory=dict)

    def open(self, node: int, champion: int) -> bool:
        """Whether an improver may be asked: the patch conflicts, and nobody was asked so far."""
        pair = node, champion
        return pair in self.conflicts and pair not in self.brought and not self.busy(node, champion)

    def flight(self, node: int, champion: int, change: int) -> None:
        """Note that an improver is asked (1), or that this is over (-1)."""
        if change > 0:
            self.under_way.append((node, champion))
        else:
            self.under_way.remove((node, champion))

    def busy(self, node: int, champion: int) -> bool:
        """Whether an improver is at it, or will be."""
        return (node, champion) in self.due or (node, champion) in self.under_way


def options(archive: Archive) -> list[int]:
    """The living candidates that may be brought over onto the champion now."""
    nodes = sorted(node for node, _ in archive.bringing.conflicts if archive.bringing.open(node, archive.champion))
    return [node for node in nodes if node in archive and archive.node(node).alive]


def hoped(archive: Archive, effects: Mapping[int, float], node: int, kept: float) -> float:
    """The lead over the champion that a patch should have once it is brought over, if `kept` of its effect stays."""
    return kept * _effect(effects, archive.patches(node) - archive.patches(archive.champion))


def kept_share(archive: Archive, effects: Mapping[int, float]) -> float:
    """The part of their effects that patches keep, by those that were brought over and measured."""
    shares = [KEPT]
    for (node, champion), made in archive.bringing.brought.items():
        if not all(one in archive for one in (node, champion, made)):
            continue
        was = _effect(effects, archive.patches(node) - archive.patches(champion))
        measured = archive.node(made).trials >= archive.settings.half
        if measured and was > LEAST:
            shares.append(min(max(effects.get(made, 0.0) / was, 0.0), 1.0))
    return sum(shares) / len(shares)


def _effect(effects: Mapping[int, float], patches: frozenset[int]) -> float:
    return sum(effects.get(patch, 0.0) for patch in patches)

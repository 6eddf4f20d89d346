"""Archives that the tests of the search line begin with."""

from __future__ import annotations

from agent.kernel.decide.archive import Archive, SearchSettings


def archive(parents: list[int | None], **settings_: float) -> Archive:
    """An archive with the given parents, ids in order."""
    built = Archive(SearchSettings(**settings_))  # type: ignore[arg-type]
    for node, parent in enumerate(parents):
        built.add(node, parent)
    return built


def score(built: Archive, node: int, wins: int, trials: int) -> None:
    """Record `wins` successes in `trials` trials."""
    for turn in range(trials):
        built.record(node, float(turn < wins))

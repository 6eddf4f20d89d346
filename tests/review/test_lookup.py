"""Every name that people give to a candidate."""

from __future__ import annotations

import pytest

from agent.base.errors import UserError
from agent.review.lookup import find_candidate, find_commit, find_tree
from tests.review.conftest import Night


def number(night: Night, name: str) -> int:
    with night.ledger() as ledger:
        return find_candidate(name, ledger, night.repository()).id


def test_a_candidate_has_many_names(night: Night) -> None:
    _, second = night.commits()
    wanted = int(second.trailers["Ratchet-Candidate"])
    archived = night.git("rev-parse", f"refs/ratchet/night/candidates/{wanted}")
    names = (str(wanted), f"#{wanted}", "champion", second.sha, second.sha[:8], "ratchet/night", archived)
    assert {number(night, name) for name in names} == {wanted}
    assert {number(night, name) for name in ("0", "#0", "seed", "main")} == {0}


def test_a_picked_commit_is_known_by_its_trailers(night: Night) -> None:
    (night.repo / "other.txt").write_text("continued\n")
    night.git("commit", "-qam", "mine")
    night.git("cherry-pick", "-x", "ratchet/night~1")
    assert number(night, "HEAD") == number(night, "ratchet/night~1")


@pytest.mark.parametrize("name", ["#9999", "9999", "nonsense", "--all", "", "main~1", "\x1b[2J", "٣", "-1"])
def test_an_unknown_name_is_one_line(night: Night, name: str) -> None:
    with pytest.raises(UserError, match=r"^ID: ") as caught:
        number(night, name)
    assert "\x1b" not in str(caught.value)


def test_a_foreign_commit_has_a_tree_but_is_not_a_candidate(night: Night) -> None:
    (night.repo / "other.txt").write_text("continued\n")
    night.git("commit", "-qam", "\x1b[31mmine")
    with night.ledger() as ledger:
        with pytest.raises(UserError, match="is not a candidate of campaign night"):
            find_candidate("main", ledger, night.repository())
        tree, _ = find_tree("main", ledger, night.repository())
    assert tree == night.git("rev-parse", "main^{tree}")


def test_refused_candidates_have_neither_tree_nor_commit(night: Night) -> None:
    with night.ledger() as ledger:
        refused = next(one for one in ledger.candidates() if one.tree is None)
        with pytest.raises(UserError, match="was refused"):
            find_tree(f"#{refused.id}", ledger, night.repository())
        with pytest.raises(UserError, match="was not accepted"):
            find_commit(f"#{refused.id}", ledger, night.repository())
        assert find_commit("champion", ledger, night.repository()).sha == night.git("rev-parse", "ratchet/night")

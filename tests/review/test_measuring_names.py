"""Which scaffold `--rev` means: every name that `ratchet show` takes, and an error that helps for any other."""

from __future__ import annotations

import pytest

from agent.base.errors import UserError
from agent.cli.measuring import find_trees
from agent.config.campaign import load_config
from tests.review.conftest import Night


@pytest.mark.parametrize("name", ["#1", "1", "champion", "seed", "main"])
def test_a_candidate_of_the_campaign_can_be_measured(night: Night, name: str) -> None:
    [tree] = find_trees(load_config(night.config), [("--rev", name)])
    with night.ledger() as ledger:
        known = {one.id: one.tree for one in ledger.candidates()}
        champion = ledger.champion()
    expected = {"#1": known[1], "1": known[1], "champion": known[champion], "seed": known[0], "main": known[0]}
    assert tree.tree == expected[name]


def test_a_candidate_that_is_not_there_or_has_no_tree_is_the_users_error(night: Night) -> None:
    config = load_config(night.config)
    with pytest.raises(UserError, match=r"--rev: `#999` is not a candidate of campaign night.*log --rejected"):
        find_trees(config, [("--rev", "#999")])
    with night.ledger() as ledger:
        refused = next((one.id for one in ledger.candidates() if one.tree is None), None)
    if refused is not None:
        with pytest.raises(UserError, match=rf"--rev: #{refused} was refused, so it has no tree"):
            find_trees(config, [("--rev", f"#{refused}")])

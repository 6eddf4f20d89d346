"""A campaign whose every patch attacks its pairs in all ways at once commits nothing, and pays for every answer.

It starves the other side, hangs up to have answers drawn again, voids its own bad trials by floods of calls, has luck
on tasks that claim to be deterministic, makes oversized calls, writes bombs as rewards and as patches. Gateway,
provider, git, ledger and gate are real; the boxes are in memory.
"""

from __future__ import annotations

import pytest

from agent.base.types import Caps
from tests.faults import hostile
from tests.kernel.lab import MakeLab

pytestmark = pytest.mark.slow

SEEDS = range(10)
ALPHA = 0.02
"""Low, so that chance alone accepts a patch in well below one of a hundred such campaigns; an attack that works
wins with any."""


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_scaffold_that_tries_everything_at_once_commits_nothing(make_lab: MakeLab, seed: int) -> None:
    async with hostile.provider(seed) as provider:
        lab = make_lab(
            hostile.Improver(), trials=180, solve=hostile.solve, tasks=hostile.suite(), check=hostile.check,
            model=hostile.model(provider.port), caps=Caps(calls=64, tokens=200_000), alpha=ALPHA,
        )  # fmt: skip
        async with lab.campaign() as campaign:
            ending = await campaign.run()
        booked = campaign.parts.budget.spent.tokens
    with lab.ledger() as ledger:
        tests = ledger.tests()
        said = [test.decision["sentence"] for test in tests if test.decision]
        assert not ledger.commits(), said
        assert tests, "no candidate reached the gate"
        assert "trials are used up" in ending, ending
    assert booked >= provider.generated > 0, "every answer is paid for, no matter who hung up"

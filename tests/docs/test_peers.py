"""The comparison with other systems: its page shows what is recorded, and its worlds are what they say."""

from __future__ import annotations

import pytest

from bench.peers.peers import SYSTEMS
from bench.peers.run import Cell, stretches
from bench.peers.table import BEGIN, END, PAGE, recorded, tables
from bench.peers.world import BASE, KINDS, World, ids_of, program


def test_the_page_shows_the_recorded_runs() -> None:
    shown = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == "\n\n".join(tables(recorded())).strip()
    assert {system.name for system in SYSTEMS} >= {name for _, _, name in recorded()}


@pytest.mark.parametrize("name", KINDS)
def test_a_world_has_the_base_and_the_patches_that_it_says(name: str) -> None:
    worlds = [World(name, seed) for seed in (1, 2)]
    for world in worlds:
        assert world.true([]) == pytest.approx(BASE, abs=1e-6)
        kinds = world.kinds(range(1, 1001))
        assert kinds["good"] == pytest.approx(1000 * KINDS[name].good, abs=35)
        assert kinds["harmful"] == pytest.approx(1000 * KINDS[name].harmful, abs=45)
        for number in range(1, 60):
            moved, effect = world.true([number]) - BASE, world.patch(number).effect
            low, high = KINDS[name].points
            assert moved == pytest.approx(0, abs=1e-9) if not effect else (moved > 0) == (effect > 0)
            assert effect <= 0 or low - 1e-6 <= moved <= high + 1e-6


def test_of_one_mechanism_the_best_patch_counts() -> None:
    world = World("mechanisms", 1)
    good = [n for n in range(1, 200) if world.patch(n).effect > 0]
    same = [n for n in good if world.patch(n).mechanism == world.patch(good[0]).mechanism]
    assert len(same) > 1
    assert world.true(same) == pytest.approx(max(world.true([n]) for n in same))


def test_programs_survive_their_text_and_only_missing_seeds_are_run() -> None:
    assert ids_of(f"x\n{program([3, 1])}\n") == [3, 1]
    assert [*stretches([1, 2, 5], alone=False)] == [(1, 2), (5, 5)]
    assert [*stretches([1, 2], alone=True)] == [(1, 1), (2, 2)]
    done = next(system for system in SYSTEMS if system.name == "openevolve")
    assert Cell(done, "add", 2000).missing(21) == [21]

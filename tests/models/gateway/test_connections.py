"""No box, and no number of boxes, uses up the process's descriptors."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.models.gateway import connections
from agent.models.gateway.connections import Connections
from agent.models.providers.scripted import ScriptedProvider


class Link:
    def __init__(self, name: str, *, busy: bool = False) -> None:
        self.name, self._busy, self.dropped = name, busy, False

    def busy(self) -> bool:
        return self._busy

    def drop(self) -> None:
        self.dropped = True


def test_the_longest_idle_connection_of_the_greediest_box_goes_first() -> None:
    held = Connections(4)
    links = [Link(f"a{i}", busy=i == 0) for i in range(3)]
    for link in links:
        held.opened("a", link)
    held.used("a", links[1])
    held.opened("b", other := Link("b"))
    held.opened("b", late := Link("b2"))
    assert [link.dropped for link in (*links, other, late)] == [False, False, True, False, False]


def test_a_box_whose_connections_are_all_in_use_loses_the_new_one() -> None:
    held = Connections(3)
    links = [Link(f"a{i}", busy=True) for i in range(3)]
    for link in links:
        held.opened("a", link)
    held.opened("a", late := Link("late", busy=True))
    assert late.dropped
    assert not any(link.dropped for link in links)


@given(st.integers(2, 12), st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=80))
def test_the_bound_holds_and_a_box_with_few_connections_keeps_them(
    most: int, steps: list[tuple[int, bool, bool]]
) -> None:
    held, opened = Connections(most), {}
    for box, busy, closes in steps:
        if closes and opened.get(box):
            link = opened[box].pop()
            held.closed(box, link)
        else:
            link = Link("", busy=busy)
            opened.setdefault(box, []).append(link)
            before = {name: [one for one in links if not one.dropped] for name, links in opened.items()}
            held.opened(box, link)
            for links in before.values():
                if any(one.dropped for one in links):
                    assert len(links) == max(map(len, before.values())), "only who has most loses"
        assert len(held) <= most


def test_half_of_the_descriptors_stay_ours() -> None:
    assert connections.bound(1024) == 384
    assert connections.bound(1 << 16) > 30_000
    assert connections.bound(100) == 32


def test_the_soft_limit_is_raised_as_far_as_it_may_be() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
        allowed = connections.raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == allowed == min(hard, connections.WANTED_DESCRIPTORS)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_hostile_boxes_together_leave_room_for_another(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        bench.gateway._listener._all_open = held = Connections(60)
        hostile = [(await bench.session())[1] for _ in range(4)]
        _, path = await bench.session()
        client = bench.http(path)
        asked = {"model": "small", "messages": [{"role": "user", "content": "x"}]}
        assert (await client.post("/v1/chat/completions", json=asked)).status_code == 200
        writers = [(await asyncio.open_unix_connection(str(socket)))[1] for socket in hostile for _ in range(40)]
        await until(lambda: len(held) <= 60)
        assert (await client.post("/v1/chat/completions", json=asked)).status_code == 200, "its link was kept"
        await client.aclose()
        for writer in writers:
            writer.close()

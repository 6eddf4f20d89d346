"""Shares between boxes are max-min fair, nobody starves, nothing idles without need, and cancelling loses no slot."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.models.gateway.fair import Bucket, Shares, Ticket

BOXES = ("a", "b", "c", "d")
FLOODS = st.dictionaries(st.sampled_from(BOXES), st.integers(1, 40), min_size=1)


def filled(shares: Shares[str], floods: dict[str, int], size: float = 1.0) -> dict[str, list[Ticket[str]]]:
    """So many tickets of each box, one box after the other: the order that favours the first most."""
    tickets: dict[str, list[Ticket[str]]] = {}
    for box, count in floods.items():
        shares.enroll(box)
        tickets[box] = [Ticket([box], size) for _ in range(count)]
        for ticket in tickets[box]:
            shares.wait(ticket)
    return tickets


def admitted(shares: Shares[str], now: float = 0.0) -> list[Ticket[str]]:
    found = []
    while (ticket := shares.next(now)) is not None:
        found.append(ticket)
    return found


@given(FLOODS, st.integers(1, 32))
def test_slots_are_shared_max_min_fairly(floods: dict[str, int], slots: int) -> None:
    shares: Shares[str] = Shares(slots)
    filled(shares, floods)
    served = Counter(ticket.payer for ticket in admitted(shares))
    for box, count in floods.items():
        if served[box] < count:  # it wants more: then nobody has more than one above it
            assert all(other <= served[box] + 1 for other in served.values())
    if len(floods) == 1:
        assert shares.serving == min(slots, sum(floods.values())), "alone, a box may have everything"


@given(FLOODS, st.integers(1, 32))
def test_no_slot_idles_beyond_the_reserve(floods: dict[str, int], slots: int) -> None:
    shares: Shares[str] = Shares(slots)
    tickets = filled(shares, floods)
    admitted(shares)
    waiting = [ticket for listed in tickets.values() for ticket in listed if ticket.waiting]
    reserve = max(1, slots // 4) if slots > 1 and len(floods) > 1 else 0
    assert not waiting or shares.serving >= slots - reserve


@given(st.integers(1, 64), st.integers(2, 32))
def test_a_flood_leaves_a_slot_for_the_other_box_at_once(flood: int, slots: int) -> None:
    shares: Shares[str] = Shares(slots)
    shares.enroll("quiet")
    filled(shares, {"flood": flood})
    admitted(shares)
    ticket: Ticket[str] = Ticket(["quiet"])
    shares.wait(ticket)
    assert shares.next(0.0) is ticket


@given(FLOODS, st.integers(1, 8))
def test_nobody_starves(floods: dict[str, int], slots: int) -> None:
    """With calls that end one after the other, a box's next ticket is served within one round of the boxes."""
    shares: Shares[str] = Shares(slots)
    filled(shares, floods)
    running, order = admitted(shares), []
    late: Ticket[str] = Ticket(["late"])
    shares.wait(late)
    for _ in range(sum(floods.values()) + 1):
        if not running:
            break
        shares.done(running.pop(0))
        new = admitted(shares)
        order += new
        running += new
        if late in new:
            break
    assert late in order
    assert order.index(late) <= len(BOXES)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=4), st.integers(60, 600))
def test_a_rate_is_shared_fairly_whatever_the_size_of_the_tickets(sizes: list[int], per_minute: int) -> None:
    shares: Shares[str] = Shares(1000, volume=Bucket(per_minute))
    for box, size in zip(BOXES, sizes, strict=False):
        shares.enroll(box)
        for _ in range(400):
            shares.wait(Ticket([box], float(size)))
    had: Counter[str] = Counter()
    for second in range(600):
        for ticket in admitted(shares, float(second)):
            had[str(ticket.payer)] += int(ticket.size)
            shares.done(ticket)
    unfinished = {box: had[box] for box, size in zip(BOXES, sizes, strict=False) if had[box] < 400 * size}
    for box in unfinished:
        assert all(had[other] <= had[box] + 2 * max(sizes) for other in unfinished)
    assert sum(had.values()) >= min(0.95 * per_minute * 9, sum(400 * size for size in sizes) * 0.95), "nothing is left"


@given(st.integers(1, 40))
def test_a_box_that_saved_nothing_up_does_not_shut_others_out(before: int) -> None:
    """A box that comes late starts where the others are, not at zero."""
    shares: Shares[str] = Shares(1)
    filled(shares, {"a": before + 20})
    for _ in range(before):
        for ticket in admitted(shares):
            shares.done(ticket)
    filled(shares, {"b": 20})
    order = []
    for _ in range(10):
        ticket = shares.next(0.0)
        assert ticket is not None
        order.append(ticket.payer)
        shares.done(ticket)
    assert 4 <= Counter(order)["a"] <= 6


class Model:
    """Any order of events, against a count kept apart."""

    def __init__(self, slots: int) -> None:
        self.shares: Shares[str] = Shares(slots, requests=Bucket(30), volume=Bucket(600))
        self.slots, self.now = slots, 0.0
        self.waiting: list[Ticket[str]] = []
        self.serving: list[Ticket[str]] = []

    def step(self, what: str, box: str, pick: int) -> None:
        getattr(self, f"do_{what}")(box, pick)
        for ticket in admitted(self.shares, self.now):
            self.waiting.remove(ticket)
            self.serving.append(ticket)
        assert self.shares.serving == len(self.serving) <= self.slots
        assert all(ticket.payer in ticket.owners or ticket.payer for ticket in self.serving)

    def do_wait(self, box: str, pick: int) -> None:
        self.shares.enroll(box)
        self.waiting.append(Ticket([box], float(pick)))
        self.shares.wait(self.waiting[-1], first=pick % 3 == 0)

    def do_join(self, box: str, pick: int) -> None:
        if self.waiting:
            self.shares.join(self.waiting[pick % len(self.waiting)], box)

    def do_abandon(self, _box: str, pick: int) -> None:
        if self.waiting:
            self.shares.abandon(self.waiting.pop(pick % len(self.waiting)))

    def do_done(self, _box: str, pick: int) -> None:
        if self.serving:
            ticket = self.serving.pop(pick % len(self.serving))
            self.shares.done(ticket)
            self.shares.done(ticket)

    def do_dismiss(self, box: str, _pick: int) -> None:
        self.shares.dismiss(box)

    def do_pause(self, box: str, pick: int) -> None:
        self.shares.pause(self.now + pick, [box])

    def do_resume(self, _box: str, _pick: int) -> None:
        self.shares.resume()

    def do_pass(self, _box: str, pick: int) -> None:
        self.now += pick


STEPS = ("wait", "wait", "wait", "join", "abandon", "done", "done", "dismiss", "pause", "resume", "pass")


@given(st.integers(1, 6), st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(BOXES), st.integers(0, 30))))
def test_cancelling_joining_and_leaving_lose_no_slot(slots: int, steps: list[tuple[str, str, int]]) -> None:
    model = Model(slots)
    for what, box, pick in steps:
        model.step(what, box, pick)
    model.shares.resume()
    for _ in range(200):  # whatever happened, all that waits is served in the end
        if not model.waiting:
            break
        model.step("pass", "a", 60)
        while model.serving:
            model.step("done", "a", 0)
    assert not model.waiting


def test_a_ticket_of_two_boxes_is_served_at_the_first_turn_of_either() -> None:
    shares: Shares[str] = Shares(1)
    filled(shares, {"flood": 30})
    shared: Ticket[str] = Ticket(["flood"])
    shares.wait(shared)
    running = admitted(shares)
    shares.join(shared, "other")
    shares.done(running[0])
    assert shares.next(0.0) is shared
    assert shared.payer == "other"


def test_after_a_pause_one_ticket_at_a_time_is_tried_and_the_modest_box_goes_first() -> None:
    shares: Shares[str] = Shares(8)
    running = filled(shares, {"flood": 30})["flood"][:8]
    assert admitted(shares) == running
    shares.pause(5.0, ["flood"])
    for ticket in running:
        shares.done(ticket)
    shares.wait(small := Ticket(["small"]))
    assert shares.next(1.0) is None
    assert shares.wake(1.0) == 4.0
    assert shares.next(5.0) is small
    assert shares.next(5.0) is None, "one at a time until it went well"
    shares.did_well(running[0])
    assert shares.next(5.0) is None, "what was served before the pause says nothing"
    shares.did_well(small)
    assert len(admitted(shares, 5.0)) == 7


def test_only_who_has_less_than_a_share_is_delayed_by_others() -> None:
    shares: Shares[str] = Shares(1)
    filled(shares, {"flood": 30})
    running = admitted(shares)
    assert shares.delayed(0.0) == set(), "a box alone waits for itself"
    shares.wait(Ticket(["small"]))
    assert shares.delayed(0.0) == {"small"}
    shares.done(running[0])
    assert [ticket.payer for ticket in admitted(shares)] == ["small"]
    assert shares.delayed(0.0) == {"flood"}, "now the slot is the other's"


def test_a_rate_that_a_box_used_up_delays_the_others_and_not_itself_even_after_it_left() -> None:
    shares: Shares[str] = Shares(100, requests=Bucket(60))
    filled(shares, {"flood": 60})
    for ticket in admitted(shares):
        shares.done(ticket)
    for box in ("flood", "small"):
        shares.enroll(box)
        for _ in range(2):
            shares.wait(Ticket([box]))
    assert shares.delayed(0.0) == {"small"}
    for ticket in list(shares._stands["flood"].queue):
        shares.abandon(ticket)
    shares.dismiss("flood")
    assert shares.delayed(0.0) == {"small"}


def test_a_box_that_meets_a_rate_alone_waits_for_itself() -> None:
    shares: Shares[str] = Shares(100, requests=Bucket(10))
    filled(shares, {"flood": 30})
    assert len(admitted(shares)) == 10
    assert shares.delayed(0.0) == set()
    assert shares.wake(0.0) == 6.0


def state(shares: Any) -> int:
    return len(shares._stands)


def test_boxes_that_are_gone_leave_nothing_behind() -> None:
    shares: Shares[str] = Shares(4)
    for i in range(1000):
        tickets = filled(shares, {f"box {i}": 2})[f"box {i}"]
        for ticket in admitted(shares):
            shares.done(ticket)
        assert not any(ticket.waiting for ticket in tickets)
        shares.dismiss(f"box {i}")
    assert state(shares) == 0


def test_a_hold_delays_everybody_but_the_box_that_caused_it() -> None:
    shares: Shares[str] = Shares(4)
    filled(shares, {"busy": 8, "culprit": 2})
    for ticket in admitted(shares):
        shares.done(ticket)
    filled(shares, {"busy": 1, "culprit": 1})
    shares.hold(frozenset({"culprit"}))
    assert shares.next(0.0) is None
    assert shares.delayed(0.0) == {"busy"}, "however much it had before"
    shares.release(frozenset({"culprit"}))
    assert shares.next(0.0) is not None


def test_a_pause_delays_also_a_box_that_had_more_if_it_was_not_refused() -> None:
    shares: Shares[str] = Shares(4)
    for ticket in [*filled(shares, {"busy": 4})["busy"], *filled(shares, {"poison": 1})["poison"]]:
        admitted(shares)
        shares.done(ticket)
    shares.wait(Ticket(["busy"]))
    shares.pause(9.0, ["poison"])
    assert shares.delayed(1.0) == {"busy"}
    shares.pause(9.0, ["busy"])
    assert shares.delayed(1.0) == set(), "it was refused, and had more than the mean"


@given(FLOODS, st.integers(1, 32), st.integers(1, 8))
def test_where_speed_is_shared_no_box_of_several_has_more_in_service_than_any_may(
    floods: dict[str, int], slots: int, each: int
) -> None:
    shares: Shares[str] = Shares(slots, each=each)
    filled(shares, floods)
    served = Counter(ticket.payer for ticket in admitted(shares))
    if len(floods) == 1:
        assert shares.serving == min(slots, sum(floods.values())), "alone, a box may have everything"
    else:
        assert max(served.values()) <= each
    at_its_limit = {box for box in floods if served[box] >= each}
    assert len(floods) == 1 or not shares.delayed(0.0) & at_its_limit, "it waits for itself, so its time runs on"

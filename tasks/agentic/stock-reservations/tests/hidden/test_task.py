from pathlib import Path

from ratchet_check import remote

DRIVER = '''
from stock import Line, Order, OutOfStock, UnknownProduct, Warehouse, cancel, reserve

def shared():
    a = Order("a"); a.add("pen")
    b = Order("b")
    given = [Line("pen", 2)]
    c = Order("c", given); c.add("ink", 3)
    d = Order("d", given)
    return [a.pieces(), b.pieces(), c.pieces(), d.pieces(), len(given)]

def play(counts, steps):
    """steps: [order number, verb, ...]; what came of each, the stock and the states."""
    house, orders, said = Warehouse(counts), {}, []
    for number, verb, *rest in steps:
        order = orders.setdefault(number, Order(str(number), []))
        try:
            if verb == "add": order.add(*rest)
            elif verb == "reserve": reserve(house, order)
            elif verb == "cancel": cancel(house, order)
            said.append("ok")
        except (OutOfStock, UnknownProduct, ValueError) as error:
            said.append(type(error).__name__)
    return said, house.snapshot(), [orders[n].state for n in sorted(orders)]

def details():
    house = Warehouse({"pen": 1})
    try:
        reserve(house, Order("x", []).add("pen", 2))
    except OutOfStock as error:
        return [error.product, error.wanted, error.there]
'''
Path("/tmp/driver.py").write_text(DRIVER)
shared = remote("/tmp/driver.py", "shared")
play = remote("/tmp/driver.py", "play")
details = remote("/tmp/driver.py", "details")


def test_orders_share_no_lines():
    assert shared() == [1, 0, 5, 2, 1]


def test_a_short_product_loses_nothing():
    said, stock, states = play({"pen": 5, "ink": 1}, [[1, "add", "pen", 2], [1, "add", "ink", 2], [1, "reserve"]])
    assert (said[-1], stock, states) == ("OutOfStock", {"pen": 5, "ink": 1}, ["open"])


def test_an_unknown_product_loses_nothing():
    said, stock, states = play({"pen": 5}, [[1, "add", "pen", 2], [1, "add", "cup", 1], [1, "reserve"]])
    assert (said[-1], stock, states) == ("UnknownProduct", {"pen": 5}, ["open"])


def test_the_same_product_on_two_lines_is_counted_together():
    said, stock, states = play({"pen": 3}, [[1, "add", "pen", 2], [1, "add", "pen", 2], [1, "reserve"]])
    assert (said[-1], stock, states) == ("OutOfStock", {"pen": 3}, ["open"])


def test_a_failed_reservation_can_be_tried_again_after_others_cancel():
    steps = [[1, "add", "pen", 3], [1, "reserve"], [2, "add", "pen", 3], [2, "reserve"], [1, "cancel"], [2, "reserve"]]
    said, stock, states = play({"pen": 4}, steps)
    assert said == ["ok", "ok", "ok", "OutOfStock", "ok", "ok"]
    assert (stock, states) == ({"pen": 1}, ["cancelled", "reserved"])


def test_cancelling_twice_gives_back_once():
    steps = [[1, "add", "pen", 2], [1, "reserve"], [1, "cancel"], [1, "cancel"]]
    assert play({"pen": 5}, steps) == (["ok"] * 4, {"pen": 5}, ["cancelled"])


def test_cancelling_an_open_order_gives_back_nothing():
    steps = [[1, "add", "pen", 2], [1, "cancel"], [1, "cancel"]]
    assert play({"pen": 5}, steps) == (["ok"] * 3, {"pen": 5}, ["cancelled"])


def test_reserving_twice_or_after_cancel_is_refused():
    steps = [[1, "add", "pen", 2], [1, "reserve"], [1, "reserve"], [1, "cancel"], [1, "reserve"]]
    said, stock, _ = play({"pen": 5}, steps)
    assert (said, stock) == (["ok", "ok", "ValueError", "ok", "ValueError"], {"pen": 5})


def test_the_error_tells_what_there_was():
    assert details() == ["pen", 2, 1]

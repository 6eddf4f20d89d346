from pathlib import Path

from ratchet_check import RemoteError, remote

DRIVER = '''
from basket import Basket, UnknownVoucher

def total(lines, codes=()):
    basket = Basket()
    for line in lines: basket.add(*line)
    refused = 0
    for code in codes:
        try: basket.voucher(code)
        except UnknownVoucher: refused += 1
    first = basket.total()
    return [basket.goods(), first, refused] if first == basket.total() else "not stable"
'''
Path("/tmp/driver.py").write_text(DRIVER)
total = remote("/tmp/driver.py", "total")


def test_plain():
    assert total([["cup", 1]]) == [899, 1389, 0] and total([["pot", 2]]) == [6200, 6200, 0]


def test_an_empty_basket_costs_nothing():
    assert total([]) == [0, 0, 0] and total([], ["SPRING10"]) == [0, 0, 0]


def test_three_for_two_over_lines():
    assert total([["tea", 2], ["cup"], ["tea", 1]]) == [2249, 1799 + 490, 0]
    assert total([["tea", 1]] * 7) == [3150, 2250 + 490, 0]
    assert total([["tea", 2], ["sieve", 1]])[1] == 900 + 333 + 490
    assert total([["cup", 3]])[1] == 2697 + 490


def test_vouchers_count_once():
    assert total([["pot", 2]], ["SPRING10"] * 3) == [6200, 5580, 0]
    assert total([["pot", 2]], [" spring10", "SPRING10 ", "Spring10"]) == [6200, 5580, 0]


def test_unknown_codes_change_nothing():
    assert total([["pot", 2]], ["NOPE", "", "SPRING 10", "spring10"]) == [6200, 5580, 3]


def test_percentages_are_added():
    assert total([["pot", 3]], ["SPRING10", "FRIEND25"]) == [9300, 6045, 0]


def test_at_most_half():
    assert total([["pot", 4]], ["STAFF40", "FRIEND25", "SPRING10"]) == [12400, 6200, 0]
    assert total([["pot", 4]], ["STAFF40", "SPRING10"]) == [12400, 6200, 0]


def test_vouchers_come_after_three_for_two():
    assert total([["tea", 3], ["pot", 2]], ["FRIEND25"]) == [7550, 5325, 0]


def test_rounding_down():
    assert total([["cup", 7]], ["SPRING10"]) == [6293, 5663, 0]
    assert total([["cup", 1]], ["FRIEND25"]) == [899, 674 + 490, 0]
    assert total([["sieve", 1]], ["SPRING10"]) == [333, 299 + 490, 0]


def test_shipping_goes_by_what_is_left():
    assert total([["pot", 2]], ["FRIEND25"]) == [6200, 4650 + 490, 0]
    assert total([["tea", 12], ["cup", 2]]) == [7198, 5398, 0]
    assert total([["tea", 15], ["cup", 1]]) == [7649, 5399, 0]

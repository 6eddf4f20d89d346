import random

import pytest

from ranges import Ranges


def numbers(r):
    return {n for a, b in r for n in range(a, b)}


def test_pairs_are_merged():
    assert list(Ranges([(5, 7), (1, 3), (3, 4), (2, 3), (9, 9)])) == [(1, 4), (5, 7)]
    assert list(Ranges([(1, 10), (2, 3)])) == [(1, 10)]
    assert list(Ranges([(-3, -1), (-1, 2)])) == [(-3, 2)]
    assert list(Ranges([(1, 2), (3, 4)])) == [(1, 2), (3, 4)]
    assert all(type(pair) is tuple for pair in Ranges([(1, 2), (4, 6)]))
    assert list(Ranges()) == [] and list(Ranges(iter([(1, 2)]))) == [(1, 2)]


def test_backward_pairs_are_refused():
    for pairs in ([(2, 1)], [(0, 5), (3, 2)], [(-1, -2)]):
        with pytest.raises(ValueError):
            Ranges(pairs)


def test_len_and_bool():
    assert len(Ranges([(1, 4), (3, 6), (10, 11)])) == 6
    assert not Ranges() and not Ranges([(4, 4)]) and Ranges([(0, 1)]) and Ranges([(-1, 0)])
    assert len(Ranges()) == 0 and bool(Ranges([(5, 6)])) is True


def test_membership():
    r = Ranges([(1, 3), (5, 6), (-4, -2)])
    assert [n for n in range(-6, 9) if n in r] == [-4, -3, 1, 2, 5]
    assert 0 not in Ranges()


def test_equality_and_hash():
    a, b = Ranges([(1, 2), (2, 3)]), Ranges([(1, 3)])
    assert a == b and hash(a) == hash(b) and len({a, b}) == 1
    assert a != Ranges([(1, 4)]) and a != [(1, 3)] and a != "1-2" and not a == None and a != {1, 2}
    assert Ranges([(1, 2)]) != Ranges([(1, 2), (4, 5)]) and Ranges([(1, 3)]) != Ranges([(2, 4)])


def test_operations_like_sets():
    rng = random.Random(5)
    for _ in range(400):
        r, s = (Ranges([(a, a + rng.randint(0, 5)) for a in rng.choices(range(-12, 13), k=rng.randint(0, 4))]) for _ in "rs")
        before = list(r), list(s)
        for got, expected in ((r | s, numbers(r) | numbers(s)), (r & s, numbers(r) & numbers(s)), (r - s, numbers(r) - numbers(s))):
            assert isinstance(got, Ranges) and numbers(got) == expected and len(got) == len(expected)
            pairs = list(got)
            assert all(a < b for a, b in pairs) and all(x[1] < y[0] for x, y in zip(pairs, pairs[1:]))
            assert got is not r and got is not s
        assert before == (list(r), list(s))
        assert numbers(r.gaps()) == ({n for n in range(min(numbers(r)), max(numbers(r)))} - numbers(r) if r else set())


def test_gaps():
    assert list(Ranges([(1, 2), (4, 6), (9, 10)]).gaps()) == [(2, 4), (6, 9)]
    assert list(Ranges([(1, 5)]).gaps()) == [] == list(Ranges().gaps())
    assert isinstance(Ranges().gaps(), Ranges)


def test_parse():
    assert list(Ranges.parse("1-3,7,10-12")) == [(1, 4), (7, 8), (10, 13)]
    assert list(Ranges.parse(" 7 , 1 - 3 ,4")) == [(1, 5), (7, 8)]
    assert list(Ranges.parse("")) == [] and list(Ranges.parse("0")) == [(0, 1)] and list(Ranges.parse("5-5")) == [(5, 6)]
    assert list(Ranges.parse("12,1-20")) == [(1, 21)]
    assert isinstance(Ranges.parse("1"), Ranges)


@pytest.mark.parametrize("text", ["5-3", "a", "1-", "-1", "1,,2", ",", "1-2-3", "1;2", "1 2", "1.5", "1,", ",1", "--", "1--2", "-"])
def test_parse_refuses(text):
    with pytest.raises(ValueError):
        Ranges.parse(text)


def test_str():
    assert str(Ranges([(1, 4), (7, 8), (10, 12)])) == "1-3,7,10-11"
    assert str(Ranges()) == "" and str(Ranges([(0, 1)])) == "0" and str(Ranges([(0, 2)])) == "0-1"
    for pairs in ([(-1, 0)], [(-3, 5)], [(-1, 0), (4, 5)]):
        with pytest.raises(ValueError):
            str(Ranges(pairs))


def test_first():
    r = Ranges([(1, 3), (5, 8), (-2, -1)])
    assert [r.first(n) for n in (0, 1, 2, 3, 4, 5, 6, 7, 99)] == [[], [-2], [-2, 1], [-2, 1, 2], [-2, 1, 2, 5], [-2, 1, 2, 5, 6], [-2, 1, 2, 5, 6, 7], [-2, 1, 2, 5, 6, 7], [-2, 1, 2, 5, 6, 7]]
    assert Ranges().first(3) == []
    assert Ranges([(0, 10**12)]).first(2) == [0, 1]
    with pytest.raises(ValueError):
        r.first(-1)

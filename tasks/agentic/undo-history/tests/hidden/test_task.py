import random
from pathlib import Path

from ratchet_check import remote

DRIVER = '''
from editor import Document

def play(text, steps, limit=1000):
    """What each step gave; "?" asks for [text, marks]."""
    d, said = Document(text, limit), []
    def do(steps):
        for verb, *rest in steps:
            if verb == "?": said.append([d.text, d.marks])
            elif verb == "text": said.append(d.text)
            elif verb == "modified": said.append(d.modified)
            elif verb == "group":
                with d.group(): do(rest[0])
            elif verb == "fail":
                try:
                    with d.group():
                        do(rest[0]); raise KeyError
                except KeyError: pass
            elif verb in ("undo", "redo"):
                try: said.append(getattr(d, verb)())
                except RuntimeError: said.append("RuntimeError")
            elif verb == "all": said.append(d.replace_all(*rest))
            else: getattr(d, verb)(*rest)
    do(steps)
    return said

def size(count):
    import tracemalloc
    d = Document("x" * 1_000_000)
    tracemalloc.start()
    for n in range(count): d.insert(n * 3, "y")
    used = tracemalloc.get_traced_memory()[0]
    return used < 5_000_000
'''
Path("/tmp/driver.py").write_text(DRIVER)
play, size = remote("/tmp/driver.py", "play"), remote("/tmp/driver.py", "size", seconds=20)
U, R, T, Q, M = ["undo"], ["redo"], ["text"], ["?"], ["modified"]


def test_undo_and_redo():
    assert play("abc", [U, R, ["insert", 1, "X"], ["delete", 3, 1], T, U, T, U, T, U, R, T, R, T, R]) == [False, False, "aXb", True, "aXbc", True, "abc", False, True, "aXbc", True, "aXb", False]


def test_a_change_forgets_what_could_be_redone():
    assert play("a", [["insert", 0, "1"], U, ["insert", 1, "2"], R, T, U, T]) == [True, False, "a2", True, "a"]


def test_typing_is_one_step():
    typed = [["insert", n, c] for n, c in enumerate("hello")]
    assert play("", [*typed, U, T, R, T]) == [True, "", True, "hello"]
    assert play("", [["insert", 0, "a"], ["insert", 0, "b"], U, T]) == [True, "a"]
    assert play("", [["insert", 0, "a"], ["insert", 1, "\n"], ["insert", 2, "b"], U, T, U, T, U, T]) == [True, "a\n", True, "a", True, ""]
    assert play("", [["insert", 0, "x" * 15], ["insert", 15, "y" * 5], ["insert", 20, "z"], U, T, U, T]) == [True, "x" * 15 + "y" * 5, True, ""]
    assert play("", [["insert", 0, "x" * 30], ["insert", 30, "y"], U, T]) == [True, "x" * 30]


def test_what_ends_typing():
    for between in (["set_mark", "m", 0], ["remove_mark", "m"], ["save"], ["all", "a", "a!"]):
        got = play("", [["insert", 0, "a"], between, ["insert", 1, "b"], U, T])
        assert got[-2:] == [True, "a!" if between[0] == "all" else "a"], between
    assert play("q", [["insert", 0, "a"], ["insert", 1, "b"], U, R, ["insert", 2, "c"], U, T]) == [True, True, True, "abq"]
    assert play("q", [["insert", 0, "a"], ["delete", 1, 1], ["insert", 1, "b"], U, T, U, T]) == [True, "a", True, "aq"]


def test_deleting_is_one_step():
    assert play("abcdef", [["delete", 5, 1], ["delete", 4, 1], ["delete", 2, 2], U, T]) == [True, "abcdef"]
    assert play("abcdef", [["delete", 1, 1], ["delete", 1, 1], ["delete", 1, 2], U, T]) == [True, "abcdef"]
    assert play("abcdef", [["delete", 3, 1], ["delete", 2, 1], ["delete", 2, 1], T, U, T, U, T]) == ["abf", True, "abef", True, "abcdef"]
    assert play("abcdef", [["delete", 3, 1], ["delete", 3, 1], ["delete", 2, 1], U, T]) == [True, "abcf"]
    assert play("ab\ncd", [["delete", 3, 1], ["delete", 2, 1], ["delete", 1, 1], U, T, U, T, U, T]) == [True, "abd", True, "ab\nd", True, "ab\ncd"]
    assert play("ab\ncd", [["delete", 3, 1], ["delete", 2, 1], U, T]) == [True, "ab\nd"]


def test_groups():
    group = ["group", [["insert", 0, "1"], ["group", [["delete", 1, 1], ["insert", 0, "2"]]]]]
    assert play("ab", [group, T, U, T, R, T]) == ["21b", True, "ab", True, "21b"]
    assert play("ab", [["insert", 0, "x"], group, ["insert", 1, "y"], U, T, U, T, U, T]) == [True, "21ab", True, "xab", True, "ab"]
    assert play("", [["group", []], U, ["insert", 0, "a"], U, ["group", [["insert", 0, ""]]], R, T]) == [False, True, True, "a"]
    assert play("a", [["insert", 1, "b"], ["group", [U, R, ["insert", 2, "c"]]], T, U, T]) == ["RuntimeError", "RuntimeError", "abc", True, "ab"]


def test_failing_groups():
    assert play("abc", [["set_mark", "m", 2], ["insert", 0, "x"], U, ["fail", [["delete", 0, 3], ["insert", 0, "zzz"]]], Q, R, Q, U, U]) == [True, ["abc", {"m": 2}], True, ["xabc", {"m": 3}], True, False]
    assert play("abc", [["group", [["insert", 0, "1"], ["fail", [["insert", 0, "2"]]], ["insert", 1, "3"]]], T, U, T]) == ["13abc", True, "abc"]


def test_replace_all_is_one_step():
    assert play("a.a.a", [["all", "a", "bb"], T, U, T, R, T]) == [3, "bb.bb.bb", True, "a.a.a", True, "bb.bb.bb"]
    assert play("aaa", [["insert", 3, "b"], U, ["all", "x", "y"], ["all", "", "y"], R, T]) == [True, 0, 0, True, "aaab"]


def test_marks_come_back():
    steps = [["set_mark", "a", 1], ["set_mark", "b", 2], ["set_mark", "c", 4], ["delete", 1, 2], Q, U, Q, R, Q]
    assert play("vwxyz", steps) == [["vyz", {"a": 1, "c": 2}], True, ["vwxyz", {"a": 1, "b": 2, "c": 4}], True, ["vyz", {"a": 1, "c": 2}]]
    assert play("ab", [["set_mark", "m", 1], ["insert", 1, "XY"], Q, U, Q, ["insert", 0, "Z"], Q, U, Q]) == [["aXYb", {"m": 1}], True, ["ab", {"m": 1}], ["Zab", {"m": 2}], True, ["ab", {"m": 1}]]
    assert play("abcd", [["set_mark", "m", 2], ["all", "bc", "X"], Q, U, Q, R, Q]) == [1, ["aXd", {}], True, ["abcd", {"m": 2}], True, ["aXd", {}]]


def test_marks_set_by_hand_stay():
    assert play("abcd", [["set_mark", "m", 3], ["delete", 0, 1], ["remove_mark", "m"], U, Q]) == [True, ["abcd", {}]]
    assert play("abcd", [["insert", 0, "xy"], ["set_mark", "m", 4], U, Q, R, Q]) == [True, ["abcd", {"m": 2}], True, ["xyabcd", {"m": 4}]]
    assert play("abcd", [["set_mark", "m", 2], ["delete", 1, 2], ["set_mark", "m", 0], U, Q, R, Q]) == [True, ["abcd", {"m": 0}], True, ["ad", {"m": 0}]]


def test_modified():
    assert play("a", [M, ["insert", 0, "b"], M, U, M, R, ["save"], M, U, M, R, M]) == [False, True, True, False, True, False, True, True, True, False]
    assert play("a", [["insert", 1, "b"], ["save"], U, ["insert", 1, "b"], M, U, M]) == [True, True, True, True]
    assert play("a", [["insert", 1, "b"], ["delete", 1, 1], M, ["insert", 0, ""], ["set_mark", "m", 0], ["save"], M]) == [True, False]
    assert play("a", [["insert", 0, "1"], ["save"], ["insert", 1, "2"], M, U, M, U, M]) == [True, True, False, True, True]


def test_the_limit():
    steps = [["insert", 0, str(n)] for n in range(6)]
    assert play("", [*steps, U, U, U, U, T, R, T], limit=3) == [True, True, True, False, "210", True, "3210"]
    assert play("", [*steps, U, U, U, M], limit=3) == [True, True, True, True] and play("", [["save"], ["insert", 0, "a"], ["insert", 0, "b"], U, M], limit=1) == [True, True]


def test_nothing_is_no_step():
    assert play("ab", [["insert", 0, "x"], U, ["insert", 1, ""], ["delete", 1, 0], R, U, U]) == [True, True, True, False]


def test_steps_are_small():
    assert size(300)


def test_random_walks():
    rng = random.Random(11)
    for _ in range(30):
        text, steps, states, at = "abcdef", [["set_mark", "m", 3], Q], [], 0
        length = 6
        for n in range(25):
            if rng.random() < 0.5 and length > 3:
                count = rng.randint(1, 3)
                steps += [["delete", rng.randint(0, length - count), count]]
                length -= count
            else:
                steps += [["insert", rng.randint(0, length), rng.choice(["x", "yy", "z\n"])]]
                length += len(steps[-1][2])
            steps += [["save"], Q]
        got = play(text, steps + [U, Q] * 25 + [R, Q] * 25)
        states = got[:26]
        assert got[26:] == [x for s in states[-2::-1] for x in (True, s)] + [x for s in states[1:] for x in (True, s)]

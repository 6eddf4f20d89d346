from pathlib import Path

from ratchet_check import RemoteError, remote

DRIVER = '''
import gc, weakref
from bus import Bus, DeliveryError

def order(subscriptions, topic):
    """(pattern, priority) each; the numbers of those called, and the count."""
    bus, called = Bus(), []
    for n, (pattern, priority) in enumerate(subscriptions):
        bus.subscribe(pattern, lambda t, n=n, **d: called.append(n), priority=priority)
    count = bus.publish(topic)
    return called, count, bus.pending(topic)

def match(pattern, topic):
    bus = Bus()
    bus.subscribe(pattern, lambda t: None)
    return bus.publish(topic)

def changes():
    bus, said = Bus(), []
    def first(t, **d):
        said.append("first"); subs["first"].cancel(); subs["third"].cancel()
        bus.subscribe("a", lambda t: said.append("late"))
    subs = {"first": bus.subscribe("a", first)}
    subs["second"] = bus.subscribe("a", lambda t: said.append("second"))
    subs["third"] = bus.subscribe("*", lambda t: said.append("third"))
    counts = [bus.publish("a"), bus.publish("a")]
    return said, counts

def twice():
    bus, said = Bus(), []
    handler = lambda t: said.append(t)
    one, two = bus.subscribe("a", handler), bus.subscribe("a", handler)
    bus.publish("a"); two.cancel(); two.cancel(); bus.publish("a"); one.cancel(); bus.publish("a")
    return said, bus.pending("a")

def once():
    bus, said = Bus(), []
    def handler(t, depth=0):
        said.append(depth)
        if depth < 3: bus.publish("a", depth=depth + 1)
    bus.subscribe("a", handler, once=True)
    bus.subscribe("#", lambda t, **d: said.append("w"), once=True, priority=-1)
    return [bus.publish("a"), bus.publish("a")], said

def nested():
    bus, said = Bus(), []
    bus.subscribe("a", lambda t: (said.append("a1"), bus.publish("b")))
    bus.subscribe("a", lambda t: said.append("a2"))
    bus.subscribe("b", lambda t: said.append("b"))
    bus.publish("a")
    return said

def errors():
    bus, said = Bus(), []
    def bad(kind):
        def handler(t):
            said.append(kind.__name__); raise kind("x")
        return handler
    bus.subscribe("a", bad(ValueError)); bus.subscribe("*", bad(KeyError), priority=1); bus.subscribe("a", lambda t: said.append("ok"))
    bus.subscribe("a", bad(OSError), once=True)
    got = []
    for _ in range(2):
        try: bus.publish("a")
        except DeliveryError as error: got.append([type(e).__name__ for e in error.errors])
    return got, said

def interrupt():
    bus, said = Bus(), []
    def stop(t): raise KeyboardInterrupt
    bus.subscribe("a", stop); bus.subscribe("a", lambda t: said.append("ok"))
    try: bus.publish("a")
    except KeyboardInterrupt: said.append("stopped")
    return said

def data():
    bus, said = Bus(), []
    bus.subscribe("user.*", lambda topic, **d: said.append([topic, d]))
    bus.publish("user.new", name="x", n=1)
    return said

def released():
    class Handler:
        def __call__(self, t): pass
    gone = []
    for once in (False, True):
        bus, handler = Bus(), Handler()
        ref, kept = weakref.ref(handler), bus.subscribe("a.*", handler, once=once)
        del handler
        bus.publish("a.b") if once else kept.cancel()
        gc.collect(); gone.append(ref() is None)
    return gone
'''
Path("/tmp/driver.py").write_text(DRIVER)
names = "order match changes twice once nested errors interrupt data released".split()
order, match, changes, twice, once, nested, errors, interrupt, data, released = (remote("/tmp/driver.py", n) for n in names)


def refused(pattern, topic):
    try:
        match(pattern, topic)
    except RemoteError as error:
        return error.type == "ValueError"
    return False


def test_order_is_by_priority_then_by_subscription():
    assert order([["a", 0], ["*", 0], ["a", 1], ["#", 2], ["*", 1], ["a", 0], ["#", -1]], "a") == ([3, 2, 4, 0, 1, 5, 6], 7, 7)


def test_patterns():
    yes = [("a.*", "a.b"), ("*.b", "a.b"), ("a.#", "a"), ("a.#", "a.b.c"), ("#", "x.y"), ("*.#", "x"), ("a.*.c", "a.b.c"), ("a?", "a?"), ("[a]", "[a]"), ("a*", "a*")]
    no = [("a.*", "a"), ("a.*", "a.b.c"), ("*", "a.b"), ("a.#", "ab"), ("a.#", "b"), ("A", "a"), ("a?", "ab"), ("[a]", "a"), ("a*", "ab"), ("*.*.#", "a")]
    assert [match(*pair) for pair in yes] == [1] * len(yes)
    assert [match(*pair) for pair in no] == [0] * len(no)


def test_what_is_refused():
    bad = [("#.a", "a"), ("", "a"), ("a..b", "a"), (".a", "a"), ("a", ""), ("a", "a."), ("a.#.#", "a")]
    assert [refused(*pair) for pair in bad] == [True] * len(bad)


def test_changes_during_delivery():
    assert changes() == (["first", "second", "second", "late"], [2, 2])


def test_one_handler_subscribed_twice():
    assert twice() == (["a", "a", "a"], 0)


def test_once_is_once():
    assert once() == ([1, 0], [0, "w"])


def test_an_inner_event_comes_first():
    assert nested() == ["a1", "b", "a2"]


def test_all_are_called_though_some_fail():
    assert errors() == ([["KeyError", "ValueError", "OSError"], ["KeyError", "ValueError"]], ["KeyError", "ValueError", "ok", "OSError", "KeyError", "ValueError", "ok"])


def test_an_interrupt_ends_it():
    assert interrupt() == ["stopped"]


def test_data_arrive():
    assert data() == [["user.new", {"name": "x", "n": 1}]]


def test_cancelled_handlers_are_released():
    assert released() == [True, True]

from limits import Limiter


def test_a_burst_then_nothing():
    limiter = Limiter(1, 3, 100, clock=lambda: 0.0)
    assert [limiter.allow("a") for _ in range(2)] == [True, True]

from wire import Decoder, encode


def test_round_trip():
    for message in (("text", "hello"), ("data", b"\0\1"), ("ping", b"12345678"), ("map", {"a": 1, "b": "x", "c": None})):
        assert Decoder().feed(encode(message)) == [message]

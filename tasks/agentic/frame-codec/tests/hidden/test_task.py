import random
from pathlib import Path

from ratchet_check import RemoteError, remote

DRIVER = '''
from wire import Decoder, WireError, encode

def feed(pieces, limit=65536, close=False):
    """What each feed gave: messages, or ["error", messages]."""
    decoder, said = Decoder(limit), []
    for piece in pieces:
        try: said.append(decoder.feed(piece))
        except WireError as error: said.append(["error", error.messages])
    if close:
        try: said.append(decoder.close())
        except WireError: said.append("error")
    return said

def put(message, *limit):
    try: return encode(tuple(message), *limit)
    except WireError: return "error"
'''
Path("/tmp/driver.py").write_text(DRIVER)
feed, put = remote("/tmp/driver.py", "feed", seconds=20), remote("/tmp/driver.py", "put")


def crc(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = ((value << 1) ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value.to_bytes(2, "big")


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def frame(kind, payload):
    whole = bytes([kind]) + varint(len(payload)) + payload
    return whole + crc(whole)


PING, HI = frame(3, b"abcdefgh"), frame(1, b"hi")
BAD = ["error", []]


def dead(*pieces, limit=65536):
    return feed(list(pieces), limit)[-1] == BAD


def test_frames_are_those_of_the_protocol():
    assert crc(b"123456789") == b"\x29\xb1"
    assert put(["text", "hé"]) == frame(1, "hé".encode()) and put(["data", b""]) == frame(2, b"") and put(["ping", b"abcdefgh"]) == PING
    assert put(["data", b"x" * 300]) == frame(2, b"x" * 300)


def test_maps_are_those_of_the_protocol():
    got = put(["map", {"a": 0, "b": -1, "é": 2**31 - 1, "d": -(2**31), "e": "ü", "f": None, "": ""}])
    body = b"\x07" + b"\1a\1\0" + b"\1b\1\1" + b"\2\xc3\xa9\1\xfe\xff\xff\xff\x0f" + b"\1d\1\xff\xff\xff\xff\x0f" + b"\1e\2\2\xc3\xbc" + b"\1f\0" + b"\0\2\0"
    assert got == frame(4, body)
    assert feed([got]) == [[("map", {"a": 0, "b": -1, "é": 2**31 - 1, "d": -(2**31), "e": "ü", "f": None, "": ""})]]


def test_what_cannot_be_encoded():
    bad = [["ping", b"1"], ["map", {"a": 2**31}], ["map", {"a": -(2**31) - 1}], ["map", {"a": True}], ["map", {1: 2}], ["map", {"a": 1.5}], ["map", []], ["text", b"x"], ["data", "x"], ["note", "x"], ["text", None]]
    assert [put(m) for m in bad] == ["error"] * len(bad)


def test_bytes_one_by_one_and_all_at_once():
    stream = HI + PING + frame(2, b"") + frame(4, b"\1\1k\1\x03") + frame(1, b"x" * 200)
    expected = [("text", "hi"), ("ping", b"abcdefgh"), ("data", b""), ("map", {"k": -2}), ("text", "x" * 200)]
    assert feed([stream], close=True) == [expected, None]
    assert [m for got in feed([stream[n : n + 1] for n in range(len(stream))]) for m in got] == expected


def test_random_cuts():
    rng = random.Random(3)
    messages = [("data", rng.randbytes(rng.choice([0, 1, 126, 127, 128, 129, 1000]))) for _ in range(40)]
    stream = b"".join(frame(2, body) for _, body in messages)
    for _ in range(5):
        cuts = sorted(rng.sample(range(len(stream)), 60))
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)])]
        assert [m for got in feed(pieces) for m in got] == messages


def test_errors_end_the_stream_and_keep_what_came_before():
    broken = bytearray(HI)
    broken[-1] ^= 1
    assert feed([HI + PING + bytes(broken) + HI, HI, b""], close=True) == [["error", [("text", "hi"), ("ping", b"abcdefgh")]], BAD, BAD, "error"]


def test_the_checksum_covers_the_head():
    whole = bytearray(frame(1, b"hi"))
    whole[0] = 2
    assert dead(bytes(whole)) and dead(b"\1\2hi" + crc(b"hi"))


def test_varints():
    assert dead(b"\1\x82\x00hi") and dead(b"\1\x80\x80\x80\x80\x80") and dead(b"\1\xff\xff\xff\xff\x1f")
    assert feed([b"\1\x80"]) == [[]]
    padded = b"\1\x82\x00hi"
    assert dead(padded + crc(padded))


def test_long_payloads_are_refused_at_once():
    assert dead(b"\2" + varint(65537)) and dead(b"\2\x0b", limit=10) and dead(b"\x90\x0b", limit=10)
    assert feed([frame(2, b"x" * 10)], 10) == [[("data", b"x" * 10)]]


def test_types():
    assert feed([frame(0x80, b"?") + HI + frame(0xFF, b"") + HI]) == [[("text", "hi")] * 2]
    assert dead(b"\x00") and dead(b"\x06") and dead(b"\x7f") and dead(frame(0x80, b"?")[:-1] + b"\0\0")
    assert dead(frame(3, b"short")) and dead(frame(1, b"\xff"))


def test_bad_maps():
    bad = [b"", b"\1", b"\1\1", b"\1\1a", b"\1\1a\1", b"\1\1a\3", b"\1\1a\2\5x", b"\1\1a\0\0", b"\2\1a\0\1a\0", b"\1\1\xff\0", b"\1\5a\0", b"\1\1a\1\x80\0", b"\xff\xff\xff\xff\x0f"]
    assert [dead(frame(4, body)) for body in bad] == [True] * len(bad)


def part(kind, more, piece):
    return frame(5, bytes([kind, more]) + piece)


def test_messages_in_pieces():
    umlaut = "ü".encode()
    stream = part(1, 1, b"a" + umlaut[:1]) + PING + frame(0x81, b"x") + part(1, 1, b"") + part(1, 0, umlaut[1:]) + part(2, 0, b"") + part(4, 1, b"\1") + part(4, 0, b"\1a\0")
    expected = [("ping", b"abcdefgh"), ("text", "aü"), ("data", b""), ("map", {"a": None})]
    assert feed([stream], close=True) == [expected, None]
    assert [m for got in feed([stream[n : n + 1] for n in range(len(stream))]) for m in got] == expected


def test_bad_pieces():
    first = part(1, 1, b"a")
    bad = [first + HI, first + frame(4, b"\0"), first + part(2, 0, b"b"), part(3, 0, b"abcdefgh"), part(5, 0, b""), part(1, 2, b""), frame(5, b"\1"), frame(5, b""), part(1, 0, b"\xff")]
    assert [dead(stream) for stream in bad] == [True] * len(bad)
    assert feed([first], close=True) == [[], "error"] and feed([HI[:3]], close=True) == [[], "error"]


def test_pieces_may_not_exceed_the_limit_together():
    assert feed([part(2, 1, b"x" * 6), part(2, 0, b"y" * 4)], 10) == [[], [("data", b"x" * 6 + b"y" * 4)]]
    assert dead(part(2, 1, b"x" * 6), part(2, 1, b"y" * 5), limit=10)


def test_long_messages_are_sent_in_pieces():
    body = bytes(range(256)) * 10
    stream = put(["data", body], 1000)
    assert stream == part(2, 1, body[:998]) + part(2, 1, body[998:1996]) + part(2, 0, body[1996:])
    assert feed([stream], 2560) == [[("data", body)]]
    assert put(["data", b"x" * 1000], 1000) == frame(2, b"x" * 1000)
    assert feed([put(["map", {str(n): "v" * 50 for n in range(50)}], 100)]) == [[("map", {str(n): "v" * 50 for n in range(50)})]]


def test_a_long_stream_is_quick():
    stream = frame(2, b"x") * 20000
    got = feed([stream[n : n + 4096] for n in range(0, len(stream), 4096)])
    assert sum(map(len, got)) == 20000

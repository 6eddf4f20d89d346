from wire.errors import WireError
from wire.maps import put_map
from wire.numbers import crc16, put_varint

TYPES = {"text": 1, "data": 2, "ping": 3, "map": 4}
PART = 5


def frame(kind, payload):
    whole = bytes([kind]) + put_varint(len(payload)) + payload
    return whole + crc16(whole).to_bytes(2, "big")


def payload_of(name, value):
    if name == "map":
        return put_map(value)
    if name == "text" and isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise WireError("the text cannot be encoded") from error
    if name in {"data", "ping"} and isinstance(value, (bytes, bytearray)):
        if name == "ping" and len(value) != 8:
            raise WireError("a ping has 8 bytes")
        return bytes(value)
    raise WireError(f"{name!r} with {type(value).__name__} cannot be encoded")


def encode(message, limit=65536):
    name, value = message
    payload = payload_of(name, value)
    kind = TYPES[name]
    if len(payload) <= limit:
        return frame(kind, payload)
    room = limit - 2
    if room < 1 or name == "ping":
        raise WireError("the limit is too small")
    out = bytearray()
    for start in range(0, len(payload), room):
        more = start + room < len(payload)
        out += frame(PART, bytes([kind, more]) + payload[start : start + room])
    return bytes(out)

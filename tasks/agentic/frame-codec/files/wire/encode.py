from wire.maps import put_map
from wire.numbers import crc16, put_varint

TYPES = {"text": 1, "data": 2, "ping": 3, "map": 4}


def frame(kind, payload):
    head = bytes([kind]) + put_varint(len(payload))
    return head + payload + crc16(payload).to_bytes(2, "little")


def encode(message, limit=65536):
    name, value = message
    payload = value.encode() if name == "text" else put_map(value) if name == "map" else value
    return frame(TYPES[name], payload)

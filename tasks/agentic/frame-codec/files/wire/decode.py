from wire.errors import WireError
from wire.maps import get_map
from wire.numbers import crc16, get_varint

NAMES = {1: "text", 2: "data", 3: "ping", 4: "map"}


class Decoder:
    def __init__(self, limit=65536):
        self.limit = limit
        self.buffer = b""

    def feed(self, data):
        self.buffer += data
        messages = []
        while len(self.buffer) > 3:
            kind = self.buffer[0]
            size, at = get_varint(self.buffer, 1)
            if len(self.buffer) < at + size:
                break
            payload = self.buffer[at : at + size]
            if int.from_bytes(self.buffer[at + size : at + size + 2], "little") != crc16(payload):
                raise WireError("checksum")
            self.buffer = self.buffer[at + size + 2 :]
            value = payload.decode() if kind == 1 else get_map(payload) if kind == 4 else payload
            messages.append((NAMES[kind], value))
        return messages

    def close(self):
        if self.buffer:
            raise WireError("the stream ended inside a frame")

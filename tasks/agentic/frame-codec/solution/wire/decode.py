from wire.errors import WireError
from wire.maps import get_map
from wire.numbers import Short, crc16, get_varint

TEXT, DATA, PING, MAP, PART = 1, 2, 3, 4, 5
EXTENSIONS = 0x80


class Decoder:
    def __init__(self, limit=65536):
        self.limit = limit
        self._buffer = bytearray()
        self._part_kind, self._parts = None, bytearray()
        self._dead = False

    def feed(self, data):
        if self._dead:
            raise WireError("the stream is broken")
        self._buffer += data
        messages, at = [], 0
        try:
            while True:
                kind, payload, at = self._frame(at)
                message = self._take(kind, payload)
                if message:
                    messages.append(message)
        except Short:
            del self._buffer[:at]
            return messages
        except (WireError, UnicodeDecodeError) as error:
            self._dead = True
            raise WireError(str(error), messages) from error

    def _frame(self, start):
        """(type, payload, position behind the frame). Raises Short, WireError."""
        if start >= len(self._buffer):
            raise Short
        kind = self._buffer[start]
        if not TEXT <= kind <= PART and kind < EXTENSIONS:
            raise WireError(f"unknown type {kind}")
        size, at = get_varint(self._buffer, start + 1)
        if size > self.limit:
            raise WireError(f"a payload of {size} bytes")
        if len(self._buffer) < at + size + 2:
            raise Short
        end = at + size
        if int.from_bytes(self._buffer[end : end + 2], "big") != crc16(self._buffer[start:end]):
            raise WireError("wrong checksum")
        return kind, bytes(self._buffer[at:end]), end + 2

    def _take(self, kind, payload):
        """The message that a frame completes, if it does."""
        if kind >= EXTENSIONS:
            return None
        if kind == PING:
            if len(payload) != 8:
                raise WireError("a ping has 8 bytes")
            return "ping", payload
        if kind == PART:
            return self._piece(payload)
        if self._part_kind is not None:
            raise WireError("a message in pieces is not finished")
        return value(kind, payload)

    def _piece(self, payload):
        if len(payload) < 2 or payload[0] not in {TEXT, DATA, MAP} or payload[1] > 1:
            raise WireError("malformed piece")
        if self._part_kind not in {None, payload[0]}:
            raise WireError("pieces of different types")
        if len(self._parts) + len(payload) - 2 > self.limit:
            raise WireError("the message in pieces is too long")
        self._part_kind = payload[0]
        self._parts += payload[2:]
        if payload[1]:
            return None
        whole, kind = bytes(self._parts), self._part_kind
        self._part_kind, self._parts = None, bytearray()
        return value(kind, whole)

    def close(self):
        if self._dead or self._buffer or self._part_kind is not None:
            raise WireError("the stream ended inside a frame or message")


def value(kind, payload):
    if kind == TEXT:
        return "text", payload.decode()
    return ("map", get_map(payload)) if kind == MAP else ("data", payload)

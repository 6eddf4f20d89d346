from wire.errors import WireError

BIGGEST = 2**32 - 1


class Short(Exception):
    """More bytes are needed."""


def put_varint(number):
    if not 0 <= number <= BIGGEST:
        raise WireError(f"{number} is out of range")
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def get_varint(data, at):
    """(number, position behind it). Raises Short, WireError."""
    number = 0
    for n in range(5):
        if at + n >= len(data):
            raise Short
        byte = data[at + n]
        number |= (byte & 127) << 7 * n
        if byte < 128:
            if number > BIGGEST or (n and not byte):
                raise WireError("varint out of range or not the shortest")
            return number, at + n + 1
    raise WireError("varint too long")


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
            crc &= 0xFFFF
    return crc

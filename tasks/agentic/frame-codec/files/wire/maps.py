from wire.numbers import get_varint, put_varint


def put_map(values):
    out = put_varint(len(values))
    for key, value in values.items():
        out += put_varint(len(key)) + key.encode()
        if value is None:
            out += b"\0"
        elif isinstance(value, int):
            out += b"\1" + put_varint(value * 2 if value >= 0 else -value * 2)
        else:
            out += b"\2" + put_varint(len(value)) + value.encode()
    return out


def get_map(data):
    count, at = get_varint(data, 0)
    found = {}
    for _ in range(count):
        size, at = get_varint(data, at)
        key, at = data[at : at + size].decode(), at + size
        tag, at = data[at], at + 1
        if tag == 0:
            found[key] = None
        elif tag == 1:
            number, at = get_varint(data, at)
            found[key] = number // 2 if number % 2 == 0 else -(number // 2)
        else:
            size, at = get_varint(data, at)
            found[key], at = data[at : at + size].decode(), at + size
    return found

from wire.errors import WireError
from wire.numbers import Short, get_varint, put_varint


def put_text(text):
    if not isinstance(text, str):
        raise WireError(f"{text!r} is no text")
    try:
        raw = text.encode()
    except UnicodeEncodeError as error:
        raise WireError(f"{text!r} cannot be encoded") from error
    return put_varint(len(raw)) + raw


def put_map(values):
    if not isinstance(values, dict):
        raise WireError("no map")
    out = put_varint(len(values))
    for key, value in values.items():
        out += put_text(key)
        if value is None:
            out += b"\0"
        elif isinstance(value, int) and not isinstance(value, bool):
            out += b"\1" + put_varint(value * 2 if value >= 0 else -value * 2 - 1)
        else:
            out += b"\2" + put_text(value)
    return out


def get_text(data, at):
    size, at = get_varint(data, at)
    if at + size > len(data):
        raise Short
    return data[at : at + size].decode(), at + size


def get_map(data):
    """Raises WireError."""
    try:
        count, at = get_varint(data, 0)
        found = {}
        for _ in range(count):
            key, at = get_text(data, at)
            if key in found:
                raise WireError(f"key {key!r} comes twice")
            if at >= len(data):
                raise Short
            tag, at = data[at], at + 1
            if tag == 0:
                found[key] = None
            elif tag == 1:
                number, at = get_varint(data, at)
                found[key] = -(number // 2) - 1 if number % 2 else number // 2
            elif tag == 2:
                found[key], at = get_text(data, at)
            else:
                raise WireError(f"unknown tag {tag}")
    except Short as error:
        raise WireError("the map is cut short") from error
    if at != len(data):
        raise WireError("something follows the map")
    return found

"""The values that calls take and give, and how they are printed: PROTOCOL.md, "Values in print"."""
import decimal
import math

import msgpack

MAX_BYTES, MAX_ITEMS, MAX_DEPTH = 8 << 20, 8192, 16


def unpack(data):
    """The one value that `data` holds; ValueError if it holds none. A str that is not UTF-8 has surrogates."""
    try:
        return msgpack.unpackb(data, raw=False, unicode_errors="surrogateescape", strict_map_key=False)
    except Exception as error:  # of many types, by what is wrong
        raise ValueError(f"not one msgpack value: {error or type(error).__name__}") from None


def normal(value):
    """`value` as one who unpacks it gets it: a tuple as a list, a bytearray as bytes. An exception if it is no msgpack value."""
    return unpack(msgpack.packb(value, unicode_errors="surrogateescape"))


def is_shallow(value, depth):
    """Whether no more than `depth` arrays and maps are nested."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if type(value) not in (list, tuple):
        return True
    return depth > 0 and all(is_shallow(element, depth - 1) for element in value)


def as_output(value):
    """Bytes of a str or bin, one line of JSON of anything else; ValueError if it cannot be printed."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if not is_shallow(value, MAX_DEPTH):
        raise ValueError("nested deeper than the limit")
    return _json(value).encode()


def _json(value):
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _real(value)
    if isinstance(value, (str, bytes)):
        return _string(value)
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_key(key)}:{_json(element)}" for key, element in value.items()) + "}"
    code, data = (-1, value.to_bytes()) if isinstance(value, msgpack.Timestamp) else value
    return f'{{"ext":{code},"data":{_string(data)}}}'


def _key(key):
    if isinstance(key, (str, bytes)):
        return _string(key)
    if key is None or isinstance(key, (bool, int, float)):
        return f'"{_json(key)}"'
    raise ValueError("a map key that is not a scalar")


def _string(value):
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            value = value.encode("utf-8", "surrogateescape")
    is_text = isinstance(value, str)
    return '"' + "".join(map(_escaped if is_text else _escaped_byte, value if is_text else map(chr, value))) + '"'


def _escaped(char):
    if char in _SHORT:
        return _SHORT[char]
    return f"\\u{ord(char):04x}" if char < " " or char == "\x7f" else char


def _escaped_byte(char):
    return _escaped(char) if char < "\x7f" else f"\\u{ord(char):04x}"


_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _real(value):
    """The shortest digits that read back as `value`, with an exponent where that is shorter."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    sign, digits, exponent = decimal.Decimal(repr(value)).normalize().as_tuple()
    digits = "".join(map(str, digits))
    power = exponent + len(digits) - 1 if value else 0  # of the first digit
    scientific = f"{digits[0]}{'.' * (len(digits) > 1)}{digits[1:]}e{power:+03}"
    if exponent >= 0 or not value:
        plain = f"{abs(value):.0f}"
    elif power >= 0:
        plain = f"{digits[:power + 1]}.{digits[power + 1:]}"
    else:
        plain = f"0.{'0' * (-power - 1)}{digits}"
    text = "-" * sign + (plain if len(plain) <= len(scientific) else scientific)
    return text if "." in text or "e" in text else text + ".0"

"""Files as someone could have changed them: by accident, or to do harm. All from a seed."""

from __future__ import annotations

import copy
import json
import math
import random
from typing import Any

ODD: list[Any] = [
    None,
    True,
    0,
    1,
    -1,
    3,
    2**31,
    2**40,
    2**63,
    2**64,
    10**30,
    0.5,
    -0.5,
    1e308,
    math.nan,
    math.inf,
    "",
    "0_y_x",
    "y_x",
    "99_y_x",
    "\0",
    "../../letter.txt",
    "frames/../../letter.txt",
    "uint16",
    "object",
    [],
    [0],
    [0, 1],
    [[]],
    {},
    {"": 0},
]


def tampered(content: Any, rng: random.Random) -> Any:
    """A copy of what a JSON file holds, changed in one to three places."""
    content = copy.deepcopy(content)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(content))
        if not places:
            return rng.choice(ODD)
        container, key = rng.choice(places)
        _change(container, key, rng)
    return content


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Bytes with some changed, cut off, taken out, doubled or put in."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(changed) + 1)
        end = min(len(changed), at + rng.choice((1, 2, 4, 8, 64)))
        match rng.randrange(6):
            case 0:
                changed[at:end] = rng.randbytes(end - at)
            case 1:
                changed[at:end] = rng.choice((b"\xff", b"\x00")) * (end - at)
            case 2:
                del changed[at:]
            case 3:
                del changed[at:end]
            case 4:
                changed[at:at] = changed[at:end]
            case _ if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def nested(rng: random.Random) -> bytes:
    """JSON that is nested deeply, or names very much."""
    depth = 10 ** rng.randint(2, 6)
    return rng.choice((b"[" * depth, b'{"a":' * depth, b"[" * depth + b"]" * depth))


def tampered_json(content: bytes, rng: random.Random) -> bytes:
    """A JSON file changed in its values or in its bytes."""
    match rng.randrange(8):
        case 0:
            return damaged(content, rng)
        case 1:
            return nested(rng)
    try:
        return json.dumps(tampered(json.loads(content), rng)).encode()
    except (ValueError, RecursionError):  # it is none, or none any more
        return damaged(content, rng)


def _places(content: Any) -> Any:
    """Every value in it, as a container and a key."""
    keys = content.keys() if isinstance(content, dict) else range(len(content))
    for key in list(keys):
        yield content, key
        if isinstance(content[key], dict | list):
            yield from _places(content[key])


def _change(container: Any, key: Any, rng: random.Random) -> None:
    value = container[key]
    match rng.randrange(4):
        case 0 if isinstance(container, dict):
            del container[key]
        case 0:
            container.insert(key, value)
        case 1 if isinstance(value, int | float) and not isinstance(value, bool):
            container[key] = rng.choice((value + 1, value - 1, -value, value * 2**20, value * 1e6))
        case 2 if isinstance(container, dict):
            container[rng.choice(list(container))] = value
        case _:
            container[key] = rng.choice(ODD)

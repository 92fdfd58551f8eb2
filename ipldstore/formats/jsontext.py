"""JSON text of others, read without trust in its length or depth."""

from __future__ import annotations

import json
import re
from typing import Any

from ipldstore.limits import MAX_JSON_BYTES, MAX_JSON_DEPTH

# without backtracking, and a string that does not end goes to the end: time grows with length only
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def load_json(data: bytes, *, limit: int = MAX_JSON_BYTES, **hooks: Any) -> Any:
    """Parse JSON text in UTF-8.

    `limit` is how many bytes it may have; `hooks` are as in ``json.loads``. Raises `ValueError` if
    it is no JSON, longer than the limit, or nested more than 256 levels deep: Python itself crashes
    on that in a thread with a small stack.
    """
    if len(data) > limit:
        raise ValueError(f"JSON text of {len(data)} bytes, at most {limit}")
    text = data.decode()
    # no text is nested deeper than it has brackets, and few have many
    if text.count("[") + text.count("{") > MAX_JSON_DEPTH:
        _check_depth(text)
    return json.loads(text, **hooks)


def _check_depth(text: str) -> None:
    depth = 0
    for found in _TOKENS.finditer(text):
        token = found[0]
        if token in "[{":
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise ValueError(f"JSON text nested more than {MAX_JSON_DEPTH} levels deep")
        elif token in "]}":
            depth -= 1

"""Names of records, made of whatever a framework calls its sessions."""

from __future__ import annotations

import hashlib
import re

#: What stands for something else here: the separators, and what no name may have.
_SPECIAL = re.compile("[%/~\x00-\x1f\ud800-\udfff]")
#: Bytes that an agent's name, and a part of a key, may have.
_AGENT, _PART = 256, 400
_DIGEST = 32


def part(text: str) -> str:
    """Makes a text a part of a name, so that different texts are different parts.

    >>> part("subagents/agent-1")
    'subagents%2Fagent-1'
    """
    return _short(_SPECIAL.sub(lambda found: f"%{ord(found.group()):02X}", text), _PART)


def agent(prefix: str, *parts: str) -> str:
    """Names an agent after a prefix and parts.

    >>> agent("claude/", "-home-ann", "4f0c")
    'claude/-home-ann/4f0c'
    """
    return _short(prefix + "/".join(map(part, parts)), _AGENT)


def _short(name: str, most: int) -> str:
    """Gives a name that is too long a digest in the place of its end."""
    encoded = name.encode()
    if len(encoded) <= most:
        return name
    kept = encoded[: most - _DIGEST - 1].decode(errors="ignore")
    return f"{kept}~{hashlib.sha256(encoded).hexdigest()[:_DIGEST]}"

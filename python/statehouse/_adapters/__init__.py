"""What the adapters to agent frameworks have in common: names, and items of any size.

None of it imports a framework; each adapter imports its own when it is imported itself. They work
on the blocking client, in threads: so they serve any event loop, also a second one, and trio.
"""

from __future__ import annotations


def needs(extra: str, missing: ImportError) -> ImportError:
    """Makes the error for an adapter whose framework is not there, or is too old for it."""
    return ImportError(f'{missing.msg}. This needs pip install "statehouse-sdk[{extra}]"')

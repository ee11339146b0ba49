"""Which clients write which file, and until when."""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from statehouse import _arguments as check
from statehouse._capture.file import log
from statehouse._capture.recording import Capture
from statehouse._environment import capture_file
from statehouse.errors import InvalidArgument

if TYPE_CHECKING:
    from statehouse._channel import PathLike

_captures: dict[tuple[str, str, bool], Capture] = {}
_guard = threading.RLock()  # re-entered by signal handlers that make clients


def capture_of(path: PathLike | None, target: str, redact: bool) -> Capture | None:
    """Returns what records a client of a daemon into a file; None: it is not to be recorded.

    Clients of this process that name the same file share it, also one after another.
    """
    given = path is not None
    path = path if given else capture_file()
    if path is None:
        return None
    try:
        name = os.path.abspath(check.path("capture", path))  # noqa: PTH100  it stays text
        if not Path(name).parent.is_dir():
            raise check.refused("capture", f"capture {path!r}: there is no such directory")
    except InvalidArgument:
        if given:
            raise
        log.warning("statehouse: STATEHOUSE_CAPTURE_FILE=%s: nothing is recorded", path)
        return None
    with _guard:
        key = name, target, redact
        known = _captures.get(key)
        if known is None or (known.users <= 0 and not known.again()):
            known = _captures[key] = Capture(name, redact)
        known.users += 1
        return known


def release(known: Capture) -> None:
    """Ends the file when the last client that writes it is closed."""
    with _guard:
        known.users -= 1
        if known.users <= 0:
            known.close()


@atexit.register
def _close_all() -> None:
    for known in _captures.values():
        known.close()


def _after_in_child() -> None:
    global _guard
    _guard = threading.RLock()
    for known in _captures.values():
        known.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_in_child)

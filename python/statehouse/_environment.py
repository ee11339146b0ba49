"""Settings from environment variables."""

from __future__ import annotations

import logging
import os

log = logging.getLogger("statehouse")

#: Values of the daemon's own STATEHOUSE_CAPTURE, which is a boolean and not a file.
_BOOLEANS = ("", "0", "1", "t", "f", "true", "false", "on", "off", "yes", "no")


def setting(name: str) -> str | None:
    """Returns a setting, or None. One that is set to the empty string counts as not set, for
    that is what an unset variable of a shell becomes.
    """
    return os.environ.get(name) or None


def capture_file() -> str | None:
    """Returns the file to record into, or None."""
    path = setting("STATEHOUSE_CAPTURE_FILE")
    daemons = os.environ.get("STATEHOUSE_CAPTURE", "")
    if path is None and daemons.lower() not in _BOOLEANS:
        log.warning(
            "statehouse: STATEHOUSE_CAPTURE=%s is the daemon's setting, and records nothing here:"
            " a client's file is named by STATEHOUSE_CAPTURE_FILE",
            daemons,
        )
    return path

"""Settings of the environment."""

from __future__ import annotations

import logging
import os

log = logging.getLogger("statehouse")

#: What the daemon takes for its own STATEHOUSE_CAPTURE, which is no file.
_BOOLEANS = ("", "0", "1", "t", "f", "true", "false", "on", "off", "yes", "no")


def setting(name: str) -> str | None:
    """Answers a setting. One that is set to nothing counts as not set, for that is what an
    unset variable of a shell becomes.
    """
    return os.environ.get(name) or None


def capture_file() -> str | None:
    """Answers the file to record into."""
    path = setting("STATEHOUSE_CAPTURE_FILE")
    daemons = os.environ.get("STATEHOUSE_CAPTURE", "")
    if path is None and daemons.lower() not in _BOOLEANS:
        log.warning(
            "statehouse: STATEHOUSE_CAPTURE=%s is the daemon's setting, and records nothing here:"
            " a client's file is named by STATEHOUSE_CAPTURE_FILE",
            daemons,
        )
    return path

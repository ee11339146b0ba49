"""Other distributions that install a package of this name.

The original client of Statehouse is one. pip installs both without a warning, the second over
the files of the first, and what is imported then is a mixture of the two.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

_OURS = "statehouse-sdk"


def warn_of_others() -> None:
    """Warns when another distribution, or another folder, provides ``statehouse`` too."""
    here = Path(__file__).resolve().parent
    others = sorted(_distributions()) + sorted(_folders(here))
    if others:
        warnings.warn(
            f"statehouse is also installed by {' and '.join(others)}: the two overwrite or hide"
            f" each other. This is {_OURS}, in {here}. Uninstall both, then install"
            " one of them",
            RuntimeWarning,
            stacklevel=3,
        )


def _distributions() -> set[str]:
    """Names installed distributions, other than ours, that put files into ``statehouse/``.

    It runs at every import, so it reads little: of most distributions only the name.
    """
    found = set()
    for entry in sys.path:
        try:
            infos = [p for p in Path(entry).iterdir() if p.suffix in (".dist-info", ".egg-info")]
        except OSError:
            continue
        for info in infos:
            name = info.name.partition("-")[0].lower().replace("_", "-")
            if name != _OURS and _provides(info, named="statehouse" in name):
                found.add(info.stem)
    return found


def _provides(info: Path, *, named: bool) -> bool:
    try:
        if "statehouse" in (info / "top_level.txt").read_text(errors="replace").split():
            return True
    except OSError:
        pass
    if not named:
        return False
    try:
        record = (info / "RECORD").read_text(errors="replace")
    except OSError:
        return False
    return any(line.startswith("statehouse/") for line in record.splitlines())


def _folders(here: Path) -> set[str]:
    """Names other packages of the name; a second copy of this one, as of a checkout, is none."""
    found = set()
    for entry in sys.path:
        package = Path(entry or ".") / "statehouse"
        ours = package.resolve() == here or (package / Path(__file__).name).is_file()
        if (package / "__init__.py").is_file() and not ours:
            found.add(str(package))
    return found

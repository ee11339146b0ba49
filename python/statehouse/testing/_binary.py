"""Finding the programs of Statehouse, or building them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


class BinaryNotFound(Exception):
    """There is no such program, and no repository to build it from."""


def find_binary(name: str = "statehoused") -> str:
    """Finds a program: where ``STATEHOUSED`` (of statehouse-sim: ``STATEHOUSE_SIM``) says,
    else on the PATH, else built from the repository that this package, or the working
    directory, is in.
    """
    variable = name.upper().replace("-", "_")
    if told := os.environ.get(variable):
        if not os.access(told, os.X_OK):
            raise BinaryNotFound(f"{variable} is {told!r}, which is no program")
        return told
    if found := shutil.which(name):
        return found
    if repository := _repository():
        return _build(repository, name)
    raise BinaryNotFound(f"{name} is not on the PATH: put it there, or set {variable} to its path")


def _repository() -> Path | None:
    for start in (Path(__file__).resolve(), Path.cwd()):
        for folder in start.parents if start.is_file() else (start, *start.parents):
            module = folder / "go.mod"
            if module.is_file() and "module statehouse.dev/statehouse\n" in module.read_text():
                return folder
    return None


def _build(repository: Path, name: str) -> str:
    """Builds a program. Go does nothing when it is built already."""
    go = shutil.which("go")
    if go is None:
        raise BinaryNotFound(f"{name} is not on the PATH, and without Go it cannot be built")
    target = repository / ".cache" / "python" / "bin" / name
    built = subprocess.run(
        [go, "build", "-tags", "grpcnotrace", "-o", str(target), f"./cmd/{name}"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        raise BinaryNotFound(f"{name} cannot be built:\n{built.stderr}")
    return str(target)

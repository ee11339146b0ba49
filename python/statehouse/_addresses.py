"""The grammar of addresses. It is one for all clients of Statehouse: the cases that each of
them must agree on are in ``client/testdata/addresses.json``.

An address is ``host:port``, ``host``, or either after ``http://`` or ``https://``, which say
whether TLS is spoken. What gRPC would make of anything else (a port taken modulo 65536, a
path passed over, a name of another scheme) is not what its writer meant, so it is refused.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple

from statehouse import _arguments as check

if TYPE_CHECKING:
    from statehouse.errors import InvalidArgument

DEFAULT_PORT = 50051

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


class Address(NamedTuple):
    """Where a daemon listens."""

    host: str  #: without brackets
    port: int
    tls: bool | None  #: None: the address does not say

    @property
    def target(self) -> str:
        """The name that gRPC connects to."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Reports whether it is certainly on this machine."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse(field: str, address: str) -> Address:
    """Reads an address; ``field`` names where it was given.

    >>> parse("url", "localhost").target, parse("url", "https://[::1]:443/").target
    ('localhost:50051', '[::1]:443')
    """
    problem = _Problem(field, address)
    if not address:
        raise problem("it is empty")
    if any(c.isspace() for c in address):
        raise problem("it has white space in it")
    tls: bool | None = None
    rest = address
    if scheme := _SCHEME.match(address):
        name = scheme[1].lower()
        if name not in ("http", "https"):
            raise problem(f"the scheme {name}:// is not known, only http:// and https://")
        tls = name == "https"
        rest = address[scheme.end() :]
        rest = rest[:-1] if rest.endswith("/") else rest
    if "@" in rest:
        raise problem("it has a user or password in it; a token is given by token=", shown=False)
    if any(c in rest for c in "/?#"):
        raise problem("it has a path, and a daemon has none")
    host, port = _split(problem, rest)
    return Address(host, port, tls)


class _Problem:
    """Makes the errors about one address."""

    def __init__(self, field: str, address: str) -> None:
        self._field, self._address = field, address

    def __call__(self, what: str, *, shown: bool = True) -> InvalidArgument:
        given = f" {self._address!r}" if shown else ""
        return check.refused(
            self._field,
            f"{self._field}{given} is no address: {what}. Write host:port, such as localhost:50051",
        )


def _split(problem: _Problem, rest: str) -> tuple[str, int]:
    if rest.startswith("["):
        inside, closed, after = rest[1:].partition("]")
        if not closed:
            raise problem("the brackets are not closed")
        if not inside:
            raise problem("it names no host")
        try:
            ipaddress.IPv6Address(inside)
        except ValueError:
            raise problem("the brackets are for an IPv6 address, without a zone") from None
        if "%" in inside:
            raise problem("the brackets are for an IPv6 address, without a zone")
        if after and not after.startswith(":"):
            raise problem("a colon belongs between the brackets and the port")
        return inside, _port(problem, after[1:] if after else None)
    if _is_ipv6(rest):
        raise problem("an IPv6 address is written in brackets, as in [::1]:50051")
    host, colon, port = rest.partition(":")
    _check_host(problem, host)
    return host, _port(problem, port if colon else None)


def _is_ipv6(text: str) -> bool:
    """Reports whether text is an IPv6 address, or one with a port after it."""
    if text.count(":") < 2:
        return False
    for candidate in (text, text.rpartition(":")[0]):
        try:
            ipaddress.IPv6Address(candidate.partition("%")[0])
        except ValueError:
            continue
        return True
    return False


def _check_host(problem: _Problem, host: str) -> None:
    if not host:
        raise problem("it names no host")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise problem(
            "its host is no name: those are letters, digits, - and _ in parts of up to 63"
            " characters with dots between them"
        )
    if any(len(label) > 63 for label in host.split(".")):
        raise problem("its host has a part of more than 63 characters")


def _port(problem: _Problem, port: str | None) -> int:
    if port is None:
        return DEFAULT_PORT
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise problem(f"the port {port!r} is not a number from 1 to 65535")
    return int(port)

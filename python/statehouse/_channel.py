"""Where the daemon is and how to talk to it: addresses, TLS, tokens, gRPC options."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union

import grpc

from statehouse import _arguments as check
from statehouse._version import __version__
from statehouse.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_PORT = 50051

#: What a path may be given as.
PathLike = Union[str, "os.PathLike[str]"]
Headers = tuple[tuple[str, str], ...]

CHANNEL_OPTIONS = (
    ("grpc.primary_user_agent", f"statehouse-python/{__version__}"),
    # Two clients share no connection, so that closing or losing one is nothing to the other.
    ("grpc.use_local_subchannel_pool", 1),
    # Who may repeat what is decided in _calls.py.
    ("grpc.enable_retries", 0),
    # A daemon that restarts is found again within seconds, not gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # in fact how long connecting may take
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A watch notices that the other machine is gone.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
)


@dataclass(frozen=True)
class Endpoint:
    """A daemon and how to talk to it."""

    target: str
    credentials: grpc.ChannelCredentials | None
    headers: Headers


def endpoint(
    url: str | None,
    token: str | None,
    metadata: Mapping[str, str] | Sequence[tuple[str, str]] | None,
    tls: bool,
    ca_file: PathLike | None,
    cert_file: PathLike | None,
    key_file: PathLike | None,
    plaintext_token: bool,
) -> Endpoint:
    """Checks how a client is told to reach the daemon."""
    if url is None:
        url = os.environ.get("STATEHOUSE_ADDRESS") or f"localhost:{DEFAULT_PORT}"
    if token is None:
        token = os.environ.get("STATEHOUSE_TOKEN") or None
    target, secure = _target(check.text("url", url))
    secure = secure or tls or ca_file is not None or cert_file is not None
    headers = _headers(metadata)
    if token is not None:
        _check_token(token, target, secure or plaintext_token)
        headers += (("authorization", f"Bearer {token}"),)
    credentials = _credentials(ca_file, cert_file, key_file) if secure else None
    return Endpoint(target, credentials, headers)


def _target(url: str) -> tuple[str, bool]:
    """Answers gRPC's name of an address, and whether it asks for TLS.

    >>> _target("localhost"), _target("https://db.example:443/"), _target("[::1]:7")
    (('localhost:50051', False), ('db.example:443', True), ('[::1]:7', False))
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme in ("unix", "dns", "ipv4", "ipv6"):
        scheme, rest = "", url
    elif scheme not in ("http", "https", "grpc", "grpcs"):
        raise check.refused("url", f"url {url!r}: write host:port, http://… or https://…")
    rest = rest.strip().rstrip("/") if scheme else rest.strip()
    if not rest:
        raise check.refused("url", f"url {url!r} names no host: write host:port")
    if rest.startswith(("unix:", "dns:", "ipv4:", "ipv6:")):
        return rest, False
    if ":" not in rest.rpartition("]")[2]:
        rest = f"{rest}:{DEFAULT_PORT}"
    return rest, scheme in ("https", "grpcs")


def _headers(metadata: Mapping[str, str] | Sequence[tuple[str, str]] | None) -> Headers:
    pairs = list(metadata.items() if isinstance(metadata, Mapping) else metadata or ())
    for pair in pairs:
        if isinstance(pair, str) or not [type(part) for part in pair] == [str, str]:
            raise check.refused(
                "metadata", f"metadata is a list of (name, value) pairs of str, not {pair!r}"
            )
    return tuple((name.lower(), value) for name, value in pairs)


def _check_token(token: str, target: str, allowed: bool) -> None:
    if not token or not all("!" <= c <= "~" for c in token):
        raise check.refused(
            "token", "the token must be printable ASCII without space, as a header carries it"
        )
    if not allowed and not is_loopback(target):
        raise check.refused(
            "token",
            f"the token would go to {target} in plain text: turn TLS on with tls=True or"
            " ca_file=, or give plaintext_token=True if the network itself is trusted",
        )


def is_loopback(target: str) -> bool:
    """Tells whether an address is certainly on this machine."""
    if target.startswith("unix:"):
        return True
    for scheme in ("dns:///", "dns:", "ipv4:", "ipv6:"):
        if target.startswith(scheme):
            target = target[len(scheme) :]
            break
    host = target.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _credentials(
    ca_file: PathLike | None, cert_file: PathLike | None, key_file: PathLike | None
) -> grpc.ChannelCredentials:
    if (cert_file is None) != (key_file is None):
        raise InvalidArgument("cert_file and key_file go together", details={"field": "key_file"})
    return grpc.ssl_channel_credentials(
        root_certificates=_pem("ca_file", ca_file),
        private_key=_pem("key_file", key_file),
        certificate_chain=_pem("cert_file", cert_file),
    )


def _pem(field: str, path: PathLike | None) -> bytes | None:
    if path is None:
        return None
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise check.refused(field, f"{field} cannot be read: {error}") from None
    if b"-----BEGIN " not in data:
        raise check.refused(field, f"{field} {os.fspath(path)!r} holds nothing in PEM form")
    return data

"""How to talk to the daemon: TLS, tokens, headers, gRPC options."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import grpc

from statehouse import _arguments as check
from statehouse._addresses import DEFAULT_PORT, Address, parse
from statehouse._environment import setting
from statehouse._proto import methods
from statehouse._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from statehouse._members import Members

#: What a path may be given as.
PathLike = Union[str, "os.PathLike[str]"]
Headers = tuple[tuple[str, str], ...]

_CHANNEL_OPTIONS = (
    ("grpc.primary_user_agent", f"statehouse-python/{__version__}"),
    # Two clients share no connection, so closing or losing one does not affect the other.
    ("grpc.use_local_subchannel_pool", 1),
    # What may be repeated is decided in _calls.py.
    ("grpc.enable_retries", 0),
    # A daemon that restarts is found again within seconds, not gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # in fact how long connecting may take
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A watch notices that the other machine is gone.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # The largest answer and what a frame of a session has around it.
    ("grpc.max_receive_message_length", (4 << 20) + (64 << 10)),
)
_HEADER_NAME = re.compile(r"[0-9a-z_.-]+")
_SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie")
_BYTE_ORDER_MARKS = ("\ufeff", "\ufffe", "ï»¿")


@dataclass
class Endpoint:
    """A daemon and how to talk to it."""

    address: Address
    credentials: grpc.ChannelCredentials | None
    #: What its TLS looks like to Python. None: there is none, or the system's authorities are
    #: trusted, which takes a while to load.
    tls: ssl.SSLContext | None
    headers: Headers
    #: No proxy of the environment may stand between.
    direct: bool
    #: There has been a connection. Shared by all clients of one channel.
    met: bool = False
    #: The awaited client may share streams; see _aio/session.py.
    sessions: bool = True
    #: The daemon validates what a transaction has read. None: it was not asked. Shared, too.
    knows_reads: bool | None = None
    #: The daemon gives values as they were written, bytes among them, as far as is known.
    native: bool = True
    #: One that the store had when it was asked, or later: what a transaction reads that begins now
    #: is of that epoch, or of one that began since.
    epoch: str = ""
    #: Of several daemons that keep one store: which this is, and, with the first of them, all.
    member: int = 0
    members: Members | None = None

    @property
    def target(self) -> str:
        return self.address.target

    @property
    def secure(self) -> bool:
        return self.credentials is not None

    @property
    def proxied(self) -> bool:
        """Reports whether gRPC may go through a proxy of the environment's."""
        names = ("grpc_proxy", "https_proxy", "http_proxy")
        return not self.direct and any(os.environ.get(name) for name in names)

    @property
    def options(self) -> tuple[tuple[str, str | int], ...]:
        """The options of its channel."""
        return (*_CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0 if self.direct else 1))


def endpoint(
    url: str | None,
    token: str | None,
    metadata: Mapping[str, str] | Sequence[tuple[str, str]] | None,
    tls: bool | None,
    ca_file: PathLike | None,
    cert_file: PathLike | None,
    key_file: PathLike | None,
    plaintext_token: bool,
) -> Endpoint:
    """Checks how a client is told to reach the daemon."""
    address = _address(url)
    files = {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file}
    secure = _secure(address, tls, [name for name, path in files.items() if path is not None])
    headers = _headers(metadata)
    if token is None:
        token = setting("STATEHOUSE_TOKEN")
    if token is not None:
        _check_token(token)
        if any(name == "authorization" for name, _ in headers):
            raise check.refused(
                "token", "the token and metadata both say authorization: leave out one"
            )
        headers += (("authorization", f"Bearer {token}"),)
    secret = any(name in _SECRET_HEADERS for name, _ in headers)
    if secret and not (secure or address.loopback or plaintext_token):
        raise check.refused(
            "token" if token is not None else "metadata",
            f"the token would go to {address.target} in plain text: turn TLS on with tls=True or"
            " ca_file=, or give plaintext_token=True if the network itself is trusted",
        )
    credentials = context = None
    if secure:
        credentials, context = _credentials(ca_file, cert_file, key_file)
    # A proxy can reach no loopback address of this machine, and reads what is in plain text:
    # who trusts a network with a token has not said so of a proxy.
    direct = address.loopback or (secret and not secure)
    return Endpoint(address, credentials, context, headers, direct)


def _address(url: str | None) -> Address:
    if url is not None:
        return parse("url", check.text("url", url))
    for name in ("STATEHOUSE_ADDRESS", "STATEHOUSE_ADDR", "STATEHOUSE_URL"):
        if address := setting(name):
            return parse(name, address)
    return Address("localhost", DEFAULT_PORT, None)


def _secure(address: Address, tls: bool | None, files: list[str]) -> bool:
    """Decides whether TLS is spoken; all that says so must say the same."""
    tls = check.optional_flag("tls", tls)
    asked = [*files, *(["tls=True"] if tls else [])]
    if address.tls is False and asked:
        raise check.refused(
            "url", f"http:// is without TLS, and {asked[0]} asks for it: write https://"
        )
    if tls is False and (address.tls or files):
        what = "https://" if address.tls else files[0]
        raise check.refused("tls", f"tls=False turns off what {what} asks for: leave out one")
    if ("cert_file" in files) != ("key_file" in files):
        raise check.refused("key_file", "cert_file and key_file go together")
    return bool(address.tls or asked)


def _headers(metadata: Mapping[str, str] | Sequence[tuple[str, str]] | None) -> Headers:
    if isinstance(metadata, Mapping):
        metadata = list(metadata.items())
    headers = []
    for pair in check.items("metadata", metadata or ()):
        if not isinstance(pair, (tuple, list)) or [type(part) for part in pair] != [str, str]:
            raise check.refused(
                "metadata",
                f"metadata is a list of (name, value) pairs of str, not {check.brief(pair)}",
            )
        name, value = pair[0].lower(), pair[1]
        if not _HEADER_NAME.fullmatch(name) or name.startswith("grpc-"):
            raise check.refused(
                "metadata",
                f"metadata {name!r} is no name of a header: those are letters, digits, - _ and"
                " dots, not beginning with grpc-",
            )
        if not all(" " <= c <= "~" for c in value):
            raise check.refused(
                "metadata", f"the value of metadata {name!r} must be printable ASCII"
            )
        headers.append((name, value))
    return tuple(headers)


def _check_token(token: str) -> None:
    """Refuses what no header can carry, and says where it probably comes from."""
    why = ""
    if not check.text("token", token):
        why = "it is empty"
    elif token.startswith(_BYTE_ORDER_MARKS):
        why = 'it begins with a byte order mark: read its file with encoding="utf-8-sig"'
    elif token.strip() != token:
        why = "it begins or ends with white space, as what is read from a file does: .strip() it"
    elif not all("!" <= c <= "~" for c in token):
        at = next(i for i, c in enumerate(token) if not "!" <= c <= "~")
        why = f"its character {at + 1} is {token[at]!a}"
    if why:
        raise check.refused(
            "token",
            f"no header can carry the token: {why}. A token is printable ASCII without spaces",
        )


def _credentials(
    ca_file: PathLike | None, cert_file: PathLike | None, key_file: PathLike | None
) -> tuple[grpc.ChannelCredentials, ssl.SSLContext | None]:
    """Reads the files of TLS. gRPC takes whatever they hold, and then never connects."""
    authorities = _pem("ca_file", ca_file)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=authorities,
        private_key=_pem("key_file", key_file),
        certificate_chain=_pem("cert_file", cert_file),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if cert_file is not None and key_file is not None:
        try:
            context.load_cert_chain(cert_file, key_file, password=lambda: b"")
        except (OSError, ValueError) as error:  # ssl.SSLError among them
            raise check.refused(
                "cert_file",
                "cert_file and key_file are no certificate with its own key, without a password:"
                f" {error}",
            ) from None
    if authorities is None:
        return credentials, None
    try:
        context.load_verify_locations(cadata=authorities.decode("ascii", "ignore"))
    except (OSError, ValueError) as error:
        raise check.refused("ca_file", f"ca_file holds no certificate: {error}") from None
    return credentials, context


def _pem(field: str, path: PathLike | None) -> bytes | None:
    if path is None:
        return None
    try:
        data = Path(check.path(field, path)).read_bytes()
    except (OSError, UnicodeError) as error:
        raise check.refused(field, f"{field} cannot be read: {error}") from None
    if b"-----BEGIN " not in data:
        raise check.refused(field, f"{field} {os.fspath(path)!r} holds nothing in PEM form")
    return data


def open_channel(api: Any, endpoint: Endpoint) -> tuple[Any, dict[str, Any]]:
    """Makes a channel to a daemon, and the contract's methods on it by their names.

    ``api`` is ``grpc`` or ``grpc.aio``: what is made of one must not be used with the other.
    """
    if endpoint.credentials is None:
        channel = api.insecure_channel(endpoint.target, endpoint.options)
    else:
        channel = api.secure_channel(endpoint.target, endpoint.credentials, endpoint.options)
    kinds = {"Session": channel.stream_stream}
    return channel, {
        method.name: kinds.get(
            method.name, channel.unary_stream if method.streaming else channel.unary_unary
        )(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        for method in methods()
    }

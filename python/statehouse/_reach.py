"""Getting a connection before anything is sent on it, and saying why there is none.

gRPC accepts a request while it still tries to connect. When it cannot connect, its error may
be the same as that of a request which was lost on the way. So a request is given to gRPC only
when there is a connection: what fails before that was certainly not sent.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, NamedTuple

from statehouse import errors
from statehouse._effects import Call, Reach, Work
from statehouse._proto import statehouse_pb2 as pb

if TYPE_CHECKING:
    from statehouse._calls import Deadline
    from statehouse._channel import Endpoint
    from statehouse._effects import Steps

#: Seconds that looking for the cause may take.
_LOOK = 1.0
#: gRPC's words for a name that it cannot resolve, from version 1.60 on.
_UNRESOLVED = ("DNS resolution failed", "errors resolving ")


def reach(endpoint: Endpoint, deadline: Deadline) -> Steps[None]:
    """Ends when there is a connection. When it raises nothing was sent."""
    connected = yield Reach(deadline.left(), endpoint.member)
    if connected is None:
        raise errors.DeadlineExceeded(
            f"no connection to {endpoint.target} within {deadline.seconds:.3g} s: nothing there"
            " accepts it, or refuses it"
        )
    if not connected:
        try:
            # gRPC says why there is no connection only to a request. Should there be a
            # connection by now, this one changes nothing.
            yield Call("Health", pb.HealthRequest(), deadline.left(), endpoint.member)
        except errors.ConnectionError as failed:
            if not failed.answered:
                raise (yield from _explained(endpoint, failed.message, deadline)) from None
        except errors.UsageError as failed:
            if not failed.answered:
                failed._sent = False  # noqa: SLF001  the caller's request was not
                raise
        except errors.StatehouseError:
            pass  # an answer of any kind is a connection
    endpoint.met = True
    if deadline.over():
        raise errors.DeadlineExceeded(f"no time was left to send anything to {endpoint.target}")


def _explained(
    endpoint: Endpoint, message: str, deadline: Deadline
) -> Steps[errors.ConnectionError]:
    """Makes the error for a connection that gRPC says has failed."""
    cause: Cause | None = None
    said = message.rpartition("last error: ")[2]
    if any(words in message for words in _UNRESOLVED):
        # A name that was resolved before will be again; one that never was is misspelt.
        cause = Cause(f"unknown host {endpoint.address.host!r}: {said}", lasting=not endpoint.met)
    elif not endpoint.proxied:  # otherwise it is the proxy that connects, or fails to
        left = deadline.left()
        seconds = _LOOK if left is None else max(0.01, min(_LOOK, left))
        cause = yield Work(look, (endpoint, seconds))
    if cause is None:
        # A handshake that failed will fail again, whatever the reason.
        cause = Cause(f"{endpoint.target} cannot be reached: {said}", lasting="SSL_ERROR" in said)
    error = errors.ConnectionError(cause.sentence)
    error._lasting = cause.lasting  # noqa: SLF001  ours
    if cause.lasting:
        error.advice = ""
    return error


class Cause(NamedTuple):
    """Why there is no connection."""

    sentence: str
    #: Trying again will not help.
    lasting: bool = False


def look(endpoint: Endpoint, seconds: float) -> Cause | None:
    """Connects as gRPC does, to see where that fails. None: it does not fail.

    gRPC's own messages depend on its version, and for a host with several addresses they are
    about the last one tried.
    """
    address = endpoint.address
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None  # gRPC has resolved it just now
    causes = []
    for *_, where in found:
        cause = _look_at(endpoint, (str(where[0]), address.port), seconds / len(found))
        if cause is None or cause.lasting:
            return cause
        causes.append(cause)
    return causes[-1] if causes else None


def _look_at(endpoint: Endpoint, where: tuple[str, int], seconds: float) -> Cause | None:
    target = endpoint.target
    try:
        connection = socket.create_connection(where, timeout=seconds)
    except OSError as error:
        why = error.strerror or str(error)
        return Cause(f"{target} cannot be reached: {why.lower()}")
    with connection:
        if endpoint.secure:
            return _handshake(endpoint, connection)
        if _speaks_tls(connection):
            return Cause(
                f"{target} wants TLS, and this client speaks plain text: give it ca_file= or"
                " tls=True, or an address that begins with https://",
                lasting=True,
            )
    return None


def _handshake(endpoint: Endpoint, connection: socket.socket) -> Cause | None:
    target = endpoint.target
    context = endpoint.tls or ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    try:
        context.wrap_socket(connection, server_hostname=endpoint.address.host).close()
    except ssl.SSLCertVerificationError as error:
        return Cause(
            f"the certificate of {target} is not trusted: certificate verify failed:"
            f" {error.verify_message.rstrip('.')}. Give its authority by ca_file=, and the name"
            " that it is for in the address",
            lasting=True,
        )
    except ssl.SSLError as error:
        if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return Cause(
                f"{target} does not speak TLS, and this client does: wrong version number. Start"
                " the daemon with --tls-cert and --tls-key, or leave out tls=, ca_file= and"
                " https://",
                lasting=True,
            )
    except OSError:
        pass  # the other side hung up: gRPC's message says more
    return None


def _speaks_tls(connection: socket.socket) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        context.wrap_socket(connection).close()
    except OSError:  # ssl.SSLError among them
        return False
    return True

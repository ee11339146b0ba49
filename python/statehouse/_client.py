"""The options of a client, whichever way it talks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Union

from typing_extensions import Self

from statehouse import _arguments as check
from statehouse import errors
from statehouse._calls import Caller, Options
from statehouse._capture import capture_of
from statehouse._channel import Endpoint, PathLike, endpoint
from statehouse._environment import setting
from statehouse._members import Members

if TYPE_CHECKING:
    from typing import NoReturn

    from statehouse._capture import Capture


class Unset:
    """Stands for an argument that was not given, where None has a meaning of its own."""

    def __repr__(self) -> str:
        return "<unchanged>"


UNSET = Unset()
Seconds = Union[float, None, Unset]


def _addresses(url: str | None, addresses: Sequence[str] | None) -> Sequence[str | None]:
    if addresses is None:
        return [url]
    if url is not None:
        raise check.refused("addresses", "url and addresses say the same: leave out one")
    given = [] if isinstance(addresses, str) else check.items("addresses", addresses)
    if not given:
        raise check.refused("addresses", "addresses is a list, of one daemon at least")
    return [check.text("addresses", one) for one in given]


class ClientSurface:
    """The options of a client; ``__init__`` documents them."""

    _endpoint: Endpoint
    _capture: Capture | None

    def __init__(
        self,
        url: str | None = None,
        namespace: str | None = None,
        *,
        token: str | None = None,
        metadata: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        tls: bool | None = None,
        ca_file: PathLike | None = None,
        cert_file: PathLike | None = None,
        key_file: PathLike | None = None,
        plaintext_token: bool = False,
        timeout: float | None = 30.0,
        attempt_timeout: float | None = 10.0,
        fail_fast: bool = False,
        page_size: int = 1000,
        capture: PathLike | None = None,
        capture_redact: bool = False,
        sessions: bool = True,
        addresses: Sequence[str] | None = None,
        at_most_stale: float | None = None,
    ) -> None:
        """Makes a client. Nothing is connected before the first call.

        ``url``
            ``host:port``, by default ``STATEHOUSE_ADDRESS`` or ``localhost:50051``. With
            ``https://`` in front TLS is on, with ``http://`` it is off.
        ``namespace``
            The namespace of records that are named without one; by default
            ``STATEHOUSE_NAMESPACE`` or ``default``.
        ``token``
            Sent with every request as ``authorization: Bearer …``; by default
            ``STATEHOUSE_TOKEN``. Over a network it is sent through TLS only, unless
            ``plaintext_token`` says that the network itself is trusted; then no proxy of the
            environment (``http_proxy`` and its like) is used.
        ``metadata``
            Further headers of every request: pairs of name and value. What holds for the token
            holds for an ``authorization`` among them.
        ``tls``, ``ca_file``, ``cert_file``, ``key_file``
            Any of them turns TLS on. ``ca_file`` is trusted instead of the system's
            authorities; ``cert_file`` and ``key_file`` are the client's own. All are PEM.
        ``timeout``
            Seconds that a call may take, with all its tries; None: no bound. An iterator
            applies it to each request, and to the time it waits for a daemon that went away;
            a watch waits for ever.
        ``attempt_timeout``
            Seconds that one try may take; None: what is left of ``timeout``.
        ``fail_fast``
            Gives up a call that was certainly not sent, because the daemon cannot be reached,
            instead of trying until the timeout. Where waiting cannot help it is given up in any
            case: a certificate that is not trusted, TLS on one side only, an unknown host.
        ``page_size``
            How many items of a list one request asks for. The daemon may answer fewer.
        ``capture``
            A file to record the history of this client in, for ``statehouse-sim check``;
            by default ``STATEHOUSE_CAPTURE_FILE``. It is overwritten, and ends when the client is
            closed. ``capture_redact`` puts digests in the place of values.
        ``sessions``
            Of the awaited client: reads that are under way at once share a stream, where the
            daemon knows that, which costs a fraction of a call each. False: each request is a
            call of its own, as it is of the blocking client in any case.

        Raises :class:`InvalidArgument` for an option that makes no sense, such as a text that is
        no address or a certificate that cannot be read.
        ``addresses``
            In place of ``url``: those of daemons that keep one store between them, as they call
            themselves. Calls go to the one that leads, those that fail are repeated at another, and
            reads that may be stale go to all in turn.
        ``at_most_stale``
            Seconds that the state may be old which ``get_state``, ``get_many``, the lists of keys
            and records and ``find`` read: any of the daemons may answer then, without asking the
            others. With ``min_read_ts`` a program sees its own writes. None: the newest state.
        """
        if namespace is None:
            namespace = setting("STATEHOUSE_NAMESPACE") or "default"
        if not 1 <= check.count("page_size", page_size) < 2**32:
            raise check.refused("page_size", f"page_size must be 1 or more, not {page_size}")
        plaintext_token = check.flag("plaintext_token", plaintext_token)
        found = [
            endpoint(one, token, metadata, tls, ca_file, cert_file, key_file, plaintext_token)
            for one in _addresses(url, addresses)
        ]
        self._endpoint = found[0]
        if len(found) > 1:
            for at, one in enumerate(found):
                one.member = at
            self._endpoint.members = Members(found)
        self._endpoint.sessions = check.flag("sessions", sessions)
        options = Options(
            namespace=check.namespace(namespace),
            timeout=check.optional_seconds("timeout", timeout),
            attempt_timeout=check.optional_seconds("attempt_timeout", attempt_timeout),
            fail_fast=check.flag("fail_fast", fail_fast),
            page_size=page_size,
            at_most_stale=check.optional_seconds("at_most_stale", at_most_stale),
        )
        self._caller = Caller(options, self._endpoint)
        redact = check.flag("capture_redact", capture_redact)
        self._capture = capture_of(capture, self._endpoint.target, redact)
        self._open()

    def _open(self) -> None:
        """Makes the transport, which performs the effects."""
        raise NotImplementedError

    @property
    def namespace(self) -> str:
        """The namespace of records that are named without one."""
        return self._caller.options.namespace

    def with_options(
        self,
        *,
        namespace: str | None = None,
        timeout: Seconds = UNSET,
        attempt_timeout: Seconds = UNSET,
        fail_fast: bool | None = None,
        at_most_stale: Seconds = UNSET,
    ) -> Self:
        """Makes a client with other options on the same connection. Close only one of them.

        >>> staging = client.with_options(namespace="staging", timeout=2)
        >>> staging.namespace
        'staging'

        ``namespace``, ``timeout``, ``attempt_timeout``, ``fail_fast``, ``at_most_stale``
            As when a client is made; timeouts are in seconds, and None is no bound. What is
            not given stays as it is.

        Raises :class:`InvalidArgument` for an option that makes no sense.
        """
        options = self._caller.options
        if namespace is not None:
            options = replace(options, namespace=check.namespace(namespace))
        if not isinstance(timeout, Unset):
            options = replace(options, timeout=check.optional_seconds("timeout", timeout))
        if not isinstance(attempt_timeout, Unset):
            seconds = check.optional_seconds("attempt_timeout", attempt_timeout)
            options = replace(options, attempt_timeout=seconds)
        if not isinstance(at_most_stale, Unset):
            seconds = check.optional_seconds("at_most_stale", at_most_stale)
            options = replace(options, at_most_stale=seconds)
        if fail_fast is not None:
            options = replace(options, fail_fast=check.flag("fail_fast", fail_fast))
        other = object.__new__(type(self))
        vars(other).update(vars(self), _caller=Caller(options, self._endpoint))
        return other

    def __reduce__(self) -> NoReturn:
        raise errors.UsageError(
            "a client cannot be copied or sent to another process: make one in each, and use"
            " with_options() for another on the same connection"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._endpoint.target!r}, {self.namespace!r})"

"""Translates what gRPC raises into errors of this package."""

from __future__ import annotations

from typing import Any, NamedTuple

import grpc

from statehouse import errors
from statehouse._effects import Call, Effect
from statehouse._proto import statehouse_pb2 as pb
from statehouse._proto import status_pb2

_DETAILS = "grpc-status-details-bin"
_CODES = grpc.StatusCode

#: How gRPC begins the message of a call that was never on a connection. Nearly all such calls
#: are not even made, see _reach.py; these lost the connection just before they were sent. Taken
#: from gRPC's load balancing and name resolution. Should it change, these calls count as sent,
#: which is the safe mistake.
_NEVER_SENT = (
    "failed to connect to all addresses",
    "DNS resolution failed",
    "errors resolving ",
    "empty address list",
)

#: Statuses without a StatehouseError: a proxy, or gRPC itself, answered for the daemon.
_ANSWERED: dict[grpc.StatusCode, type[errors.StatehouseError]] = {
    _CODES.RESOURCE_EXHAUSTED: errors.ResourceExhausted,  # the request is too large
    _CODES.UNAUTHENTICATED: errors.Unauthenticated,
    _CODES.PERMISSION_DENIED: errors.PermissionDenied,
    _CODES.INVALID_ARGUMENT: errors.InvalidArgument,
    _CODES.OUT_OF_RANGE: errors.InvalidArgument,
    _CODES.UNIMPLEMENTED: errors.Unimplemented,
}


#: Statuses of requests that were refused before they reached the daemon's logic.
_REFUSED = (
    _CODES.UNIMPLEMENTED,
    _CODES.UNAUTHENTICATED,
    _CODES.PERMISSION_DENIED,
    _CODES.INVALID_ARGUMENT,
)


class Told(NamedTuple):
    """What an error says in a history (``Outcome`` in history/record)."""

    code: str  #: of the contract, or gRPC's in lower case
    refused: bool  #: certainly not applied; False: it is unknown


class NoMessage(grpc.RpcError):
    """A call that ended with status OK and yet without a message.

    Old versions of gRPC, such as 1.60, drop the message and keep the status when a call is
    cancelled, or its deadline passes, at the moment the answer arrives. They should report
    INTERNAL, from which it is unknown what the daemon did.
    """

    def code(self) -> grpc.StatusCode:
        return _CODES.INTERNAL

    def details(self) -> str:
        return "the call ended without a message"

    def trailing_metadata(self) -> tuple[()]:
        return ()


def received(effect: Effect, message: Any) -> Any:
    """Returns what gRPC gave for an effect. Raises :class:`NoMessage` when that is None for a
    call, which must have a message; for a stream None is its end.
    """
    if message is None and isinstance(effect, Call):
        raise NoMessage
    return message


def from_rpc(failed: grpc.RpcError, *, closed: bool = False) -> errors.StatehouseError:
    """Makes the error for a failed RPC. ``closed``: the client was closed meanwhile, which
    explains an answer that is missing.
    """
    rpc: Any = failed
    message = rpc.details() or ""
    if detail := _detail(rpc.trailing_metadata()):
        error = from_detail(detail, message)
        told = Told(code_name(detail.code), not detail.maybe_applied)
        error._told = told  # noqa: SLF001  ours
    else:
        error = _from_status(rpc.code(), message)
        code = rpc.code().name.replace("_", "").replace("CANCELLED", "CANCELED").lower()
        error._told = Told(code, rpc.code() in _REFUSED)  # noqa: SLF001
    if closed and not error.answered:
        told, error = error._told, closed_meanwhile(sent=error._sent)  # noqa: SLF001
        error._told = told  # noqa: SLF001
    return error


def closed_meanwhile(*, sent: bool) -> errors.UsageError:
    """Makes the error for a call that was under way when its client was closed. A request that
    was sent by then may still be applied.
    """
    error = errors.UsageError("the client was closed: make a new one", sent=sent)
    error._lasting = True  # noqa: SLF001
    return error


def _from_status(code: grpc.StatusCode, message: str) -> errors.StatehouseError:
    if code in _ANSWERED:
        return _ANSWERED[code](message or code.name, answered=True)
    # Nothing else comes from the daemon: INTERNAL and UNKNOWN without a detail are how gRPC
    # reports a stream that broke.
    sent = not (code is _CODES.UNAVAILABLE and message.startswith(_NEVER_SENT))
    kind = errors.DeadlineExceeded if code is _CODES.DEADLINE_EXCEEDED else errors.ConnectionError
    return kind(f"no answer: {message or code.name}", sent=sent)


def code_name(code: int) -> str:
    """Names a code, also one of a later daemon."""
    return pb.ErrorCode.Name(code) if code in pb.ErrorCode.values() else f"CODE_{code}"


def from_detail(detail: pb.StatehouseError, fallback: str) -> errors.StatehouseError:
    """Makes the error for an error that the daemon answered."""
    code = code_name(detail.exact_code)
    if not detail.exact_code or code not in errors.BY_CODE:
        code = code_name(detail.code)
    kind = errors.BY_CODE.get(code, errors.InternalError)
    if detail.maybe_applied:
        kind = errors.OutcomeUnknown
    return kind(detail.message or fallback, code=code, details=detail.details, answered=True)


def _detail(trailers: Any) -> pb.StatehouseError | None:
    for key, value in trailers or ():
        if key == _DETAILS:
            status = status_pb2.Status.FromString(value)
            for packed in status.details:
                if packed.type_url.endswith("/statehouse.v1.StatehouseError"):
                    return pb.StatehouseError.FromString(packed.value)
    return None

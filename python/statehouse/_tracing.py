"""Spans of calls, for programs that use OpenTelemetry.

Where ``opentelemetry-api`` is installed, and the program has it record, each call is a client span
of the trace that it is made in, by the semantic conventions of gRPC and of generative AI's memory.
The call carries the trace's W3C ``traceparent``: the daemon's own span is its child, and a commit
keeps the trace id. Names of keys and values are in no span.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from statehouse._version import __version__

_otel: Any = None
with contextlib.suppress(ImportError):  # the extra "otel" is not installed
    from opentelemetry import trace as _otel

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from statehouse._channel import Endpoint, Headers
    from statehouse._effects import Call

_SERVICE = "statehouse.v1.StatehouseService"
#: What the conventions of generative AI call these methods. They have no word for the others.
_MEMORY = {
    "GetState": "search_memory",
    "GetStateAtVersion": "search_memory",
    "BatchGetState": "search_memory",
    "ScanPrefix": "search_memory",
    "Find": "search_memory",
    "Write": "upsert_memory",
    "Transact": "upsert_memory",
    "Delete": "delete_memory",
}


class Span:
    """A call that is traced, from ``with`` to its end."""

    __slots__ = ("_span", "headers")

    def __init__(self, span: Any) -> None:
        context = span.get_span_context()
        self._span = span
        #: What goes with the call.
        self.headers: Headers = (
            ("traceparent", f"00-{context.trace_id:032x}-{context.span_id:016x}-01"),
        )
        if context.trace_state:
            self.headers += (("tracestate", context.trace_state.to_header()),)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failed: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if failed is not None:
            code = getattr(failed, "code", None)
            name = getattr(code() if callable(code) else None, "name", type(failed).__name__)
            self._span.set_attribute("error.type", name)
            self._span.set_status(_otel.Status(_otel.StatusCode.ERROR, name))
        self._span.end()


def begin(effect: Call, endpoint: Endpoint) -> Span | None:
    """Begins the span of a call; None: nobody records one."""
    if _otel is None:
        return None
    tracer = _otel.get_tracer("statehouse", __version__)
    operation = _operation(effect)
    span = tracer.start_span(
        f"{operation or effect.method} statehouse",
        kind=_otel.SpanKind.CLIENT,
        attributes=_attributes(effect, endpoint, operation),
    )
    if not (span.is_recording() and span.get_span_context().trace_flags.sampled):
        span.end()
        return None
    return Span(span)


def _operation(effect: Call) -> str | None:
    operations = getattr(effect.request, "operations", None)
    if operations and all(operation.delete for operation in operations):
        return "delete_memory"
    return _MEMORY.get(effect.method)


def _attributes(effect: Call, endpoint: Endpoint, operation: str | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "rpc.system": "grpc",
        "rpc.service": _SERVICE,
        "rpc.method": effect.method,
        "server.address": endpoint.address.host,
        "server.port": endpoint.address.port,
    }
    if operation is not None:
        request: Any = effect.request
        about = next(iter(getattr(request, "operations", ())), request)
        attributes["gen_ai.operation.name"] = operation
        attributes["gen_ai.memory.store.id"] = getattr(about, "namespace", "") or "default"
        if agent := getattr(about, "agent_id", ""):
            attributes["gen_ai.agent.id"] = agent
    return attributes

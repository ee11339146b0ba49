"""The contract: message classes and methods. None of it is public.

The descriptors are loaded into a pool of this package's own. In protobuf's global pool they
would clash with stubs that a program generated for itself from the same contract. Stubs that
protoc generates as Python code are refused by runtimes of another major version; what is used
here instead exists in every protobuf since 4.25.

``python/generate.sh`` makes the ``_pb2`` modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from statehouse._proto import statehouse_pb2, status_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["Method", "methods", "statehouse_pb2", "status_pb2"]


class Method(NamedTuple):
    """One method of the service, ready to be put on a channel."""

    name: str
    path: str
    request: type[Message]
    response: type[Message]
    streaming: bool


def methods() -> list[Method]:
    """Lists the service's methods."""
    service: Any = statehouse_pb2.DESCRIPTOR.services_by_name["StatehouseService"]
    return [
        Method(
            name=method.name,
            path=f"/{service.full_name}/{method.name}",
            request=getattr(statehouse_pb2, method.input_type.name),
            response=getattr(statehouse_pb2, method.output_type.name),
            streaming=method.server_streaming,
        )
        for method in service.methods
    ]

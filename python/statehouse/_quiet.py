"""Imports gRPC so that it does not log what errors say already.

By default gRPC writes a line to stderr for each handshake that fails, and it tries for as long as
there is a client. To see these lines set ``GRPC_VERBOSITY``, or import grpc first.
"""

import os

if "GRPC_VERBOSITY" in os.environ:
    import grpc
else:
    os.environ["GRPC_VERBOSITY"] = "ERROR"
    try:
        import grpc  # which reads it now
    finally:
        del os.environ["GRPC_VERBOSITY"]  # programs that this one starts must not inherit it

__all__ = ["grpc"]

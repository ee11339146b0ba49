"""Imports gRPC so that it keeps to itself what errors say.

Left alone it writes a line to stderr for each handshake that fails, and it goes on trying for as
long as there is a client. Who wants its lines sets ``GRPC_VERBOSITY``, or imports grpc first.
"""

import os

if "GRPC_VERBOSITY" in os.environ:
    import grpc
else:
    os.environ["GRPC_VERBOSITY"] = "ERROR"
    try:
        import grpc  # which reads it now
    finally:
        del os.environ["GRPC_VERBOSITY"]  # it is nothing to other programs

__all__ = ["grpc"]

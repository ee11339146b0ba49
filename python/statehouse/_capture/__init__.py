"""Recording: a client writes down what it asks and is told, as a history (docs/HISTORY.md).

``statehouse-sim check`` judges such a file without the daemon, so a user who saw something
wrong can send it in. Recording stands at the seam of ``_effects``: :meth:`Capture.follow`
wraps the logic of a call and sees every effect on its way to the transport and every result
on its way back. Blocking and awaited clients are therefore recorded by the same code, and
each try of a call is an operation of its own, as the daemon sees it.

The way of one operation, module by module:

``sharing``
    Finds the :class:`Capture` for a file. Clients of one process that name the same file
    and daemon share it; the last one that is closed ends the file.
``recording``
    Numbers the operation, gives it a time and a lane (a client of the history runs one
    operation at a time), and decides what of it is written and when.
``words``
    Says a request, an answer or an error in the members that a history has.
``digests``
    Replaces values with keyed digests, if the user asked for that.
``file``
    Makes JSON lines of it on a thread of its own and writes them.

Two guarantees hold whatever happens to the disk. No request waits for it, and none fails
because of it: what does not fit into memory is counted and becomes a *gap*. And the file is
always whole lines: a transaction or a stream of which a part is lost loses the rest too, so
that a reader is never shown half of one.
"""

from statehouse._capture.recording import Capture
from statehouse._capture.sharing import capture_of, release

__all__ = ["Capture", "capture_of", "release"]

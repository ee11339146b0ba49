"""What the calls of a client do, as generators that say what they want done.

Neither grpc nor asyncio is imported here: see :mod:`statehouse._effects`. Each public method
``name`` of a client or a transaction has its logic in a method ``_name`` with the same
parameters in the same order, and ``_sync`` and ``_aio`` run it.

``reads``, ``writes``, ``log``, ``daemon``
    The methods of a client, by subject; those in ``reads`` are a transaction's too.
``txn``
    A transaction that is open in the daemon, and running a function in one.
``feeds``
    Streams of events that open again after the last one when they break.
"""

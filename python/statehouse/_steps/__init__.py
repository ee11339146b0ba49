"""What the calls of a client do, as generators that say what they want done.

Neither grpc nor asyncio is imported here: see :mod:`statehouse._effects`. Each public method
``name`` of a client or a transaction has its logic in a method ``_name`` with the same
parameters in the same order, and ``_sync`` and ``_aio`` run it.

``reads``, ``writes``, ``log``, ``daemon``
    The methods of a client, by subject; those in ``reads`` are a transaction's too.
``txn``, ``txnreads``, ``staged``, ``readset``
    A transaction: how it ends, how it reads, what it has written, what it has read.
``held``
    One that the daemon holds.
``running``
    How transactions begin, and running a function in them.
``feeds``
    Streams of events that open again after the last one when they break.
"""

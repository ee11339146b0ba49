"""Shows a blocking client in the shape of the awaited one, so that tests are written once.

Each call runs in a thread of its own, so that calls of several tasks overlap.
"""

import asyncio
import contextvars
import functools
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

from statehouse import Statehouse, Txn

_threads = ThreadPoolExecutor(200)


async def in_thread(function, *args, **kwargs):
    context = contextvars.copy_context()
    call = functools.partial(context.run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads, call)


async def connection_lost(client):
    """Waits until a client has noticed that its connection is no more: what is sent before that
    may have been applied.
    """
    transport = getattr(client, "blocking", client)._transport
    end = time.monotonic() + 5
    while transport._channel is not None and time.monotonic() < end:
        channel = transport._channel
        if hasattr(channel, "get_state"):
            state = channel.get_state().value[0]
        else:
            state = channel._channel.check_connectivity_state(False)
        if state != grpc.ChannelConnectivity.READY.value[0]:
            return
        await asyncio.sleep(0.001)


class Adapted:
    STREAMS = ("scan_keys", "scan_prefix", "history", "replay", "watch", "find", "diff")

    def __init__(self, blocking: "Statehouse | Txn"):
        self.blocking = blocking

    def __getattr__(self, name):
        attribute = getattr(self.blocking, name)
        if not callable(attribute):
            return attribute
        if name in self.STREAMS:
            return functools.partial(_iterate, attribute)
        return functools.partial(in_thread, attribute)

    def with_options(self, **options):
        return Adapted(self.blocking.with_options(**options))

    def begin_transaction(self, **options):
        return AdaptedTxn(self.blocking, options)

    async def run_transaction(self, function, **options):
        loop = asyncio.get_running_loop()

        def blocking(txn):
            return asyncio.run_coroutine_threadsafe(function(Adapted(txn)), loop).result()

        return await in_thread(self.blocking.run_transaction, blocking, **options)


class AdaptedTxn:
    def __init__(self, client: Statehouse, options):
        self.client, self.options = client, options

    def __await__(self):
        return self.begin().__await__()

    async def begin(self):
        return Adapted(await in_thread(self.client.begin_transaction, **self.options))

    async def __aenter__(self):
        self.txn = await self.begin()
        return self.txn

    async def __aexit__(self, *failure):
        return await in_thread(self.txn.blocking.__exit__, *failure)


async def _iterate(method, *args, **kwargs):
    iterator = method(*args, **kwargs)
    end = object()
    try:
        while (item := await in_thread(next, iterator, end)) is not end:
            yield item
    finally:
        iterator.close()

"""The checkpointers, which run the steps."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from statehouse import AsyncStatehouse, Statehouse
from statehouse.langgraph._asking import Answering, Awaiting, Blocking, aiterate, arun, iterate, run
from statehouse.langgraph._owning import Memory
from statehouse.langgraph._upkeep import Upkeep
from statehouse.langgraph._writing import Writing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import (
        ChannelVersions,
        Checkpoint,
        CheckpointMetadata,
        CheckpointTuple,
        DeltaChannelHistory,
    )
    from langgraph.checkpoint.serde.base import SerializerProtocol

    from statehouse import AsyncLease, Lease

#: What the names of threads' agents begin with.
THREADS = "thread/"
#: Digits of a channel's version.
_DIGITS = 10


class BaseStatehouseSaver(Writing, Upkeep, BaseCheckpointSaver[str]):
    """What both savers have in common: all methods of the framework, blocking and awaited."""

    _answering: Answering

    def __init__(self, answering: Answering, serde: SerializerProtocol | None, prefix: str) -> None:
        super().__init__(serde=serde)
        self._answering = answering
        self._memory = Memory()
        self._prefix = prefix

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Reads the checkpoint that ``config`` names, or the latest of its thread; None when there
        is none.
        """
        return run(self._get_tuple(config), self._answering.answer)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As :meth:`get_tuple`."""
        return await arun(self._get_tuple(config), self._answering)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Iterates over the checkpoints of a thread, the latest first. With ``checkpoint_ns`` in
        ``config`` each page costs the same, wherever it begins; without, and without a thread, all
        are read first.
        """
        return iterate(self._list(config, filter, before, limit), self._answering.answer)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """As :meth:`list`."""
        async for item in aiterate(self._list(config, filter, before, limit), self._answering):
            yield item

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Puts a checkpoint, and the values of the channels that ``new_versions`` names, in one
        commit, which is durable when this returns.

        Raises :class:`ThreadConflict` when another worker has gone on with the thread since this
        run read it.
        """
        steps = self._put(config, checkpoint, metadata, new_versions)
        return run(steps, self._answering.answer)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """As :meth:`put`."""
        steps = self._put(config, checkpoint, metadata, new_versions)
        return await arun(steps, self._answering)

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Puts what a task has written, which counts once however often it is put."""
        run(self._put_writes(config, writes, task_id, task_path), self._answering.answer)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """As :meth:`put_writes`."""
        await arun(self._put_writes(config, writes, task_id, task_path), self._answering)

    def delete_thread(self, thread_id: str) -> None:
        """Deletes a thread. Its past stays in the log until retention or an erasure takes it."""
        run(self._delete_thread(thread_id), self._answering.answer)

    async def adelete_thread(self, thread_id: str) -> None:
        """As :meth:`delete_thread`."""
        await arun(self._delete_thread(thread_id), self._answering)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Deletes the checkpoints of runs, in all threads. It looks at every checkpoint."""
        run(self._delete_for_runs(run_ids), self._answering.answer)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """As :meth:`delete_for_runs`."""
        await arun(self._delete_for_runs(run_ids), self._answering)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Begins a thread with all that another one has, at once and atomically, however much that
        is: a fork of its agent. The new id must never have been used.
        """
        run(self._copy_thread(source_thread_id, target_thread_id), self._answering.answer)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """As :meth:`copy_thread`."""
        await arun(self._copy_thread(source_thread_id, target_thread_id), self._answering)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Deletes all checkpoints of threads but the latest of each namespace, and those that its
        delta channels are put together from; with ``"delete"`` all of them.
        """
        run(self._prune(thread_ids, strategy), self._answering.answer)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """As :meth:`prune`."""
        await arun(self._prune(thread_ids, strategy), self._answering)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Reads what delta channels are put together from, many checkpoints a request."""
        return run(self._delta_history(config, channels), self._answering.answer)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """As :meth:`get_delta_channel_history`."""
        return await arun(self._delta_history(config, channels), self._answering)

    def get_next_version(self, current: str | None, channel: None) -> str:
        """The version after ``current``: a number, and digits that two branches do not share."""
        before = "0" if current is None else str(current).partition(".")[0]
        digits = max(_DIGITS, len(before))
        return f"{int(before) + 1:0{digits}}.{secrets.token_hex(4)}"


class StatehouseSaver(BaseStatehouseSaver):
    """A checkpointer of LangGraph on a client that blocks.

    >>> from langgraph.checkpoint.base import empty_checkpoint
    >>> saver = StatehouseSaver(client)  # builder.compile(checkpointer=saver)
    >>> config = {"configurable": {"thread_id": "42", "checkpoint_ns": ""}}
    >>> at = saver.put(config, empty_checkpoint(), {"source": "input", "step": -1}, {})
    >>> saver.get_tuple(config).config == at
    True

    Its awaited methods call the client in threads; :class:`AsyncStatehouseSaver` does not need any.

    ``client``
        Its namespace is that of the threads.
    ``serde``
        Writes and reads the values; None: the framework's own.
    ``prefix``
        What the names of the threads' agents begin with.
    """

    def __init__(
        self,
        client: Statehouse,
        *,
        serde: SerializerProtocol | None = None,
        prefix: str = THREADS,
    ) -> None:
        super().__init__(Blocking(client), serde, prefix)
        self.client = client

    @classmethod
    @contextmanager
    def from_url(cls, url: str | None = None, **options: Any) -> Iterator[StatehouseSaver]:
        """Makes a saver with a client of its own, which ``options`` are of, and closes that."""
        with Statehouse(url, **options) as client:
            yield cls(client)

    def hold(self, thread_id: str, *, ttl: float = 30.0, wait: float | None = 0.0) -> Lease:
        """Lets one worker at a time begin with a thread: a lease on it, as a context manager.

        Raises :class:`LeaseHeld` when another worker holds it, after ``wait`` seconds. Without it
        two workers may both run a step, of which one result is refused.
        """
        return self.client.lease(self._named(thread_id, "").agent, "run", ttl=ttl, wait=wait)


class AsyncStatehouseSaver(BaseStatehouseSaver):
    """A checkpointer of LangGraph on a client that is awaited.

    ::

        async with AsyncStatehouse() as client:
            graph = builder.compile(checkpointer=AsyncStatehouseSaver(client))
            await graph.ainvoke({"messages": []}, {"configurable": {"thread_id": "42"}})

    Its blocking methods may be called from other threads than that of the client's event loop.

    ``client``, ``serde``, ``prefix``
        As of :class:`StatehouseSaver`.
    """

    def __init__(
        self,
        client: AsyncStatehouse,
        *,
        serde: SerializerProtocol | None = None,
        prefix: str = THREADS,
    ) -> None:
        super().__init__(Awaiting(client), serde, prefix)
        self.client = client

    @classmethod
    @asynccontextmanager
    async def from_url(
        cls, url: str | None = None, **options: Any
    ) -> AsyncIterator[AsyncStatehouseSaver]:
        """Makes a saver with a client of its own, which ``options`` are of, and closes that."""
        async with AsyncStatehouse(url, **options) as client:
            yield cls(client)

    async def hold(
        self, thread_id: str, *, ttl: float = 30.0, wait: float | None = 0.0
    ) -> AsyncLease:
        """As :meth:`StatehouseSaver.hold`: ``async with await saver.hold("1"):``."""
        agent = self._named(thread_id, "").agent
        return await self.client.lease(agent, "run", ttl=ttl, wait=wait)

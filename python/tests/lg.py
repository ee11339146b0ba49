"""What the tests of the LangGraph adapters share."""

import uuid

from langgraph.checkpoint.base import create_checkpoint, empty_checkpoint

from statehouse import AsyncStatehouse, Statehouse


def config(thread="t1", checkpoint_id=None, ns=""):
    named = {"thread_id": thread, "checkpoint_ns": ns}
    return {"configurable": named | ({"checkpoint_id": checkpoint_id} if checkpoint_id else {})}


def checkpoint(values=None, versions=None, **fields):
    made = create_checkpoint(empty_checkpoint(), None, 0)
    made["channel_values"] = dict(values or {})
    made["channel_versions"] = versions or dict.fromkeys(values or {}, "1")
    return {**made, **fields}


def id_of(config):
    return config["configurable"]["checkpoint_id"]


class Counting:
    """The calls that the awaited methods of a saver or a store make of its client."""

    def __init__(self, adapter):
        self.calls = []
        awaited = adapter._answering.awaited

        async def counted(asked):
            self.calls.append(asked.method)
            return await awaited(asked)

        adapter._answering.awaited = counted


def either(kind, daemon, at_end, blocking, awaited):
    """A saver or a store of either client, in a namespace of its own."""
    options = {"url": daemon.url, "namespace": f"test-{uuid.uuid4()}"}
    if kind == "awaited":
        client = AsyncStatehouse(**options)
        at_end.append(client.close)
        return awaited(client)
    return blocking(Statehouse(**options))


def another(saver):
    """A saver of another process: it knows nothing."""
    return type(saver)(saver.client)


async def chain(saver, length, thread="t1", ns="", **metadata):
    """Puts checkpoints, each after the last."""
    at, configs = config(thread, ns=ns), []
    for step in range(length):
        made = checkpoint({"n": step, "same": "same"}, {"n": f"{step + 1}", "same": "1"})
        new = {"n": f"{step + 1}"} | ({"same": "1"} if step == 0 else {})
        said = {"source": "loop", "step": step, **metadata}
        at = await saver.aput(at, made, said, new)
        configs.append(at)
    return configs


async def listed(saver, *arguments, **options):
    return [found async for found in saver.alist(*arguments, **options)]


async def ids(saver, *arguments, **options):
    return [id_of(found.config) for found in await listed(saver, *arguments, **options)]

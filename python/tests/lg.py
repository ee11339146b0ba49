"""What the tests of the LangGraph adapters share."""

from langgraph.checkpoint.base import create_checkpoint, empty_checkpoint


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

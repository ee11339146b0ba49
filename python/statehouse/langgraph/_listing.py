"""Listing checkpoints, the latest first, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from statehouse.langgraph._asking import Feed, Found, Steps, ask, ask_all
from statehouse.langgraph._layout import Saved, Thread, is_checkpoint, saved, unquoted
from statehouse.langgraph._reading import Reading, place_of

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

#: How many checkpoints are asked for at once: at first, with a filter or where many are gone.
_PAGE, _MANY = 32, 1024


class Listing(Reading):
    """Steps that list."""

    def _list(
        self,
        config: RunnableConfig | None,
        where: dict[str, Any] | None,
        before: RunnableConfig | None,
        limit: int | None,
    ) -> Feed:
        wanted = _Wanted(config, where, before)
        left = float("inf") if limit is None else limit
        pages = self._pages(config, wanted, limit)
        answered: Any = None
        while left > 0:
            try:
                effect = pages.send(answered)
            except StopIteration:
                return
            answered = None
            if not isinstance(effect, Found):
                answered = yield effect
                continue
            thread, page = effect.item
            page = page[: int(min(left, len(page)))]
            left -= len(page)
            for loaded in (yield from self._load(thread, page)):
                yield Found(loaded)

    def _pages(self, config: RunnableConfig | None, wanted: _Wanted, limit: int | None) -> Feed:
        """Hands out pages of what is wanted, each with its thread."""
        configurable = config["configurable"] if config else {}
        if "checkpoint_ns" in configurable and "thread_id" in configurable:
            thread = self._named(configurable["thread_id"], configurable["checkpoint_ns"] or "")
            yield from self._downwards(thread, wanted, limit)
            return
        found: list[tuple[str, Thread, Saved]] = []
        for thread in (yield from self._threads(configurable)):
            records = yield from ask_all("scan_prefix", thread.agent, thread.checkpoints)
            ones = map(saved, filter(is_checkpoint, records))
            found += [(one.id, thread, one) for one in ones if wanted.holds(one)]
        found.sort(key=lambda entry: entry[0], reverse=True)
        for _, thread, one in found:
            yield Found((thread, [one]))

    def _threads(self, configurable: dict[str, Any]) -> Steps[list[Thread]]:
        """All namespaces of a thread, or of all threads."""
        if "thread_id" in configurable:
            ids = [str(configurable["thread_id"])]
        else:
            agents = yield from ask("list_agents", self._prefix)
            ids = [agent.agent_id[len(self._prefix) :] for agent in agents]
        threads = []
        for thread_id in ids:
            threads += yield from self._namespaces(thread_id)
        return threads

    def _namespaces(self, thread_id: str) -> Steps[list[Thread]]:
        """The namespaces of a thread that have checkpoints."""
        agent = self._named(thread_id, "").agent
        folders = yield from ask_all("scan_keys", agent, "c/", delimiter="/")
        return [self._named(thread_id, unquoted(folder.split("/")[1])) for folder in folders]

    def _downwards(self, thread: Thread, wanted: _Wanted, limit: int | None) -> Feed:
        """Hands out pages by descending number, of which each is one request."""
        latest = yield from self._latest(thread)
        self._memory.has_read(thread, place_of(latest))
        if latest is None:
            return
        number = latest.number
        if wanted.only:
            known = yield from self._number(thread, wanted.only)
            number, limit = (0 if known is None else known), 1
        elif wanted.before:
            known = yield from self._number(thread, wanted.before)
            # Of one that is not of this namespace the ids are compared.
            if known is not None:
                number, wanted.before = known - 1, ""
        size = min(_PAGE, limit) if limit and not wanted.where else _PAGE
        while number > 0:
            numbers = range(number, max(0, number - size), -1)
            records = yield from self._records(thread, map(thread.checkpoint, numbers))
            found = map(saved, filter(is_checkpoint, records.values()))  # in the order of numbers
            page = [one for one in found if wanted.holds(one)]
            if page:
                yield Found((thread, page))
            if wanted.only:
                return
            number -= size
            size = min(size * 2, _MANY) if not page else _PAGE


class _Wanted:
    """What a list is to have."""

    def __init__(
        self,
        config: RunnableConfig | None,
        where: dict[str, Any] | None,
        before: RunnableConfig | None,
    ) -> None:
        self.where = where or {}
        self.only = str(config["configurable"].get("checkpoint_id") or "") if config else ""
        self.before = str(before["configurable"].get("checkpoint_id") or "") if before else ""

    def holds(self, one: Saved) -> bool:
        """Whether a checkpoint is to be in the list."""
        if self.only and one.id != self.only:
            return False
        if self.before and one.id >= self.before:
            return False
        return all(one.metadata.get(key) == value for key, value in self.where.items())

"""The LangGraph stores: what PostgreSQL's store does, but for vectors."""

import asyncio
import time
from datetime import datetime, timedelta, timezone

import pytest
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)

from statehouse import InvalidArgument
from statehouse.langgraph import AsyncStatehouseStore, StatehouseStore

from lg import Counting, either


@pytest.fixture(params=["blocking", "awaited"])
def store(request, statehouse_daemon, at_end):
    """A store of either client, whose awaited methods the tests use."""
    return either(request.param, statehouse_daemon, at_end, StatehouseStore, AsyncStatehouseStore)


@pytest.fixture
def plain(store, statehouse_daemon):
    """A client that looks at what a store has written."""
    return statehouse_daemon.client(namespace=store.client.namespace)


async def keys(store, *arguments, **options):
    return [item.key for item in await store.asearch(*arguments, **options)]


async def fill(store, *items):
    for namespace, key, value in items:
        await store.aput(namespace, key, value)


class TestItems:
    async def test_put_get_delete(self, store):
        space = ("test", "documents")
        await store.aput(space, "doc1", {"title": "a", "n": [1, {"deep": None}]})
        item = await store.aget(space, "doc1")
        assert item.namespace == space
        assert item.key == "doc1"
        assert item.value == {"title": "a", "n": [1, {"deep": None}]}
        assert item.created_at == item.updated_at
        assert abs(datetime.now(timezone.utc) - item.created_at) < timedelta(minutes=1)
        await store.aput(space, "doc1", {"title": "b"})
        await store.aput(space, "doc1", {"title": "c"})
        after = await store.aget(space, "doc1")
        assert after.value == {"title": "c"}, "replaced, not merged"
        assert after.created_at == item.created_at
        assert after.updated_at > item.updated_at
        assert await store.aget(("test", "other"), "doc1") is None
        await store.adelete(space, "doc1")
        await store.adelete(space, "doc1")
        assert await store.aget(space, "doc1") is None
        await store.aput(space, "doc1", {"title": "d"})
        again = await store.aget(space, "doc1")
        assert again.created_at == again.updated_at > after.updated_at

    async def test_names_of_all_kinds(self, store):
        names = ["a/b", "a:b", "100%", "%2F", "é", "line\n", "*", "with space"]
        for name in names:
            await store.aput((name, name), name, {"name": name})
            item = await store.aget((name, name), name)
            assert (item.namespace, item.key, item.value) == ((name, name), name, {"name": name})
            assert await keys(store, (name,)) == [name]
        assert await store.alist_namespaces() == sorted((name, name) for name in names)

    async def test_what_is_not_json_is_refused(self, store):
        with pytest.raises(InvalidArgument, match="datetime"):
            await store.aput(("a",), "k", {"at": datetime.now(timezone.utc)})
        assert await store.aget(("a",), "k") is None

    @pytest.mark.parametrize("namespace", [("",), ("a.b",), (1,), ("a", "\0")])
    async def test_labels_that_are_refused(self, store, namespace):
        for op in (
            GetOp(namespace, "k"),
            PutOp(namespace, "k", {}),
            SearchOp(namespace),
            ListNamespacesOp((MatchCondition("prefix", namespace),)),
        ):
            with pytest.raises(InvalidNamespaceError):
                await store.abatch([op])
        with pytest.raises(InvalidNamespaceError):
            await store.aput(namespace, "k", {})

    async def test_all_who_put_at_once_succeed(self, store):
        await asyncio.gather(*(store.aput(("a",), "k", {"n": n}) for n in range(8)))
        item = await store.aget(("a",), "k")
        assert item.created_at < item.updated_at


class TestBatches:
    async def test_order_of_results(self, store):
        await fill(
            store, (("test", "foo"), "k1", {"d": "v1"}), (("test", "bar"), "k2", {"d": "v2"})
        )
        results = await store.abatch(
            [
                GetOp(("test", "foo"), "k1"),
                PutOp(("test", "bar"), "k2", {"d": "new"}),
                SearchOp(("test",), filter={"d": "v2"}),
                ListNamespacesOp(),
                GetOp(("test",), "k3"),
                GetOp(("test", "bar"), "k2"),
            ]
        )
        assert results[0].value == {"d": "v1"}
        assert results[1] is None
        assert [item.key for item in results[2]] == ["k2"], "reads are before writes"
        assert results[3] == [("test", "bar"), ("test", "foo")]
        assert results[4] is None
        assert results[5].value == {"d": "v2"}
        assert (await store.aget(("test", "bar"), "k2")).value == {"d": "new"}

    async def test_a_batch_is_one_commit(self, store, plain):
        await store.aput(("a",), "gone", {})
        counted = Counting(store)
        puts = [PutOp(("a",), f"k{n}", {"n": n}) for n in range(50)]
        last = PutOp(("a",), "k0", {"n": "last"})
        await store.abatch([*puts, PutOp(("a",), "gone", None), last])
        assert counted.calls == ["get_many", "transact"]
        assert len(list(plain.replay("store"))) == 2
        assert (await store.aget(("a",), "k0")).value == {"n": "last"}
        assert await store.aget(("a",), "gone") is None
        del counted.calls[:]
        found = await store.abatch([GetOp(("a",), f"k{n}") for n in range(50)])
        assert [item.value["n"] for item in found] == ["last", *range(1, 50)]
        assert counted.calls == ["get_many"]

    async def test_what_is_no_operation(self, store):
        with pytest.raises(TypeError, match="no operation"):
            await store.abatch(["get"])

    async def test_nothing(self, store):
        assert await store.abatch([]) == []


class TestSearch:
    async def test_under_a_namespace(self, store):
        await fill(
            store,
            (("foo",), "1", {}),
            (("foo", "bar"), "2", {}),
            (("foobar",), "3", {}),
            (("foo_bar",), "4", {}),
            (("fo",), "5", {}),
        )
        assert await keys(store, ("foo",)) == ["2", "1"]
        assert await keys(store, ("foo", "bar")) == ["2"]
        assert await keys(store, ("foo_bar",)) == ["4"]
        assert await keys(store, ()) == ["5", "4", "3", "2", "1"], "what was changed last first"
        await store.aput(("foo",), "1", {"changed": True})
        assert await keys(store, (), limit=2) == ["1", "5"]
        assert await keys(store, (), limit=2, offset=3) == ["3", "2"]
        assert await keys(store, (), limit=2, offset=9) == []
        [item] = await store.asearch((), limit=1)
        assert item.score is None
        assert item.created_at < item.updated_at

    async def test_filters(self, store):
        await fill(
            store,
            (("a",), "1", {"color": "red", "score": 4.5, "tags": ["x"], "size": {"w": 1, "h": 2}}),
            (("a",), "2", {"color": "blue", "score": 10, "tags": ["x", "y"], "size": {"w": 2}}),
            (("a",), "3", {"color": None, "score": "9", "a/b~c": True}),
        )

        async def found(**where):
            return sorted(await keys(store, ("a",), filter=where))

        assert await found(color="red") == ["1"]
        assert await found(color=None) == ["3"]
        assert await found(color={"$eq": "blue"}) == ["2"]
        assert await found(color={"$ne": "blue"}) == ["1", "3"]
        assert await found(none={"$ne": "blue"}) == []
        assert await found(score={"$gt": 4.5}) == ["2"], "numbers are compared as numbers"
        assert await found(score={"$gte": 4.5}) == ["1", "2"]
        assert await found(score={"$lt": 10}) == ["1"]
        assert await found(score={"$lte": 10, "$gt": 5}) == ["2"]
        assert await found(score={"$gt": "1"}) == ["3"], "and text as text"
        assert await found(tags=["x"]) == ["1"]
        assert await found(size={"w": 2}) == ["2"]
        assert await found(size={"w": {"$gte": 1}, "h": 2}) == ["1"]
        assert await found(color="red", score=4.5) == ["1"]
        assert await found(color="red", score=10) == []
        assert await found(**{"a/b~c": True}) == ["3"]
        with pytest.raises(ValueError, match=r"\$near"):
            await found(score={"$near": 1})

    async def test_there_are_no_vectors(self, store):
        await store.aput(("a",), "k", {"text": "x"}, index=["text"])
        await store.aput(("a",), "k", {"text": "x"}, index=False)
        with pytest.raises(NotImplementedError, match="no vector search"):
            await store.asearch(("a",), query="x")


class TestNamespaces:
    async def test_list(self, store):
        spaces = [
            ("prod", "documents", "private"),
            ("prod", "documents", "public"),
            ("test", "documents", "private"),
            ("test", "documents", "public"),
            ("test", "images", "public"),
            ("testing", "images"),
        ]
        await fill(store, *((space, f"{n}", {}) for space in spaces for n in range(3)))
        listed = store.alist_namespaces
        assert await listed() == spaces
        assert await listed(prefix=["test"]) == spaces[2:5]
        assert await listed(suffix=("public",)) == [spaces[1], spaces[3], spaces[4]]
        assert await listed(prefix=("test",), suffix=("images", "public")) == [spaces[4]]
        assert await listed(prefix=("*", "documents")) == spaces[:4]
        assert await listed(prefix=("test", "*", "public")) == spaces[3:5]
        assert await listed(suffix=("documents", "*")) == spaces[:4]
        assert await listed(prefix=("tes",)) == []
        assert await listed(prefix=("testing", "images", "none")) == []
        assert await listed(max_depth=1) == [("prod",), ("test",), ("testing",)]
        assert await listed(max_depth=2, limit=2, offset=1) == [
            ("test", "documents"),
            ("test", "images"),
        ]
        assert await listed(limit=2) == spaces[:2]
        await fill(store, (("testing", "images"), "9", {}))
        for n in (*range(3), 9):
            await store.adelete(("testing", "images"), f"{n}")
        assert await listed(prefix=("testing",)) == []
        with pytest.raises(ValueError, match="middle"):
            await store.abatch([ListNamespacesOp((MatchCondition("middle", ("a",)),))])

    async def test_the_items_are_not_looked_at(self, store):
        counted = Counting(store)
        await store.alist_namespaces(prefix=("a", "*"))
        assert counted.calls == ["scan_keys"]


class TestTimeToLive:
    async def test_items_expire(self, store, plain):
        await store.aput(("a",), "short", {}, ttl=1 / 60)
        await store.aput(("a",), "long", {}, ttl=10)
        await store.aput(("a",), "for ever", {})
        item = plain.get_state("store", "a/:long")
        assert timedelta(minutes=9) < item.expires_at - item.timestamp <= timedelta(minutes=10)
        until = time.monotonic() + 20
        for event in plain.watch("store", after=item.commit_ts):
            if event.cause == "expired" or time.monotonic() > until:
                break
        assert await store.aget(("a",), "short") is None
        assert sorted(await keys(store, ("a",))) == ["for ever", "long"]

    async def test_reads_refresh(self, store, plain):
        store.ttl_config = {"default_ttl": 10, "refresh_on_read": True}
        await store.aput(("a",), "k", {})

        counted = Counting(store)

        async def moved(reading):
            del counted.calls[:]
            await reading
            return "refresh" in counted.calls

        assert await moved(store.aget(("a",), "k"))
        assert not await moved(store.aget(("a",), "k", refresh_ttl=False))
        assert await moved(store.asearch(("a",)))
        assert not await moved(store.asearch(("a",), refresh_ttl=False))
        store.ttl_config["refresh_on_read"] = False
        assert not await moved(store.aget(("a",), "k"))
        assert await moved(store.aget(("a",), "k", refresh_ttl=True))
        await store.aput(("a",), "stays", {}, ttl=None)
        assert not await moved(store.aget(("a",), "stays", refresh_ttl=True))
        await store.aput(("a",), "k", {}, ttl=None)
        assert plain.get_state("store", "a/:k").expires_at is None, "a put decides anew"

    async def test_what_has_expired_but_is_not_deleted_yet(self, store, monkeypatch):
        await fill(store, (("a",), "1", {}), (("a",), "2", {}))
        for n in range(5):
            await store.aput(("a",), f"old {n}", {}, ttl=5)

        class Later(datetime):
            @classmethod
            def now(cls, zone=None):
                return datetime.now(zone) + timedelta(minutes=6)

        monkeypatch.setattr("statehouse.langgraph._items.datetime", Later)
        assert len(await keys(store, ("a",))) == 7
        store.ttl_config = {"omit_expired": True}
        counted = Counting(store)
        assert await keys(store, ("a",), limit=2) == ["2", "1"]
        assert await keys(store, ("a",), limit=1, offset=1) == ["1"]
        assert await store.aget(("a",), "old 1") is None
        assert await store.aget(("a",), "1") is not None
        assert "refresh" not in counted.calls, "what has expired stays so"


class TestBlocking:
    def test_all_methods(self, statehouse_client):
        store = StatehouseStore(statehouse_client, ttl={"default_ttl": 5})
        store.put(("a", "b"), "k", {"n": 1})
        assert store.get(("a", "b"), "k").value == {"n": 1}
        assert [item.key for item in store.search(("a",), filter={"n": 1})] == ["k"]
        assert store.list_namespaces() == [("a", "b")]
        assert statehouse_client.get_state("store", "a/b/:k").expires_at is not None
        store.delete(("a", "b"), "k")
        assert store.search(()) == []

    def test_from_url(self, statehouse_daemon):
        with StatehouseStore.from_url(statehouse_daemon.url, namespace="from-url") as store:
            store.put(("a",), "k", {})

        async def main():
            async with AsyncStatehouseStore.from_url(
                statehouse_daemon.url, namespace="from-url"
            ) as other:
                return await other.aget(("a",), "k")

        assert asyncio.run(main()) is not None

"""What type checkers make of the two clients. Checked by mypy in ci.sh, never run."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Optional

from typing_extensions import assert_type

from statehouse import (
    AgentDetails,
    AsyncClaim,
    AsyncLease,
    AsyncStatehouse,
    AsyncTxn,
    Claim,
    Commit,
    Condition,
    Event,
    F,
    Increment,
    KeyDiff,
    Lease,
    Pending,
    Record,
    Statehouse,
    Txn,
    Write,
)


def blocking(client: Statehouse) -> None:
    assert_type(client.get_state("a1", "k"), Optional[Record])
    assert_type(client.get_many("a1", ["k"]), list[Optional[Record]])
    assert_type(client.list_keys(agent_id="a1"), list[str])
    assert_type(client.scan_prefix("a1"), Iterator[Record])
    assert_type(client.watch("a1", after=0), Iterator[Event])
    assert_type(client.transact([Write("a1", "k", {})]), Commit)
    assert_type(client.with_options(timeout=None), Statehouse)
    with client.begin_transaction() as tx:
        assert_type(tx, Txn)
        assert_type(tx.get_state("a1", "k"), Optional[Record])
    assert_type(client.run_transaction(lambda tx: tx.txn_id), str)
    with client.lease("a1", "worker", ttl=timedelta(seconds=30)) as lease:
        assert_type(lease, Lease)
        assert_type(lease.lost, threading.Event)
        client.write("a1", "k", b"bytes", content_type="image/png", leases=[lease])
        client.write("a1", "k", {}, leases=[lease.condition()])
        with client.begin_transaction(leases=[lease]) as tx:
            assert_type(tx.increment("a1", "k", "/n", Decimal("0.1")), Pending)
    assert_type(client.increment("a1", "k", "/n").value, Any)
    assert_type(client.put_if_absent("a1", "k", {}), tuple[Record, bool])
    assert_type(client.transact([Increment("a1", "k", "/n", 0.5)]), Commit)
    assert_type(F("/status") == "open", Condition)
    assert_type(~F.meta("actor").in_(["a"]), Condition)
    assert_type(client.find(where=F("/n") > 1), Iterator[Record])
    assert_type(client.find("a1", [F("/n") > 1, F("/n").exists()]), Iterator[Record])
    assert_type(client.diff("a1", "a2"), Iterator[KeyDiff])
    assert_type(client.get_agent("a1"), Optional[AgentDetails])
    assert_type(client.refresh("a1", "k"), list[Optional[datetime]])
    assert_type(client.claim("a1", limit=2), list[Claim])
    session = client.agent("session-7")
    assert_type(session.append("message/", {"text": "Hi"}, ttl=60), Record)
    assert_type(session.get_state("k", as_of=7), Optional[Record])
    assert_type(session.replay(limit=3), Iterator[Event])
    with session.lease("worker", wait=1) as lease:
        assert_type(lease, Lease)
    session.append("message/")  # type: ignore[call-arg]
    session.append("message/", {}, ttl="60")  # type: ignore[arg-type]
    client.find(where=F("/a") < {})  # type: ignore[operator]
    client.get_state("a1")  # type: ignore[call-arg]
    client.write("a1", "k", {}, expected="1")  # type: ignore[call-arg]
    client.write("a1", "k", {}, expected_version="1")  # type: ignore[arg-type]
    assert_type(Statehouse.get_state(client, "a1", "k"), Optional[Record])


class Counting(Statehouse):
    """A method is overridden as any other is."""

    def list_namespaces(self) -> list[str]:
        return super().list_namespaces()[:1]

    def health(self) -> int:  # type: ignore[override]
        return 1


async def awaited(client: AsyncStatehouse) -> None:
    assert_type(await client.get_state("a1", "k"), Optional[Record])
    assert_type(await client.list_keys(agent_id="a1"), list[str])
    assert_type(client.scan_prefix("a1"), AsyncIterator[Record])
    assert_type(client.watch("a1", after=0), AsyncIterator[Event])
    assert_type(await client.transact([Write("a1", "k", {})]), Commit)
    async with client.begin_transaction() as tx:
        assert_type(tx, AsyncTxn)
        assert_type(await tx.get_state("a1", "k"), Optional[Record])
    assert_type(await client.begin_transaction(), AsyncTxn)

    async def work(tx: AsyncTxn) -> int:
        await tx.write("a1", "k", {})
        return 1

    assert_type(await client.run_transaction(work), int)
    async with client.lease("a1", "worker", wait=None) as lease:
        assert_type(lease, AsyncLease)
        assert_type(lease.lost, asyncio.Event)
        await client.write("a1", "k", {}, leases=[lease])
    assert_type(await client.lease("a1", "worker"), AsyncLease)
    assert_type(await client.append("a1", "m/", {}), Record)
    assert_type(client.diff("a1"), AsyncIterator[KeyDiff])
    assert_type(await client.claim(), list[AsyncClaim])
    assert_type(await client.agent("session-7").append("message/", {}), Record)
    await client.get_state(1, "k")  # type: ignore[arg-type]
    assert_type(await AsyncStatehouse.list_keys(client, "a1"), list[str])

"""What type checkers make of the two clients. Checked by mypy in ci.sh, never run."""

from collections.abc import AsyncIterator, Iterator
from typing import Optional

from typing_extensions import assert_type

from statehouse import (
    AsyncStatehouse,
    AsyncTxn,
    Commit,
    Event,
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
    await client.get_state(1, "k")  # type: ignore[arg-type]
    assert_type(await AsyncStatehouse.list_keys(client, "a1"), list[str])

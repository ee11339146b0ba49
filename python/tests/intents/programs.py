"""What clients do: programs that make a few calls each, drawn at random."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable

from statehouse import (
    DataLoss,
    Delete,
    HeadPrecondition,
    InternalError,
    KeyPrecondition,
    OutcomeUnknown,
    RecordName,
    StatehouseError,
    Unauthenticated,
    Unimplemented,
    Write,
)
from statehouse._calls import new_txn_id

if TYPE_CHECKING:
    from random import Random

    from intents.recorded import Client, Txn

AGENTS = ("ada", "bo", "çelik")
KEYS = ("k", "k:1", "k:2", "k:2:x", "ü")
SIDE = "side"


@dataclass
class Env:
    """What a program has to work with."""

    client: Client
    random: Random
    name: str
    cancels: bool  # calls can be cancelled
    seen: int = 0  # the last commit that it knows of
    count: int = 0
    versions: dict[tuple[str, str], int] = field(default_factory=dict)

    def agent(self) -> str:
        return self.random.choice(AGENTS)

    def key(self) -> str:
        return self.random.choice(KEYS)

    def value(self) -> dict[str, Any]:
        self.count += 1
        return {"by": self.name, "n": self.count, "big": 2**70 + self.count, "é": [None, 0.5]}

    def space(self) -> str | None:
        return self.random.choice((None, None, SIDE))

    def metadata(self) -> dict[str, str] | None:
        return self.random.choice((None, {"actor": self.name, "ü": "…"}))

    def expected(self, agent: str, key: str) -> int | None:
        return self.random.choice((None, self.versions.get((agent, key), 0)))

    def learn(self, commit: Any) -> None:
        self.seen = max(self.seen, commit.commit_ts)
        for v in commit.versions:
            if v.namespace != SIDE:
                self.versions[v.agent_id, v.key] = v.version


async def registers(env: Env) -> None:
    """Writes, deletes and reads of single records."""
    client, agent, key = env.client, env.agent(), env.key()
    looks = env.random.random() < 0.5
    if looks and (record := await client.get_state(agent, key)):
        env.versions[agent, key] = record.version
        env.seen = max(env.seen, record.read_ts)
    expected = env.expected(agent, key)
    if env.random.random() < 0.2:
        commit = await client.delete(agent, key, expected_version=expected)
    else:
        commit = await client.write(
            agent, key, env.value(), expected_version=expected, metadata=env.metadata()
        )
    env.learn(commit)
    await client.get_state(agent, key, as_of=env.random.choice((None, commit.timestamp)))
    version = env.random.randint(1, commit.version)
    await client.get_state_at_version(agent, key, version)
    names = [env.key(), RecordName(env.agent(), env.key(), SIDE), RecordName(env.agent(), "k")]
    as_of = env.random.choice((None, commit.commit_ts))
    await client.get_many(agent, names, namespace=env.space(), as_of=as_of)


async def batches(env: Env) -> None:
    """Many writes at once, with conditions, sometimes sent again under the same id."""
    client = env.client
    writes: list[Write | Delete] = []
    for key in env.random.sample(KEYS, env.random.randint(1, 4)):
        agent = env.agent()
        if env.random.random() < 0.2:
            writes.append(Delete(agent, key, namespace=env.space()))
        else:
            writes.append(Write(agent, key, env.value(), env.expected(agent, key)))
    conditions: list[Any] = []
    agent, key = env.agent(), env.key()
    if env.random.random() < 0.5:
        record = await client.get_state(agent, key)
        conditions.append(KeyPrecondition(agent, key, record.version if record else 0))
    if env.random.random() < 0.4:
        heads = {agent.agent_id: agent.head_ts for agent in await client.list_agents()}
        for of in env.random.sample(AGENTS, 2):
            past = env.random.random() < 0.2
            conditions.append(HeadPrecondition(of, max(0, heads.get(of, 0) - past)))
    txn_id = env.random.choice((None, new_txn_id()))
    given = {"preconditions": conditions, "metadata": env.metadata(), "txn_id": txn_id}
    try:
        env.learn(await client.transact(writes, **given))
    except OutcomeUnknown as unknown:
        await client.get_transaction(unknown.txn_id)
        await client.transact(writes, **{**given, "txn_id": unknown.txn_id})
    if txn_id is not None:
        await client.get_transaction(txn_id)


async def counters(env: Env) -> None:
    """Counts in transactions that are run until they commit."""
    agent, by = env.agent(), env.random.randint(1, 3)
    fails = env.random.random() < 0.1

    async def count(tx: Txn) -> int:
        record = await tx.get_state("count", agent)
        n = record.value["n"] + by if record else by
        await tx.write("count", agent, {"n": n})
        await tx.get_state("count", agent)
        if env.random.random() < 0.3:
            await tx.list_keys("count")
        if fails:
            raise KeyError(agent)
        return int(n)

    try:
        await env.client.run_transaction(count)
    except KeyError:
        return


async def transactions(env: Env) -> None:
    """Transactions by hand: left in all ways, with conditions that hold or do not."""
    held = env.random.random() < 0.3
    tx = await env.client.begin_transaction(timeout=env.random.choice((None, 20)), held=held)
    if env.random.random() < 0.5:
        async with tx:
            await _work(env, tx)
            if env.random.random() < 0.2:
                raise KeyError
        return
    await _work(env, tx)
    if env.random.random() < 0.3:
        await tx.abort()
    else:
        env.learn(await tx.commit())


async def _work(env: Env, tx: Txn) -> None:
    random = env.random
    tx.metadata.update(env.metadata() or {})
    for _ in range(random.randint(0, 3)):
        agent, key = env.agent(), env.key()
        looks = random.random()
        if looks < 0.4:
            await tx.get_many(agent, [key, env.key()])
        elif looks < 0.6:
            await tx.get_state(agent, key)
        if random.random() < 0.3:
            await tx.delete(agent, key)
        else:
            await tx.write(agent, key, env.value(), expected_version=env.expected(agent, key))
        if random.random() < 0.2:
            await tx.get_state(agent, key)
        if random.random() < 0.2:
            await tx.write(agent, key, env.value())  # in the place of the other
    if random.random() < 0.6:
        await _lists(env, tx)
    if random.random() < 0.3:
        agent, key = env.agent(), env.key()
        version = env.versions.get((agent, key), 0)
        tx.preconditions.append(KeyPrecondition(agent, key, version))


async def _lists(env: Env, tx: Txn) -> None:
    """Lists in a transaction, among them long ones that its own writes are in, cut or left."""
    random = env.random
    agent, prefix = random.choice(((env.agent(), "k"), ("lists", "page:"), ("lists", "page:1")))
    if agent == "lists" and random.random() < 0.5:
        await tx.delete(agent, f"page:{random.randint(0, 40):02}")
        await tx.write(agent, f"page:{random.randint(0, 40):02}", env.value())
    options = {"reverse": random.random() < 0.3, "limit": random.choice((None, None, 3, 7))}
    if random.random() < 0.3:
        await tx.list_keys(agent, prefix, **options)
    else:
        await _taken(env, tx.scan_prefix(agent, prefix, **options))
    if random.random() < 0.5:
        await tx.write("lists", f"page:{random.randint(0, 40):02}", env.value())


async def pages(env: Env) -> None:
    """Lists over many pages, whole, cut or left."""
    client, random = env.client, env.random
    keys = [f"page:{random.randint(0, 40):02}" for _ in range(5)]
    env.learn(await client.transact([Write("lists", key, env.value()) for key in set(keys)]))
    options: dict[str, Any] = {
        "reverse": random.random() < 0.3,
        "limit": random.choice((None, None, 3, 7)),
        "as_of": random.choice((None, None, env.seen)),
    }
    prefix = random.choice(("", "page:", "page:1"))
    await client.list_keys("lists", prefix, **options)
    await _taken(env, client.scan_keys("lists", prefix, **options))
    await _taken(env, client.scan_prefix("lists", prefix, **options))
    await _taken(env, client.history("count", env.agent(), oldest_first=random.random() < 0.5))
    await _taken(env, client.history(env.agent(), env.key(), values=False, limit=5))
    await client.list_agents(random.choice(("", "b")), limit=random.choice((None, 2)))
    await client.list_namespaces()


async def _taken(env: Env, items: Any) -> None:
    left = env.random.choice((0, 0, 0, 4))
    async with aclosing(items):
        async for _ in items:
            left -= 1
            if left == 0:
                return


async def streams(env: Env) -> None:
    """Watches that are resumed, and replays."""
    client, random = env.client, env.random
    agent = random.choice((None, None, *AGENTS))
    after = random.choice((None, env.seen, max(0, env.seen - 30)))
    events = client.watch(agent, random.choice(("", "", "k:")), after=after, timeout=1)
    left = random.randint(5, 60)
    async with aclosing(events):
        async for event in events:
            env.seen = max(env.seen, event.commit_ts)
            left -= 1
            if left == 0:
                break
    start = max(1, env.seen - 200)
    end = random.choice((None, max(start, env.seen)))
    limit = random.choice((None, 40))
    replay = client.replay(agent, from_timestamp=start, to_timestamp=end, limit=limit)
    await _taken(env, replay)


PROGRAMS: tuple[Callable[[Env], Any], ...] = (
    registers,
    batches,
    counters,
    transactions,
    pages,
    streams,
    streams,
)


async def work(env: Env, stopped: Callable[[], bool]) -> None:
    """Runs one program after the other. What they are refused is judged elsewhere."""
    while not stopped():
        program = env.random.choice(PROGRAMS)
        for _ in range(env.random.randint(1, 10)):
            if stopped():
                return
            try:
                if env.cancels and env.random.random() < 0.1:
                    await asyncio.wait_for(program(env), env.random.random() / 10)
                else:
                    await program(env)
            except (InternalError, DataLoss, Unauthenticated, Unimplemented):
                raise  # no daemon that is in order gives cause for it
            except (StatehouseError, KeyError, asyncio.TimeoutError):
                continue

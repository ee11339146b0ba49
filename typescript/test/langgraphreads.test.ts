/** The checkpointer of LangGraph: how it reads, and that it finds all writes whatever their numbers are. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunnableConfig } from "@langchain/core/runnables";
import { emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { op, type Statehouse } from "../src/index.js";
import { StatehouseSaver, ThreadConflict } from "../src/langgraph/index.js";
import { all, rig } from "./rig.js";

const it = rig();
const meta = { source: "loop", step: 0, parents: {} } as const;
const thread = (id = "1", more: object = {}) => ({ configurable: { thread_id: id, ...more } });

/** Puts a checkpoint with a channel that changes. */
async function step(saver: StatehouseSaver, at: RunnableConfig, n: number) {
  const checkpoint = {
    ...emptyCheckpoint(),
    id: uuid6(n),
    channel_values: { n },
    channel_versions: { n },
  };
  return saver.put(at, checkpoint, meta, { n });
}

async function write(saver: StatehouseSaver, at: RunnableConfig, count: number, name = "w") {
  for (let n = 0; n < count; n++) {
    await saver.putWrites(at, [["w", `${name}-${n}`]], `${name}-${n}`);
  }
}

/** What every way of reading a checkpoint finds written to it. */
async function seen(saver: StatehouseSaver, at: RunnableConfig): Promise<unknown[]> {
  const other = () => new StatehouseSaver(saver.client);
  const ways = [
    await saver.getTuple(thread()),
    await other().getTuple(thread()),
    await other().getTuple(at),
    (await all(other().list(thread("1", { checkpoint_ns: "" }))))[0],
  ].map((tuple) => tuple?.pendingWrites?.map(([, , value]) => value) ?? []);
  for (const way of ways) assert.deepEqual(way, ways[0]);
  return ways[0] as unknown[];
}

async function head(client: Statehouse): Promise<bigint> {
  return (await client.getAgent("thread/1"))?.headTs ?? 0n;
}

test("a process that does not know a thread, and one that does, read its latest checkpoint in one request", async () => {
  const { gateway, client } = await it.through();
  const saver = new StatehouseSaver(client);
  const calls = async (reader: StatehouseSaver) => {
    const before = gateway.seen.length;
    const tuple = await reader.getTuple(thread());
    return { tuple, calls: gateway.seen.slice(before).map((path) => path.split("/").at(-1)) };
  };
  assert.deepEqual(await calls(new StatehouseSaver(client)), { tuple: undefined, calls: ["Find"] });
  let at: RunnableConfig = thread();
  for (let n = 1; n <= 6; n++) {
    const parent = n > 1 ? at : undefined;
    at = await step(saver, at, n);
    await write(saver, at, n % 3);
    const fresh = await calls(new StatehouseSaver(client));
    assert.deepEqual(fresh.calls, ["Find"]);
    assert.deepEqual(fresh.tuple?.config, at);
    assert.deepEqual(fresh.tuple?.parentConfig?.configurable, parent?.configurable);
    assert.deepEqual(fresh.tuple?.checkpoint.channel_values, { n });
    assert.equal(fresh.tuple?.pendingWrites?.length, n % 3);
    const known = await calls(saver);
    assert.deepEqual(known.calls, ["BatchGetState"]);
    assert.deepEqual(known.tuple, fresh.tuple);
  }
  // What the framework is given it may change.
  const tuple = (await saver.getTuple(thread())) ?? assert.fail("no checkpoint");
  tuple.checkpoint.channel_versions.n = 99;
  assert.equal((await saver.getTuple(thread()))?.checkpoint.channel_versions.n, 6);
});

test("who knows the latest checkpoint sees that there is a later one, and that it was put again", async () => {
  const client = it.client();
  const [saver, other] = [new StatehouseSaver(client), new StatehouseSaver(client)];
  const first = await step(saver, thread(), 1);
  await saver.getTuple(thread());
  await other.getTuple(thread());
  const second = await step(other, first, 2);
  assert.deepEqual((await saver.getTuple(thread()))?.config, second);
  // By its id it is read as it is, whatever has come since.
  assert.deepEqual((await other.getTuple(first))?.config, first);
  const again = { ...emptyCheckpoint(), id: String(second.configurable?.checkpoint_id) };
  await other.put(first, again, { ...meta, step: 7 }, {});
  assert.equal((await saver.getTuple(thread()))?.metadata?.step, 7);
});

test("what no recent step has changed is read besides, and who has read so may go on", async () => {
  const { gateway, client } = await it.through();
  const saver = new StatehouseSaver(client);
  const configs: RunnableConfig[] = [];
  let at: RunnableConfig = thread();
  for (let n = 1; n <= 5; n++) {
    const checkpoint = {
      ...emptyCheckpoint(),
      id: uuid6(n),
      channel_values: { n, same: "same" },
      channel_versions: { n, same: 1 },
    };
    at = await saver.put(at, checkpoint, meta, n === 1 ? { n, same: 1 } : { n });
    configs.push(at);
  }
  const other = new StatehouseSaver(client);
  const before = gateway.seen.length;
  const found = await other.getTuple(thread());
  assert.equal(gateway.seen.length - before, 2);
  assert.deepEqual(found?.checkpoint.channel_values, { n: 5, same: "same" });
  // A branch of the history, by a run that has read what is the latest.
  const run = { control: {} };
  await other.getTuple({ ...thread(), ...run } as RunnableConfig);
  const branch = await step(other, { ...configs[0], ...run } as RunnableConfig, 9);
  const read = await new StatehouseSaver(client).getTuple(thread());
  assert.deepEqual([read?.config, read?.parentConfig], [branch, configs[0]]);
  await assert.rejects(step(saver, at, 10), ThreadConflict);
});

test("a copied thread is listed by its keys, and read as it is", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  let at: RunnableConfig = thread();
  for (let n = 1; n <= 10; n++) at = await step(saver, at, n);
  await write(saver, at, 6);
  await saver.copyThread("1", "2");
  for (let n = 11; n <= 13; n++) {
    const found = await new StatehouseSaver(client).getTuple(thread("2"));
    assert.equal(found?.checkpoint.id, at.configurable?.checkpoint_id);
    assert.equal(found?.pendingWrites?.length, n === 11 ? 6 : 0);
    const next = thread("2", { checkpoint_id: at.configurable?.checkpoint_id });
    at = await step(new StatehouseSaver(client), next, n);
  }
});

test("writes to a checkpoint that was deleted and is put again are found", async () => {
  for (const before of [1, 3, 4, 5, 12]) {
    const saver = new StatehouseSaver(it.client());
    await write(saver, await step(saver, thread(), 1), before, "old");
    await saver.deleteThread("1");
    const id = uuid6(2);
    const made = { ...emptyCheckpoint(), id };
    for (let again = 0; again < 2; again++) {
      const at = await saver.put(thread(), made, meta, {});
      assert.deepEqual(await seen(saver, at), []);
      const expected: string[] = [];
      for (let n = 10; n < 16; n++) {
        await write(saver, at, 1, `new-${n}`);
        expected.push(`new-${n}-0`);
        assert.deepEqual(await seen(saver, at), expected);
      }
      await saver.deleteThread("1");
    }
  }
});

test("writes are found after an operator has set the thread back, whoever writes", async () => {
  for (const before of [1, 3, 4, 5, 12]) {
    for (const another of [false, true]) {
      const client = it.client();
      const saver = new StatehouseSaver(client);
      const at = await step(saver, thread(), 1);
      const put = await head(client);
      await write(saver, at, before, "old");
      await client.restore("thread/1", put);
      await write(another ? new StatehouseSaver(client) : saver, at, 1, "new");
      assert.deepEqual(await seen(saver, at), ["new-0"]);
    }
  }
});

test("writes that came after a deletion, and before the checkpoint was put again, are found", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  const first = await step(saver, thread(), 1);
  const made = { ...emptyCheckpoint(), id: uuid6(2) };
  const at = await saver.put(first, made, meta, {});
  await write(saver, at, 1, "old");
  await client.transact([
    op.delete("thread/1", "c//0000000002"),
    op.delete("thread/1", `i//${made.id}`),
    op.deletePrefix("thread/1", `w//${made.id}/`),
  ]);
  await write(saver, at, 1, "early");
  // What else is changed is more than a process that knows nothing asks for.
  const values = Object.fromEntries([..."abcdefgh"].map((name) => [name, 1]));
  const more = { ...emptyCheckpoint(), id: uuid6(3), channel_values: values };
  const second = await saver.put(first, { ...more, channel_versions: values }, meta, values);
  await saver.put(second, made, meta, {});
  assert.deepEqual(await seen(saver, at), ["early-0"]);
});

test("a put of writes is one commit, and leaves one record more when there are many", async () => {
  const { gateway, client } = await it.through();
  const saver = new StatehouseSaver(client);
  const at = await step(saver, thread(), 1);
  const before = gateway.seen.length;
  await write(saver, at, 12);
  assert.equal(gateway.seen.length - before, 12);
  assert.equal((await client.listKeys("thread/1", { prefix: "w/" })).length, 13);
});

test("writes that came before their checkpoint, and ones that no commit takes, are found", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  const id = uuid6(1);
  const at = thread("1", { checkpoint_id: id });
  await saver.putWrites(at, [["w", "early"]], "a");
  const put = await saver.put(thread(), { ...emptyCheckpoint(), id }, meta, {});
  assert.deepEqual(await seen(saver, put), ["early"]);
  const large = "x".repeat(5_000_000);
  await saver.putWrites(put, [["w", large]], "b");
  assert.deepEqual(await seen(saver, put), ["early", large]);
  await write(saver, put, 5, "c");
  assert.equal((await seen(saver, put)).length, 7);
});

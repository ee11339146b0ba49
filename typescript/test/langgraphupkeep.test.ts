/** The checkpointer of LangGraph: what is deleted of threads, and what stays. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import type { RunnableConfig } from "@langchain/core/runnables";
import { type Checkpoint, emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { ResourceExhausted, type Statehouse, UsageError } from "../src/index.js";
import { StatehouseSaver, ThreadConflict } from "../src/langgraph/index.js";
import { all, rig } from "./rig.js";

const it = rig();
const meta = { source: "loop", step: 0, parents: {} } as const;
const thread = (id = "1", ns = "") => ({ configurable: { thread_id: id, checkpoint_ns: ns } });
const again = (saver: StatehouseSaver) => new StatehouseSaver(saver.client);
const idOf = (config: RunnableConfig) => config.configurable?.checkpoint_id as string;
/** The keys of a thread that begin with a prefix. */
const keys = (client: Statehouse, prefix = "", id = "1") =>
  client.listKeys(`thread/${id}`, { prefix });

type Versions = { [channel: string]: number };

/** Puts a checkpoint; each has an id of its own, later than those before. */
let count = 0;
function put(
  saver: StatehouseSaver,
  at: RunnableConfig,
  values: { [channel: string]: unknown },
  { versions, said = {}, id }: { versions: Versions; said?: object; id?: string },
  written = versions,
) {
  const checkpoint: Checkpoint = {
    ...emptyCheckpoint(),
    id: id ?? uuid6(count++),
    channel_values: values,
    channel_versions: versions,
  };
  return saver.put(at, checkpoint, { ...meta, ...said }, written);
}

/** Puts checkpoints with a channel that changes and one that does not. */
async function chain(saver: StatehouseSaver, length: number, begin: RunnableConfig, run?: string) {
  const configs: RunnableConfig[] = [];
  let at = begin;
  for (let n = 1; n <= length; n++) {
    const versions = { n, same: 1 };
    const said = run === undefined ? {} : { run_id: run };
    const written: Versions = n === 1 ? versions : { n };
    at = await put(saver, at, { n, same: "same" }, { versions, said }, written);
    configs.push(at);
  }
  return configs;
}

/** The ids of a thread's checkpoints, the latest first, as one sees them that does not know the thread. */
async function ids(saver: StatehouseSaver, at = thread()): Promise<string[]> {
  return (await all(again(saver).list(at))).map(({ config }) => idOf(config));
}

test("what runs have put is deleted, and what others have stays", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  const configs: RunnableConfig[] = [];
  let at: RunnableConfig = thread();
  for (const [n, run_id] of [..."abac"].entries()) {
    const versions = { n, same: 1 };
    const written: Versions = n === 0 ? versions : { n };
    at = await put(saver, at, { n, same: "s" }, { versions, said: { run_id } }, written);
    await saver.putWrites(at, [["w", n]], `task-${n}`);
    configs.push(at);
  }
  const others = await chain(saver, 2, thread("2", "child|x/y"), "a");
  await client.write("other/1", "c//0000000001", { id: "x", metadata: { run_id: "a" } });
  await again(saver).deleteForRuns(["a"]);
  const found = await all(again(saver).list(thread()));
  assert.deepEqual(
    found.map(({ config, parentConfig, checkpoint, pendingWrites }) => [
      idOf(config),
      parentConfig,
      checkpoint.channel_values,
      pendingWrites?.[0]?.[2],
    ]),
    [
      [idOf(configs[3] as RunnableConfig), undefined, { n: 3, same: "s" }, 3],
      [idOf(configs[1] as RunnableConfig), undefined, { n: 1, same: "s" }, 1],
    ],
  );
  for (const gone of [configs[0], configs[2]]) {
    assert.equal(await saver.getTuple(gone as RunnableConfig), undefined);
  }
  assert.deepEqual(await keys(client, "v/"), ["v//n/1", "v//n/3", "v//same/1"]);
  assert.equal((await keys(client, "w/")).length, 2);
  assert.equal((await keys(client, "i/")).length, 2);
  assert.equal(await saver.getTuple(others[1] as RunnableConfig), undefined, "in any thread");
  assert.deepEqual(await keys(client, "", "2"), []);
  assert.equal((await client.listKeys("other/1")).length, 1, "which is no thread");
  await saver.deleteForRuns(["b", "c"]);
  assert.deepEqual(await keys(client), []);
  await saver.deleteForRuns([]);
});

test("all but the latest checkpoint of each namespace are pruned, and the thread goes on", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  const configs = await chain(saver, 6, thread());
  await chain(saver, 2, thread("1", "child:1"));
  await chain(saver, 3, thread("2"));
  for (const one of configs) await saver.putWrites(one, [["w", 1]], "task");
  await again(saver).prune(["1", "3"]);
  const [found, ...more] = await all(saver.list(thread()));
  assert.equal(more.length, 0);
  assert.deepEqual(found?.config, configs[5]);
  assert.equal(found?.parentConfig, undefined);
  assert.deepEqual(found?.checkpoint.channel_values, { n: 6, same: "same" });
  assert.deepEqual(await keys(client, "v//"), ["v//n/6", "v//same/1"]);
  assert.equal((await keys(client, "w/")).length, 1);
  assert.equal((await ids(saver, thread("1", "child:1"))).length, 1);
  assert.equal((await ids(saver, thread("2"))).length, 3, "which was not named");
  // Nothing is done twice.
  const head = (await client.getAgent("thread/1"))?.headTs;
  await saver.prune(["1"]);
  assert.equal((await client.getAgent("thread/1"))?.headTs, head);
  const after = await put(saver, found?.config as RunnableConfig, {}, { versions: {} });
  assert.deepEqual(await ids(saver), [idOf(after), idOf(configs[5] as RunnableConfig)]);
  await saver.prune(["1", "2"], "delete");
  assert.deepEqual([await keys(client), await keys(client, "", "2")], [[], []]);
});

test("who knows a thread as it was puts nothing between what is left of it", async () => {
  const saver = new StatehouseSaver(it.client());
  const late = again(saver);
  const runs: RunnableConfig[] = [];
  const configs: RunnableConfig[] = [];
  let at: RunnableConfig = thread();
  for (const [n, run_id] of ["gone", "kept", "gone", "gone", "kept"].entries()) {
    // Before each step a run reads the thread that puts only after all of them.
    const run = { ...thread(), control: {} } as RunnableConfig;
    runs.push({ ...run, configurable: { ...run.configurable, ...at.configurable } });
    await late.getTuple(run);
    at = await put(saver, at, { n }, { versions: { n }, said: { run_id } });
    configs.push(at);
  }
  await saver.deleteForRuns(["gone"]);
  const left = [configs[4], configs[1]].map((one) => idOf(one as RunnableConfig));
  assert.deepEqual(await ids(saver), left);
  for (const run of runs) {
    await assert.rejects(put(late, run, {}, { versions: {} }), ThreadConflict);
  }
  assert.deepEqual(await ids(saver), left);
});

test("a prune begins again when the thread goes on meanwhile, by a later checkpoint or by the same", async () => {
  for (const same of [false, true]) {
    const client = it.client();
    const saver = new StatehouseSaver(client);
    const configs = await chain(saver, 4, thread());
    const pruner = new StatehouseSaver(client.withOptions({}));
    let late: RunnableConfig | undefined;
    const { listKeys } = pruner.client;
    mock.method(pruner.client, "listKeys", async (...given: Parameters<typeof listKeys>) => {
      if (!late && given[1]?.prefix !== "c/") {
        const last = configs[3] as RunnableConfig;
        const made = { versions: { n: 9, same: 1 }, ...(same && { id: idOf(last) }) };
        const after = same ? (configs[2] as RunnableConfig) : last;
        late = await put(saver, after, { n: "late", same: "same" }, made, { n: 9 });
      }
      return listKeys.apply(pruner.client, given);
    });
    await pruner.prune(["1"]);
    assert.deepEqual(await ids(saver), [idOf(late as RunnableConfig)]);
    const found = await again(saver).getTuple(thread());
    assert.deepEqual(found?.checkpoint.channel_values, { n: "late", same: "same" });
  }
});

test("what does not fit into a commit is tried in less, down to one checkpoint", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  const configs = await chain(saver, 12, thread());
  const sizes: number[] = [];
  let most = 2;
  const { transact } = client;
  mock.method(client, "transact", async (...given: Parameters<typeof transact>) => {
    const operations = [...given[0]];
    sizes.push(operations.length);
    if (operations.length > most) throw new ResourceExhausted("too many operations");
    return transact.call(client, operations, given[1]);
  });
  await assert.rejects(saver.prune(["1"]), ResourceExhausted);
  assert.equal(sizes.at(-1), 3, "one checkpoint takes three");
  most = 12;
  await saver.prune(["1"]);
  assert.deepEqual(await ids(saver), [idOf(configs[11] as RunnableConfig)]);
});

test("what a delta channel is put together from is not pruned", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  const configs: RunnableConfig[] = [];
  let at: RunnableConfig = thread();
  for (let n = 0; n < 8; n++) {
    const said = { counters_since_delta_snapshot: { log: [n, n] } };
    at = await put(saver, at, n === 3 ? { log: ["snapshot"] } : {}, { versions: { log: n }, said });
    await saver.putWrites(at, [["log", n]], `task-${n}`);
    configs.push(at);
  }
  const asked = { config: at, channels: ["log"] };
  const before = await saver.getDeltaChannelHistory(asked);
  await saver.prune(["1"]);
  for (const one of [saver, again(saver)]) {
    const { log } = await one.getDeltaChannelHistory(asked);
    assert.deepEqual(log, before.log);
    assert.deepEqual(log?.seed, ["snapshot"]);
    assert.deepEqual(
      log?.writes.map(([, , value]) => value),
      [3, 4, 5, 6],
    );
  }
  assert.deepEqual(await ids(saver), configs.slice(3).reverse().map(idOf));
});

test("a value of several records goes whole, or stays whole", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  const large = "x".repeat(1_000_000);
  const first = await put(saver, thread(), { a: large, b: large }, { versions: { a: 1, b: 1 } });
  await put(saver, first, { a: large, b: "small" }, { versions: { a: 1, b: 2 } }, { b: 2 });
  await saver.prune(["1"]);
  assert.deepEqual(await keys(client, "v/"), ["v//a/1", "v//a/1~1", "v//b/2"]);
  const found = await again(saver).getTuple(thread());
  assert.deepEqual(found?.checkpoint.channel_values, { a: large, b: "small" });
});

test("its misuse is told", async () => {
  const saver = new StatehouseSaver(it.client());
  await assert.rejects(saver.prune("1" as never), UsageError);
  await assert.rejects(saver.prune(["1"], "everything" as never), /"keep_latest" nor "delete"/);
  await assert.rejects(saver.deleteForRuns([7 as never]), UsageError);
});

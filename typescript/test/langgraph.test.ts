/** The checkpointer of LangGraph, under real graphs and by itself. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunnableConfig } from "@langchain/core/runnables";
import { Annotation, Command, END, interrupt, START, StateGraph } from "@langchain/langgraph";
import { emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import * as sh from "../src/index.js";
import { StatehouseSaver, ThreadConflict } from "../src/langgraph/index.js";
import { all, rig, take } from "./rig.js";

const it = rig();
const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
  blob: Annotation<string>({ reducer: (_, b) => b, default: () => "" }),
});

/** A graph of steps, each of which runs what it is given. */
function graphOf(
  saver: StatehouseSaver,
  steps: { [name: string]: () => unknown | Promise<unknown> },
) {
  const names = Object.keys(steps);
  // biome-ignore lint/suspicious/noExplicitAny: the builder's type names each node
  const builder: any = new StateGraph(State);
  for (const name of names) {
    builder.addNode(name, async () => {
      const said = await steps[name]?.();
      return { log: [said === undefined ? name : String(said)] };
    });
  }
  builder.addEdge(START, names[0]);
  for (const [at, name] of names.entries()) builder.addEdge(name, names[at + 1] ?? END);
  return builder.compile({ checkpointer: saver });
}

const thread = (id: string, more: object = {}) => ({ configurable: { thread_id: id, ...more } });

test("a graph that failed goes on where it was, in another process, with no step run twice", async () => {
  const client = it.client();
  const ran: string[] = [];
  let broken = true;
  const steps = {
    a: () => void ran.push("a"),
    b: () => {
      ran.push("b");
      if (broken) throw new Error("killed");
    },
    c: () => void ran.push("c"),
  };
  await assert.rejects(
    graphOf(new StatehouseSaver(client), steps).invoke({ log: ["in"] }, thread("1")),
    /killed/,
  );
  broken = false;
  const other = graphOf(new StatehouseSaver(client), steps);
  const result = await other.invoke(null, thread("1"));
  assert.deepEqual(result.log, ["in", "a", "b", "c"]);
  assert.deepEqual(ran, ["a", "b", "b", "c"]);
});

test("an interrupt is resumed by another worker, and history and branches are there", async () => {
  const client = it.client();
  const steps = { ask: () => interrupt("how many?"), done: () => "done" };
  const first = graphOf(new StatehouseSaver(client), steps);
  await first.invoke({ log: ["in"] }, thread("1"));
  const second = graphOf(new StatehouseSaver(client), steps);
  const result = await second.invoke(new Command({ resume: "three" }), thread("1"));
  assert.deepEqual(result.log, ["in", "three", "done"]);
  const history = await all<{ values: { log: string[] }; config: RunnableConfig }>(
    second.getStateHistory(thread("1")),
  );
  assert.deepEqual(
    history.map((state) => state.values.log),
    [["in", "three", "done"], ["in", "three"], ["in"], []],
  );
  // A branch from the second of them: the history of the first stays.
  const asked = history[1]?.config as RunnableConfig;
  await second.updateState(asked, { log: ["another"] });
  assert.deepEqual((await second.getState(thread("1"))).values.log, ["in", "three", "another"]);
  assert.deepEqual((await second.getState(history[0]?.config)).values.log, ["in", "three", "done"]);
});

test("of two workers that resume one thread one goes on, and the other is refused with what is there", async () => {
  const client = it.client();
  const pause = { ask: () => interrupt("?"), done: () => "done" };
  for (let round = 0; round < 20; round++) {
    await graphOf(new StatehouseSaver(client), pause).invoke({ log: ["in"] }, thread(`${round}`));
    const resumed = await Promise.allSettled(
      // Two processes, and two runs of one saver.
      (round % 2
        ? [0, 1].map(() => new StatehouseSaver(client))
        : Array(2).fill(new StatehouseSaver(client))
      ).map((saver, worker) =>
        graphOf(saver, pause).invoke(new Command({ resume: `${worker}` }), thread(`${round}`)),
      ),
    );
    const failed = resumed.filter((one) => one.status === "rejected");
    assert.equal(failed.length, 1, `round ${round}`);
    const reason: unknown = failed[0]?.reason;
    assert.ok(
      reason instanceof ThreadConflict && reason instanceof sh.PreconditionFailed,
      String(reason),
    );
    assert.deepEqual([reason.threadId, reason.checkpointNs], [`${round}`, ""]);
    const state = await graphOf(new StatehouseSaver(client), pause).getState(thread(`${round}`));
    assert.equal(state.values.log.length, 3);
  }
});

test("a worker that is late is refused even when the other one has finished", async () => {
  const client = it.client();
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let entered = () => {};
  const inside = new Promise<void>((resolve) => {
    entered = resolve;
  });
  const slow = graphOf(new StatehouseSaver(client), {
    wait: async () => {
      entered();
      await held;
    },
  });
  const late = slow.invoke({ log: ["late"] }, thread("1"));
  await inside;
  // Its two checkpoints before the step are there.
  await take(client.watch("thread/1", { prefix: "c/", after: 0, forMs: 20_000 }), 2);
  await graphOf(new StatehouseSaver(client), { wait: () => "quick" }).invoke(
    { log: ["quick"] },
    thread("1"),
  );
  release();
  await assert.rejects(late, ThreadConflict);
});

test("a put is one commit, and writes the channels that have changed and no others", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  const big = "x".repeat(100_000);
  let config: RunnableConfig = thread("1", { checkpoint_ns: "" });
  for (let n = 1; n <= 3; n++) {
    const checkpoint = {
      ...emptyCheckpoint(),
      id: uuid6(n),
      channel_values: { big, n },
      channel_versions: { big: 1, n },
    };
    const before = (await client.status()).publishedTs;
    config = await saver.put(
      config,
      checkpoint,
      { source: "loop", step: n, parents: {} },
      n === 1 ? { big: 1, n } : { n },
    );
    assert.equal((await client.status()).publishedTs, before + 1n);
    const [event] = await all(client.replay("thread/1", { from: before + 1n }));
    const keys = event?.operations.map((operation) => operation.key).sort();
    assert.deepEqual(keys, [
      `c//${String(n).padStart(10, "0")}`,
      `i//${checkpoint.id}`,
      ...(n === 1 ? ["v//big/1"] : []),
      `v//n/${n}`,
    ]);
    assert.equal(event?.metadata.step, String(n));
  }
  const tuple = await saver.getTuple(config);
  assert.deepEqual(tuple?.checkpoint.channel_values, { big, n: 3 });
  assert.deepEqual(
    (await all(saver.list(thread("1", { checkpoint_ns: "" }), { limit: 2 }))).map(
      (t) => t.metadata?.step,
    ),
    [3, 2],
  );
});

test("values larger than a record or a commit are put in parts, and read whole", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  const values = Object.fromEntries(["a", "b", "c"].map((name) => [name, name.repeat(1_500_000)]));
  const versions = { a: 1, b: 1, c: 1 };
  const checkpoint = { ...emptyCheckpoint(), channel_values: values, channel_versions: versions };
  const config = await saver.put(
    thread("1"),
    checkpoint,
    { source: "loop", step: 0, parents: {} },
    versions,
  );
  await saver.putWrites(config, [["a", "w".repeat(1_000_000)]], "task");
  const tuple = await saver.getTuple(thread("1"));
  assert.deepEqual(tuple?.checkpoint.channel_values, values);
  assert.equal(String(tuple?.pendingWrites?.[0]?.[2]).length, 1_000_000);
});

test("writes count once, in the framework's order, and special ones the last time", async () => {
  const saver = new StatehouseSaver(it.client());
  const config = await saver.put(
    thread("1"),
    emptyCheckpoint(),
    { source: "loop", step: 0, parents: {} },
    {},
  );
  await saver.putWrites(
    config,
    [
      ["ch", "b1"],
      ["ch", "b2"],
    ],
    "task-b",
    "~1",
  );
  await saver.putWrites(config, [["ch", "a1"]], "task-a", "~2");
  await saver.putWrites(config, [["ch", "again"]], "task-a", "~2");
  await saver.putWrites(config, [["__error__", "first"]], "task-a", "~2");
  await saver.putWrites(config, [["__error__", "last"]], "task-a", "~2");
  for (let n = 0; n < 10; n++) await saver.putWrites(config, [["ch", n]], `z-${n}`, "~3");
  const writes = (await saver.getTuple(config))?.pendingWrites ?? [];
  assert.deepEqual(
    writes.slice(0, 4).map(([, , value]) => value),
    ["b1", "b2", "last", "a1"],
  );
  assert.equal(writes.length, 14);
});

test("a put that is repeated is the same put; a list pages, filters and begins before one", async () => {
  const saver = new StatehouseSaver(it.client());
  let config: RunnableConfig = thread("1", { checkpoint_ns: "" });
  const configs: RunnableConfig[] = [];
  for (let n = 0; n < 70; n++) {
    const checkpoint = { ...emptyCheckpoint(), id: uuid6(n) };
    const metadata = { source: n % 35 ? "loop" : "input", step: n, parents: {} } as const;
    const before = config;
    config = await saver.put(before, checkpoint, metadata, {});
    if (n === 5) await saver.put(before, checkpoint, metadata, {});
    configs.push(config);
  }
  const steps = async (options: object) =>
    (await all(saver.list(thread("1", { checkpoint_ns: "" }), options))).map(
      (t) => t.metadata?.step,
    );
  assert.deepEqual(
    await steps({}),
    Array.from({ length: 70 }, (_, n) => 69 - n),
  );
  assert.deepEqual(await steps({ limit: 3 }), [69, 68, 67]);
  assert.deepEqual(await steps({ filter: { source: "input" } }), [35, 0]);
  assert.deepEqual(await steps({ before: configs[2], limit: 5 }), [1, 0]);
});

test("what a delta channel is put together from is read many checkpoints a request", async () => {
  const { gateway, client } = await it.through();
  const saver = new StatehouseSaver(client);
  const meta = { source: "loop", step: 0, parents: {} } as const;
  let config: RunnableConfig = thread("1", { checkpoint_ns: "" });
  const put = (n: number, values: object, versions: { [channel: string]: number }) =>
    saver.put(
      config,
      {
        ...emptyCheckpoint(),
        id: uuid6(n),
        channel_values: { ...values },
        channel_versions: versions,
      },
      meta,
      versions,
    );
  config = await put(0, { log: ["seed"], other: 1 }, { log: 1, other: 1 });
  for (let n = 0; n < 150; n++) {
    await saver.putWrites(
      config,
      [
        ["log", n],
        ["other", -n],
      ],
      `task-${n}`,
    );
    config = await put(n + 1, n === 100 ? { other: 2 } : {}, n === 100 ? { other: 2 } : {});
  }
  const before = gateway.seen.length;
  const channels = ["log", "other", "none"];
  const history = await new StatehouseSaver(client).getDeltaChannelHistory({ config, channels });
  assert.ok(gateway.seen.length - before < 15, "one request for many checkpoints");
  const numbers = Array.from({ length: 150 }, (_, n) => n);
  assert.deepEqual(history.log?.seed, ["seed"]);
  assert.deepEqual(
    history.log?.writes.map(([, , value]) => value),
    numbers,
  );
  // What was written to the checkpoint with the value counts on top of it.
  assert.deepEqual(
    [history.other?.seed, history.other?.writes.map(([, , value]) => value)],
    [2, numbers.slice(101).map((n) => -n)],
  );
  assert.deepEqual(history.none, { writes: [] });
  const parent = (await saver.getTuple(config))?.parentConfig ?? assert.fail("no parent");
  const older = await saver.getDeltaChannelHistory({ config: parent, channels: ["log"] });
  assert.equal(older.log?.writes.length, 149, "of the checkpoint that is asked for");
});

test("without a graph: who follows a checkpoint that it has put, and who has not read the thread", async () => {
  const client = it.client();
  const meta = { source: "update", step: 0, parents: {} } as const;
  const saver = new StatehouseSaver(client);
  const first = { ...emptyCheckpoint(), id: uuid6(1) };
  assert.equal(await saver.getTuple(thread("1", { checkpoint_id: first.id })), undefined);
  const put = await saver.put(thread("1"), first, meta, {});
  const second = await saver.put(put, { ...emptyCheckpoint(), id: uuid6(2) }, meta, {});
  // A saver of another process, which was told of the first, has not read that there is a second.
  const other = new StatehouseSaver(client);
  const next = { ...emptyCheckpoint(), id: uuid6(3) };
  await assert.rejects(other.put(put, next, meta, {}), (error: ThreadConflict) => {
    return (
      error instanceof ThreadConflict &&
      error.currentCheckpointId === second.configurable?.checkpoint_id
    );
  });
  await other.getTuple(put); // it asks for the first, and so knows what is the latest
  await other.put(put, next, meta, {});
  await assert.rejects(
    saver.put(second, { ...emptyCheckpoint(), id: uuid6(4) }, meta, {}),
    ThreadConflict,
  );
});

test("deleted and copied threads, and who holds one", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  const graph = graphOf(saver, { a: () => "a" });
  await graph.invoke({ log: ["in"] }, thread("1"));
  await saver.copyThread("1", "2");
  await graph.invoke({ log: ["more"] }, thread("2"));
  assert.deepEqual((await graph.getState(thread("2"))).values.log, ["in", "a", "more", "a"]);
  await assert.rejects(saver.copyThread("1", "2"), sh.UsageError);
  // A worker that is at it when the thread is deleted does not bring it back in part.
  const other = new StatehouseSaver(client);
  const { config } = (await other.getTuple(thread("1"))) ?? assert.fail("no checkpoint");
  await other.getTuple(config);
  await saver.deleteThread("1");
  const meta = { source: "update", step: 9, parents: {} } as const;
  await assert.rejects(other.put(config, emptyCheckpoint(), meta, {}), ThreadConflict);
  assert.equal(await saver.getTuple(thread("1")), undefined);
  assert.equal((await graph.invoke({ log: ["new"] }, thread("1"))).log.length, 2);
  const lease = await saver.hold("1");
  await assert.rejects(saver.hold("1"), sh.LeaseHeld);
  await lease.release();
});

test("a thread of more keys than a commit may change is deleted in parts", async (t) => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  await graphOf(saver, { a: () => "a" }).invoke({ log: ["in"] }, thread("1"));
  const refused = new sh.ResourceExhausted("more keys than one commit may change");
  t.mock.method(client, "deleteAgent", () => Promise.reject(refused));
  await saver.deleteThread("1");
  assert.deepEqual(await client.listKeys("thread/1"), []);
  t.mock.method(client, "deleteAgent", () => Promise.reject(new sh.PermissionDenied("no")));
  await assert.rejects(saver.deleteThread("1"), sh.PermissionDenied);
});

test("the number of a deleted checkpoint is not taken for it", async () => {
  const client = it.client();
  const [saver, other] = [new StatehouseSaver(client), new StatehouseSaver(client)];
  const meta = { source: "update", step: 0, parents: {} } as const;
  const made = (clock: number) => ({ ...emptyCheckpoint(), id: uuid6(clock) });
  const first = await saver.put(thread("1"), made(1), meta, {});
  await saver.put(first, made(2), meta, {});
  await other.deleteThread("1");
  const again = await other.put(thread("1"), made(3), meta, {});
  const second = await other.put(again, made(4), meta, {});
  assert.equal(await saver.getTuple(first), undefined);
  // Put again under another number it is there again.
  const id = String(first.configurable?.checkpoint_id);
  await other.put(second, { ...emptyCheckpoint(), id }, meta, {});
  await other.put(first, made(5), meta, {});
  assert.equal((await saver.getTuple(first))?.checkpoint.id, id);
});

test("a run is known by what the framework hands on with its configurations", async () => {
  const saver = new StatehouseSaver(it.client());
  const meta = { source: "update", step: 0, parents: {} } as const;
  const made = (clock: number) => ({ ...emptyCheckpoint(), id: uuid6(clock) });
  const first = await saver.put(thread("1"), made(1), meta, {});
  await saver.put(first, made(2), meta, {});
  for (const [clock, run] of [{ writer: () => {} }, { control: {} }, { writer: {} }].entries()) {
    const other = new StatehouseSaver(saver.client);
    await other.getTuple({ ...thread("1"), ...run } as RunnableConfig);
    // It has read the thread, and so may begin a branch.
    await other.put({ ...first, ...run } as RunnableConfig, made(clock + 3), meta, {});
    await assert.rejects(other.put(first, made(9), meta, {}), ThreadConflict);
  }
});

test("what the Python SDK leaves of a checkpoint that it deleted is none", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  const meta = { source: "update", step: 0, parents: {} } as const;
  let at: RunnableConfig = thread("1");
  for (let clock = 1; clock <= 4; clock++) {
    at = await saver.put(at, { ...emptyCheckpoint(), id: uuid6(clock) }, meta, {});
  }
  const other = thread("1", { checkpoint_ns: "child" });
  await saver.put(other, { ...emptyCheckpoint(), id: uuid6(5) }, meta, {});
  await client.write("thread/1", "c//0000000002", { deleted: true });
  const ids = async (config: RunnableConfig) =>
    (await all(saver.list(config))).map(({ checkpoint }) => checkpoint.id);
  assert.equal((await ids(thread("1", { checkpoint_ns: "" }))).length, 3);
  assert.equal((await ids(thread("1"))).length, 4);
  assert.equal((await ids({ configurable: { checkpoint_ns: "child" } })).length, 1);
  const found = await saver.getDeltaChannelHistory({ config: at, channels: ["none"] });
  assert.deepEqual(found, { none: { writes: [] } });
});

test("a value that something else wrote is no value", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  const meta = { source: "update", step: 0, parents: {} } as const;
  const values = { channel_values: { n: 1 }, channel_versions: { n: 1 } };
  await saver.put(thread("1"), { ...emptyCheckpoint(), ...values }, meta, { n: 1 });
  await client.write("thread/1", "v//n/1", { n: 2 });
  await assert.rejects(saver.getTuple(thread("1")), (error: sh.DataLoss) => {
    return (
      error instanceof sh.DataLoss && /v\/\/n\/1 of agent thread\/1 is JSON/.test(error.message)
    );
  });
});

test("before a checkpoint of another namespace the ids are compared; a commit says what there is to say", async () => {
  const client = it.client();
  const saver = new StatehouseSaver(client);
  const meta = { source: "update", step: 0, parents: {} } as const;
  const child = thread("1", { checkpoint_ns: "child" });
  await saver.put(child, { ...emptyCheckpoint(), id: uuid6(1) }, meta, {});
  const root = await saver.put(thread("1"), { ...emptyCheckpoint(), id: uuid6(2) }, meta, {});
  assert.equal((await all(saver.list(child, { before: root }))).length, 1);
  const [event] = await all(client.replay("thread/1", { limit: 1 }));
  assert.deepEqual(event?.metadata, { source: "update", step: "0" });
});

test("its misuse is told", async () => {
  assert.throws(() => new StatehouseSaver({} as never), sh.UsageError);
  assert.throws(() => new StatehouseSaver(it.client(), { prefx: "x" } as never), /no option prefx/);
  const saver = new StatehouseSaver(it.client());
  const meta = { source: "loop", step: 0, parents: {} } as const;
  await assert.rejects(saver.put({}, emptyCheckpoint(), meta, {}), /names no thread/);
  await assert.rejects(saver.putWrites(thread("1"), [], "task"), /no checkpoint_id/);
  assert.equal(await saver.getTuple({}), undefined);
});

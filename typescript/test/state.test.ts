/** Reading and writing records, and what values come back as. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as sh from "../src/index.js";
import { all, rig, take } from "./rig.js";

const { op, when } = sh;
const it = rig();

test("a record is written, read, overwritten and deleted, and every version stays", async () => {
  const client = it.client();
  assert.equal(await client.getState("a", "k"), null);
  assert.equal(
    (await client.write("a", "k", { n: 1 }, { metadata: { actor: "alice" } })).version,
    1n,
  );
  const second = await client.write("a", "k", { n: 2 });
  const found = await client.getState<{ n: number }>("a", "k");
  assert.deepEqual(found?.value, { n: 2 });
  assert.equal(found?.version, 2n);
  assert.equal(found?.commitTs, second.commitTs);
  assert.deepEqual(found?.timestamp, second.timestamp);
  await client.delete("a", "k");
  assert.equal(await client.getState("a", "k"), null);
  const history = await all(client.history("a", "k"));
  assert.deepEqual(
    history.map(({ version, deleted, value }) => [version, deleted, value]),
    [
      [3n, true, undefined],
      [2n, false, { n: 2 }],
      [1n, false, { n: 1 }],
    ],
  );
  assert.equal(history[2]?.metadata.actor, "alice");
  assert.deepEqual((await client.getStateAtVersion("a", "k", 1))?.value, { n: 1 });
  assert.equal(await client.getStateAtVersion("a", "k", 3n), null);
  await assert.rejects(client.getStateAtVersion("a", "k", 4), sh.NotFoundError);
});

test("values come back exactly, integers past 2^53 as bigints", async () => {
  const client = it.client();
  const value = {
    big: 2n ** 64n,
    edge: 9007199254740993n,
    safe: 9007199254740991,
    small: 0.1,
    text: 'é "quoted" \\ 1234567890123456789 \u2028',
    list: [null, true, { deep: [] }],
    __proto__x: 1,
    ["__proto__"]: { polluted: true },
  };
  await client.write("a", "k", value);
  const read = (await client.getState("a", "k"))?.value;
  assert.deepEqual(read, value);
  assert.ok(Object.hasOwn(read, "__proto__"));
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  await client.write("a", "k", { a: 1, b: undefined });
  assert.deepEqual((await client.getState("a", "k"))?.value, { a: 1 });
});

test("bytes come back as bytes, with their content type", async () => {
  const client = it.client();
  const picture = new Uint8Array([0x89, 0x50, 0, 255]);
  await client.write("a", "map", picture, { contentType: "image/png" });
  await client.write("a", "raw", Buffer.alloc(0));
  const record = await client.getState<Uint8Array>("a", "map");
  assert.deepEqual(record?.value, picture);
  assert.equal(record?.value.buffer.byteLength, picture.length); // and nothing else is kept with it
  assert.equal(record?.contentType, "image/png");
  const raw = await client.getState<Uint8Array>("a", "raw");
  assert.deepEqual([raw?.value.length, raw?.contentType], [0, "application/octet-stream"]);
});

test("many records are read at one point", async () => {
  const client = it.client();
  await client.transact([op.write("a", "x", { n: 1 }), op.write("b", "y", { n: 2 })]);
  const found = await client.getMany<{ n: number }>("a", ["x", "none", { agentId: "b", key: "y" }]);
  assert.deepEqual(
    found.map((record) => record?.value.n),
    [1, undefined, 2],
  );
  assert.equal(found[0]?.readTs, found[2]?.readTs);
});

test("a batch larger than an answer is asked for in parts, of one moment", async () => {
  const { gateway, client } = await it.through();
  const keys = ["a", "b", "c", "d", "e", "f"];
  for (const key of keys) await client.write("big", key, new Uint8Array(900_000));
  // All six are too much; then three, and three, before which one of them is written.
  const last = { after: () => client.write("big", "f", new Uint8Array(1)) };
  gateway.next("BatchGetState", undefined, undefined, last);
  const found = await client.getMany<Uint8Array>("big", keys);
  assert.equal(gateway.count("BatchGetState"), 3);
  assert.deepEqual(
    found.map((record) => record?.value.length),
    keys.map(() => 900_000),
  );
  assert.equal(new Set(found.map((record) => record?.readTs)).size, 1);
});

test("lists go page by page in byte order, both ways, with folders, of one moment", async () => {
  const client = it.client({ pageSize: 2 });
  const keys = ["a/1", "a/2", "b", "ｚ", "𐀀"]; // the last two are in UTF-16 the other way round
  await client.transact(keys.map((key) => op.write("x", key, { key })));
  assert.deepEqual(await client.listKeys("x"), keys);
  assert.deepEqual(
    await client.listKeys("x", { reverse: true, limit: 3 }),
    keys.slice(2).reverse(),
  );
  assert.deepEqual(await client.listKeys("x", { delimiter: "/" }), ["a/", "b", "ｚ", "𐀀"]);
  assert.deepEqual(await client.listKeys("x", { prefix: "a/" }), ["a/1", "a/2"]);
  const records = client.scanPrefix<{ key: string }>("x");
  assert.equal((await records.next()).value?.key, "a/1");
  await client.write("x", "c", { key: "c" });
  const rest = await all(records);
  assert.deepEqual(
    rest.map((record) => record.value.key),
    keys.slice(1),
  );
});

test("reads as of a commit, a Date and ISO text; and not before one's own commit", async () => {
  const client = it.client();
  const first = await client.write("a", "k", { n: 1 });
  const second = await client.write("a", "k", { n: 2 });
  const at = async (point: sh.Point) => (await client.getState("a", "k", { at: point }))?.value.n;
  assert.equal(await at(first.commitTs), 1);
  assert.equal(await at(Number(second.commitTs)), 2);
  assert.equal(await at(second.timestamp as Date), 2);
  assert.equal(await at((second.timestamp as Date).toISOString()), 2);
  assert.equal(await at("2001-01-01T00:00:00+01:00"), undefined);
  assert.equal((await client.getState("a", "k", { minReadTs: second.commitTs }))?.value.n, 2);
  await assert.rejects(
    client.getState("a", "k", { minReadTs: second.commitTs + 1_000_000n }),
    (error: sh.InvalidArgument) =>
      error instanceof sh.InvalidArgument && error.details.field === "min_read_ts",
  );
});

test("conditions: what does not hold is told, with key and versions, and nothing is applied", async () => {
  const client = it.client();
  await client.write("a", "k", { n: 1 }, { expectedVersion: 0 });
  await client.write("a", "k", { n: 2 }, { expectedVersion: 1n });
  await assert.rejects(
    client.write("a", "k", { n: 3 }, { expectedVersion: 1 }),
    (error: sh.PreconditionFailed) => {
      assert.ok(error instanceof sh.PreconditionFailed && error instanceof sh.ConflictError);
      assert.ok(error instanceof sh.TransactionError && error instanceof sh.StatehouseError);
      assert.deepEqual(
        [error.code, error.agentId, error.key, error.expectedVersion, error.currentVersion],
        ["PRECONDITION_FAILED", "a", "k", 1n, 2n],
      );
      assert.equal(error.name, "PreconditionFailed");
      assert.equal(error.maybeApplied, false);
      return true;
    },
  );
  const head = (await client.getAgent("a"))?.headTs as bigint;
  await assert.rejects(
    client.transact([op.write("a", "other", {})], { preconditions: [when.head("a", head - 1n)] }),
    (error: sh.PreconditionFailed) =>
      error.currentHead === head && error.expectedHead === head - 1n,
  );
  assert.equal(await client.getState("a", "other"), null);
  await client.transact([op.write("a", "other", {})], {
    preconditions: [when.head("a", head), when.key("a", "k", 2), when.key("b", "none", 0)],
  });
});

test("what the daemon evaluates: increment, merge, append, put if absent, deletes of many", async () => {
  const client = it.client();
  await client.increment("a", "use", "/tokens", 2n ** 60n);
  const sum = await client.increment("a", "use", "/tokens", 1, { maximum: 2n ** 61n });
  assert.equal(sum.value.tokens, 2n ** 60n + 1n);
  assert.equal((await client.increment("a", "use", "/cost", 0.1)).value.cost, 0.1);
  assert.equal((await client.increment("a", "use", "/cost", 0.2)).value.cost, 0.3);
  await assert.rejects(
    client.increment("a", "use", "/tokens", 1, { maximum: 5 }),
    sh.EvaluationFailed,
  );
  const merged = await client.merge("a", "use", { cost: null, model: "large" });
  assert.deepEqual(merged.value, { tokens: 2n ** 60n + 1n, model: "large" });
  const message = await client.append("a", "m/", { text: "hello" });
  assert.equal(message.key, "m/0000000000000001");
  assert.deepEqual(message.value, { text: "hello" });
  const made = await client.putIfAbsent("a", "owner", { name: "alice" });
  assert.deepEqual([made.created, made.record.value], [true, { name: "alice" }]);
  const kept = await client.putIfAbsent("a", "owner", { name: "bob" });
  assert.deepEqual([kept.created, kept.record.value], [false, { name: "alice" }]);
  await client.append("a", "m/", { text: "again" });
  assert.equal((await client.deletePrefix("a", "m/")).keys, 2);
  assert.equal((await client.append("a", "m/", {})).key, "m/0000000000000003");
  assert.equal((await client.deleteAgent("a")).keys, 3);
});

test("a time to live is kept, moved, and ends in a commit of the daemon's", async () => {
  const client = it.client();
  await client.write("a", "k", {}, { ttlMs: 60_000 });
  const expires = (await client.getState("a", "k"))?.expiresAt as Date;
  assert.ok(expires.getTime() > Date.now() + 30_000);
  const [moved, none] = await client.refresh("a", ["k", "none"], { ttlMs: 120_000 });
  assert.ok((moved as Date).getTime() > expires.getTime());
  assert.equal(none, undefined);
  await client.write("a", "soon", {}, { ttlMs: 50 });
  const [gone] = await take(client.watch("a", { prefix: "soon", after: 0, forMs: 10_000 }), 2).then(
    (e) => e.slice(1),
  );
  assert.deepEqual([gone?.cause, gone?.operations[0]?.kind], ["expired", "DELETE"]);
});

test("fork, restore, diff and lineage", async () => {
  const client = it.client();
  const decision = await client.write("planner", "plan", { goal: "London" });
  await client.write("planner", "plan", { goal: "Paris" });
  await client.fork("planner", "what-if", { at: decision.commitTs });
  await client.write("what-if", "plan", { goal: "Rome" });
  const [one] = await all(client.diff("planner", "what-if"));
  assert.deepEqual(one?.patch, [{ op: "replace", path: "/goal", value: "Rome" }]);
  assert.deepEqual([one?.before?.value.goal, one?.after?.value.goal], ["Paris", "Rome"]);
  assert.equal(one?.after?.agentId, "what-if");
  const since = await all(client.diff("planner", null, { from: decision.commitTs }));
  assert.deepEqual(
    since.map((key) => key.after?.value.goal),
    ["Paris"],
  );
  const added = await all(client.diff("planner"));
  assert.deepEqual(
    added.map((key) => [key.before, key.patch]),
    [[null, undefined]],
  );
  assert.equal((await client.getAgent("what-if"))?.forkedFrom?.commitTs, decision.commitTs);
  assert.deepEqual(
    (await client.getAgent("planner"))?.forks.map((fork) => fork.agentId),
    ["what-if"],
  );
  assert.equal((await client.restore("planner", decision.commitTs)).keys, 1);
  assert.equal((await client.getState("planner", "plan"))?.value.goal, "London");
  const lineage = await all(client.replay("what-if", { withLineage: true, allOperations: true }));
  assert.deepEqual(
    lineage
      .flatMap((event) => event.operations)
      .map(({ kind, act, value }) => act?.kind ?? [kind, value.goal]),
    [["WRITE", "London"], "forked", ["WRITE", "Rome"]],
  );
  await assert.rejects(client.fork("planner", "what-if"), sh.StatehouseError);
});

test("find selects by value and metadata", async () => {
  const client = it.client();
  await client.write("a", "t/1", { status: "open", cost: 12 }, { metadata: { actor: "bob" } });
  await client.write("a", "t/2", { status: "open", cost: 3n });
  await client.write("b", "t/3", { status: "done" });
  const find = async (...where: sh.Condition[]) =>
    (await all(client.find(null, { where }))).map((r) => r.key);
  assert.deepEqual(await find(sh.F("/status").eq("open"), sh.F("/cost").gt(10)), ["t/1"]);
  assert.deepEqual(await find(sh.not(sh.F("/cost").exists())), ["t/3"]);
  assert.deepEqual(await find(sh.F("/status").in(["done", "late"])), ["t/3"]);
  assert.deepEqual(await find(sh.F("/cost").le(3)), ["t/2"]);
  assert.deepEqual(await find(sh.F.meta("actor").ne("alice")), ["t/1"]);
  const [record] = await all(
    client.find("a", { where: sh.F.meta("actor").eq("bob"), metadata: true }),
  );
  assert.deepEqual(record?.metadata, { actor: "bob" });
  const changed = await all(client.find("a", { order: "changed" }));
  assert.deepEqual(
    changed.map((r) => r.key),
    ["t/2", "t/1"],
  );
});

test("agents and namespaces are listed", async () => {
  const client = it.client();
  const commit = await client.write("a1", "k", {});
  await client.write("a2", "k", {});
  const agents = await client.listAgents({ prefix: "a1" });
  assert.deepEqual(
    agents.map((a) => [a.agentId, a.headTs]),
    [["a1", commit.commitTs]],
  );
  const namespace = agents[0]?.namespace as string;
  assert.ok((await client.listNamespaces()).includes(namespace));
});

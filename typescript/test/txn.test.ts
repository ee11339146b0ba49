/** Transactions: what they see, what they conflict with, and what becomes of them. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import * as sh from "../src/index.js";
import { all, rig, take } from "./rig.js";

const it = rig();

test("all of a transaction is committed, as one event, and it sees its own writes", async () => {
  const client = it.client();
  await client.write("a", "old", { n: 0 });
  const tx = await client.beginTransaction({ metadata: { actor: "planner" } });
  tx.write("a", "k", { n: 1 });
  tx.write("b", "k", { n: 2 });
  tx.delete("a", "old");
  assert.deepEqual((await tx.getState("a", "k"))?.value, { n: 1 });
  assert.equal(await tx.getState("a", "old"), null);
  assert.deepEqual(await tx.listKeys("a"), ["k"]);
  assert.equal(await client.getState("a", "k"), null);
  const commit = await tx.commit();
  assert.deepEqual(
    commit.versions.map((v) => [v.agentId, v.key, v.version]),
    [
      ["a", "k", 1n],
      ["a", "old", 2n],
      ["b", "k", 1n],
    ],
  );
  assert.equal((await tx.commit()).commitTs, commit.commitTs);
  const events = await all(client.replay(null, { from: commit.commitTs }));
  assert.deepEqual(
    [events.length, events[0]?.operations.length, events[0]?.metadata.actor],
    [1, 3, "planner"],
  );
  assert.throws(() => tx.write("a", "late", {}), sh.TransactionCommitted);
});

test("a record that was read and has changed is a conflict; one that was absent, too", async () => {
  const client = it.client();
  await client.write("a", "k", { n: 1 });
  for (const key of ["k", "absent"]) {
    const tx = await client.beginTransaction();
    await tx.getState("a", key);
    tx.write("a", "sum", {});
    await client.write("a", key, { n: 2 });
    await assert.rejects(tx.commit(), (error: sh.ConflictError) => {
      assert.ok(error instanceof sh.ConflictError && !(error instanceof sh.PreconditionFailed));
      assert.deepEqual([error.code, error.agentId, error.key], ["CONFLICT", "a", key]);
      assert.equal(error.currentVersion, key === "k" ? 2n : 1n);
      return true;
    });
    assert.equal(await client.getState("a", "sum"), null);
    await assert.rejects(tx.commit(), sh.ConflictError);
  }
});

test("of a list the stretch that was handed out conflicts, and nothing after it", async () => {
  const client = it.client({ pageSize: 2 });
  for (const key of ["a", "c", "e", "g"]) await client.write("x", key, {});
  const reader = async (count: number, key: string) => {
    const tx = await client.beginTransaction();
    await take(tx.scanKeys("x"), count);
    tx.write("x-done", key, {});
    await client.write("x", key, {});
    await tx.commit();
  };
  await reader(2, "d"); // a and c were handed out
  await assert.rejects(reader(3, "b"), sh.ConflictError); // a, c and d: b is among them
  await assert.rejects(reader(100, "z"), sh.ConflictError); // all were: z is new at the end
  const scanned = await client.beginTransaction();
  assert.equal((await all(scanned.scanPrefix("x", "a"))).length, 1);
  scanned.write("x-done", "s", {});
  await client.write("x", "ab", {});
  await assert.rejects(scanned.commit(), sh.ConflictError);
});

test("of a list from last to first, too", async () => {
  const client = it.client();
  for (const key of ["a", "c", "e"]) await client.write("x", key, {});
  const reader = async (key: string) => {
    const tx = await client.beginTransaction();
    assert.deepEqual(await take(tx.scanKeys("x", { reverse: true }), 1), ["e"]);
    tx.write("x-done", key, {});
    await client.write("x", key, {});
    await tx.commit();
  };
  await reader("b"); // before what was handed out
  await assert.rejects(reader("f"), sh.ConflictError);
});

test("lists put own writes among what is there, page by page and backwards", async () => {
  const client = it.client({ pageSize: 2 });
  for (const key of ["b", "d", "f/1", "f/2"]) await client.write("x", key, { key });
  const tx = await client.beginTransaction();
  for (const key of ["a", "c", "e", "g"]) tx.write("x", key, { key });
  tx.delete("x", "d");
  assert.deepEqual(await tx.listKeys("x"), ["a", "b", "c", "e", "f/1", "f/2", "g"]);
  assert.deepEqual(await tx.listKeys("x", { reverse: true, limit: 4 }), ["g", "f/2", "f/1", "e"]);
  assert.deepEqual(await tx.listKeys("x", { delimiter: "/" }), ["a", "b", "c", "e", "f/", "g"]);
  const records = await all(tx.scanPrefix<{ key: string }>("x", ""));
  assert.deepEqual(
    records.map((record) => record.value.key),
    ["a", "b", "c", "e", "f/1", "f/2", "g"],
  );
  const many = await tx.getMany("x", ["c", "d", "b"]);
  assert.deepEqual(
    many.map((record) => record?.value.key),
    ["c", undefined, "b"],
  );
});

test("it reads one snapshot, whatever is committed meanwhile", async () => {
  const client = it.client();
  await client.write("a", "k", { n: 1 });
  const tx = await client.beginTransaction();
  await tx.getState("a", "other");
  const { commitTs } = await client.write("a", "k", { n: 2 });
  assert.deepEqual((await tx.getState("a", "k"))?.value, { n: 1 });
  assert.ok(tx.snapshotTs < commitTs);
  await assert.rejects(tx.getState("a", "k", { at: 1 }), sh.InvalidArgument);
  const only = await tx.commit(); // it only read: there is nothing to ask
  assert.deepEqual([only.commitTs, only.timestamp], [tx.snapshotTs, undefined]);
});

test("what is evaluated is known after the commit, and not read before", async () => {
  const client = it.client();
  const tx = await client.beginTransaction();
  tx.write("a", "first", {});
  const sum = tx.increment("a", "use", "/n", 2);
  const message = tx.append("a", "m/", { text: "hello" });
  const made = tx.putIfAbsent("a", "owner", { name: "alice" });
  assert.throws(() => sum.result, sh.UsageError);
  await assert.rejects(tx.getState("a", "use"), /staged an increment/);
  await assert.rejects(tx.listKeys("a", { prefix: "m/" }), /staged an append/);
  await tx.commit();
  assert.deepEqual(sum.result.value, { n: 2 });
  assert.equal(message.result.key, "m/0000000000000001");
  assert.equal(made.result.existed, false);
});

test("an expected version of a write stays when the record is written again", async () => {
  const client = it.client();
  await client.write("a", "k", {});
  const tx = await client.beginTransaction();
  tx.write("a", "k", { n: 1 }, { expectedVersion: 7 });
  tx.write("a", "k", { n: 2 });
  await assert.rejects(tx.commit(), sh.PreconditionFailed);
});

test("aborted, expired and abandoned ones apply nothing", async () => {
  const client = it.client();
  const tx = await client.beginTransaction();
  tx.write("a", "k", {});
  await tx.abort();
  await assert.rejects(tx.commit(), sh.TransactionAborted);
  const brief = await client.beginTransaction({ timeoutMs: 1 });
  await once(AbortSignal.timeout(2), "abort"); // its time has to pass
  assert.throws(() => brief.write("a", "k", {}), sh.TransactionExpired);
  {
    const left = await client.beginTransaction();
    left.write("a", "k", {});
    await left[Symbol.asyncDispose]();
    await assert.rejects(left.commit(), sh.TransactionAborted);
  }
  assert.equal(await client.getState("a", "k"), null);
});

test("runTransaction runs again until it commits; a failed precondition is the caller's", async () => {
  const client = it.client();
  await client.write("a", "k", { n: 0 });
  const add = () =>
    client.runTransaction(async (tx) => {
      const record = await tx.getState<{ n: number }>("a", "k");
      tx.write("a", "k", { n: (record?.value.n ?? 0) + 1 });
      return record?.value.n;
    });
  const seen = await Promise.all(Array.from({ length: 8 }, add));
  assert.deepEqual(seen.sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual((await client.getState("a", "k"))?.value, { n: 8 });
  let runs = 0;
  await assert.rejects(
    client.runTransaction((tx) => {
      runs += 1;
      tx.write("a", "k", {}, { expectedVersion: 1 });
    }),
    sh.PreconditionFailed,
  );
  assert.equal(runs, 1);
  await assert.rejects(
    client.runTransaction(() => Promise.reject(new RangeError("mine"))),
    RangeError,
  );
});

test("limits are refused at the write that is too much", async () => {
  const client = it.client();
  const tx = await client.beginTransaction();
  assert.throws(() => {
    for (let n = 0; n < 5; n++) tx.write("a", `k${n}`, new Uint8Array(1 << 20));
  }, sh.ResourceExhausted);
  const many = await client.beginTransaction();
  assert.throws(() => {
    for (let n = 0; n <= 5000; n++) many.write("a", `k${n}`, {});
  }, /operations of a transaction: 5001, the limit is 5000/);
  assert.throws(() => many.write("a", "", {}), /key is empty/);
  assert.throws(() => many.write("a", "a\nb", {}), /U\+000A at byte 1/);
});

test("the signal of a whole transaction holds for its commit, too", async () => {
  const client = it.client();
  const stop = new AbortController();
  const work = (tx: sh.Transaction) => {
    tx.write("a", "k", {});
    stop.abort(new Error("stopped"));
  };
  await assert.rejects(client.runTransaction(work, { signal: stop.signal }), /stopped/);
  assert.equal(await client.getState("a", "k"), null);
});

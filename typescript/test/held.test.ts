/** Transactions that the daemon holds. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as sh from "../src/index.js";
import { Daemon } from "../src/testing.js";
import { all, rig } from "./rig.js";

const it = rig();
const held = { held: true } as const;

test("the daemon knows of it, and it ends once", async () => {
  const client = it.client();
  const before = (await client.status()).openTransactions;
  const tx = await client.beginTransaction({ ...held, metadata: { actor: "planner" } });
  assert.ok((await client.status()).openTransactions > before);
  await tx.write("a", "k", { n: 1 });
  await tx.write("a", "bytes", Buffer.from("x"), { contentType: "image/png" });
  assert.equal((await client.getTransaction(tx.txnId)).state, "open");
  const commit = await tx.commit();
  assert.deepEqual(
    commit.versions.map(({ key, version }) => [key, version]),
    [
      ["k", 1n],
      ["bytes", 1n],
    ],
  );
  assert.deepEqual([await tx.commit(), tx.committed], [commit, commit]);
  const [event] = await all(client.replay("a"));
  assert.deepEqual([event?.txnId, event?.metadata.actor], [tx.txnId, "planner"]);
  await assert.rejects(tx.write("a", "k", { n: 2 }), sh.TransactionCommitted);
  await assert.rejects(tx.abort(), sh.TransactionCommitted);
  const dropped = await client.beginTransaction(held);
  await dropped.write("a", "late", {});
  await dropped[Symbol.asyncDispose]();
  assert.equal((await client.getTransaction(dropped.txnId)).state, "aborted");
  await assert.rejects(dropped.commit(), sh.TransactionAborted);
});

test("its snapshot is that of the begin, under its own writes, on every page", async () => {
  const client = it.client({ pageSize: 2 });
  const before = await client.write("a", "k", { n: 1 });
  const tx = await client.beginTransaction(held);
  assert.equal(tx.snapshotTs, before.commitTs);
  await client.write("a", "later", {});
  for (const key of ["l1", "l2", "l3"]) await tx.write("a", key, { key });
  await tx.delete("a", "k");
  assert.equal(await tx.getState("a", "k"), null);
  assert.deepEqual((await tx.getState("a", "l1"))?.value, { key: "l1" });
  assert.deepEqual(
    (await tx.getMany("a", ["k", "l2"])).map((record) => record?.value),
    [undefined, { key: "l2" }],
  );
  assert.deepEqual(await tx.listKeys("a"), ["l1", "l2", "l3"]);
  assert.deepEqual(
    (await all(tx.scanPrefix("a", "l"))).map(({ key }) => key),
    ["l1", "l2", "l3"],
  );
  for (const read of [tx.getState("a", "k", { at: 1 }), tx.getMany("a", ["k"], { at: 1 })]) {
    await assert.rejects(read, /leave at out/);
  }
  await tx.abort();
  assert.equal(tx.committed, undefined);
});

test("it conflicts, is refused for its conditions, and expires", async () => {
  const client = it.client();
  await client.write("a", "k", { n: 1 });
  const tx = await client.beginTransaction(held);
  await tx.getState("a", "k");
  await client.write("a", "k", { n: 2 });
  await tx.write("a", "other", {});
  for (let again = 0; again < 2; again++) {
    await assert.rejects(tx.commit(), (error: sh.ConflictError) => {
      return error instanceof sh.ConflictError && !(error instanceof sh.PreconditionFailed);
    });
  }
  const second = await client.beginTransaction(held);
  await second.write("a", "k", {}, { expectedVersion: 1 });
  await assert.rejects(second.commit(), sh.PreconditionFailed);
  const lease = await client.lease("a", "worker");
  const third = await client.beginTransaction({ ...held, leases: [lease] });
  await third.write("a", "k", {});
  await client.transact([sh.op.releaseLease("a", "worker", lease.token)]);
  await assert.rejects(third.commit(), sh.LeaseLost);
  assert.ok(lease.signal.aborted);
  const late = await client.beginTransaction({ ...held, timeoutMs: 1 });
  assert.equal(late.timeoutMs, 1);
  while ((await client.getTransaction(late.txnId)).state === "open") {
    await new Promise(setImmediate);
  }
  await assert.rejects(late.commit(), sh.TransactionExpired);
});

test("a write that is not answered is not sent again, and the transaction does not commit", async () => {
  const { gateway, client } = await it.through();
  for (const step of ["Write", "Delete"] as const) {
    const tx = await client.beginTransaction(held);
    await tx.write("a", "k", { n: 1 });
    const before = gateway.count(step);
    gateway.next(step, "lose the answer");
    const staged = step === "Write" ? tx.write("a", "k", { n: 2 }) : tx.delete("a", "k");
    await assert.rejects(staged, (error: sh.ConnectionError) => {
      return error instanceof sh.ConnectionError && !error.answered;
    });
    assert.equal(gateway.count(step), before + 1);
    for (let again = 0; again < 2; again++) {
      await assert.rejects(tx.commit(), (error: sh.TransactionError) => {
        assert.match(error.message, /begin again/);
        return error instanceof sh.TransactionError && error.cause instanceof sh.ConnectionError;
      });
    }
    await tx.abort();
  }
  assert.deepEqual(await all(client.replay("a")), []);
});

test("a commit whose answer is lost is asked for again, and made once", async () => {
  const { gateway, client } = await it.through();
  const tx = await client.beginTransaction(held);
  await tx.write("a", "k", { n: 1 });
  gateway.next("Commit", "lose the answer", "lose the answer");
  const commit = await tx.commit();
  assert.equal(gateway.count("Commit"), 3);
  assert.equal((await all(client.replay("a"))).length, 1);
  const unknown = await client.beginTransaction(held);
  await unknown.write("a", "k", { n: 2 });
  gateway.next("Commit", ...Array(50).fill("hang"));
  await assert.rejects(unknown.commit({ timeoutMs: 300 }), (error: sh.OutcomeUnknown) => {
    return error instanceof sh.OutcomeUnknown && error.txnId === unknown.txnId;
  });
  gateway.next("Commit");
  assert.ok((await unknown.commit()).commitTs > commit.commitTs);
});

test("it is gone when the daemon is started again", async () => {
  const daemon = await Daemon.start({ onDisk: true });
  try {
    const client = daemon.client();
    const tx = await client.beginTransaction(held);
    await tx.write("a", "k", { n: 1 });
    await daemon.crash();
    await daemon.restart();
    await assert.rejects(tx.commit(), sh.TransactionNotFound);
    assert.equal(await client.getState("a", "k"), null);
  } finally {
    await daemon.stop();
  }
});

test("its misuse is told", async () => {
  const client = it.client();
  await assert.rejects(client.beginTransaction({ held: "yes" } as never), /held must be true/);
  const tx = await client.beginTransaction(held);
  await assert.rejects(tx.write("a", "k", {}, { ttlMs: 5 } as never), /no option ttlMs/);
  await assert.rejects(tx.write("a", "k", { at: new Date() } as never), sh.InvalidArgument);
  await tx.abort();
});

/** Due records: claimed by one worker at a time, and completed once. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import * as sh from "../src/index.js";
import { all, patiently, rig } from "./rig.js";

const it = rig();
const { op } = sh;

/** Claims one record, waiting for it. */
async function one(client: sh.Statehouse, options: sh.ClaimOptions = {}) {
  const [job] = await client.claim<{ to: string }>("queue", { waitMs: 20_000, ...options });
  return job ?? assert.fail("nothing is due");
}

test("a claim is completed once, in one commit with what was done for it", async () => {
  const client = it.client();
  await client.write("queue", "mail/1", { to: "alice" }, { dueInMs: 200 });
  assert.deepEqual(await client.claim("queue"), []);
  const job = await one(client, { holder: "w1" });
  const { record, holder, held } = job;
  assert.deepEqual(
    [record.key, record.value, holder, held],
    ["mail/1", { to: "alice" }, "w1", true],
  );
  assert.ok(job.dueAt instanceof Date && job.dueAt <= new Date());
  assert.deepEqual(await client.claim(), []);
  const commit = await job.complete([op.write("queue", "sent/1", {})], { metadata: { by: "w1" } });
  assert.equal(job.held, false);
  const [event] = await all(client.replay("queue", { from: commit.commitTs }));
  assert.deepEqual([event?.operations[0]?.key, event?.metadata.by], ["sent/1", "w1"]);
  await assert.rejects(job.complete(), sh.UsageError);
  await assert.rejects(
    client.transact([op.completeDue("queue", "mail/1", job.token)]),
    sh.LeaseLost,
  );
  assert.deepEqual(await client.claim("queue"), []);
  assert.equal((await client.getState("queue", "mail/1"))?.dueAt, undefined);
});

test("a claim whose work fails is released, and one that was lost commits nothing", async () => {
  const client = it.client();
  await client.write("queue", "mail/1", { to: "bob" }, { dueAt: new Date() });
  const first = await one(client);
  const failing = first.run(() => Promise.reject(new Error("mine")));
  await assert.rejects(failing, /mine/);
  const [second] = await client.claim("queue", { prefix: "mail/", limit: 5 });
  assert.ok(second);
  // As if it had lapsed.
  await client.transact([op.releaseLease(second.agentId, second.name, second.token)]);
  const third = await one(client);
  await assert.rejects(second.complete([op.write("queue", "sent/1", {})]), sh.LeaseLost);
  assert.ok(second.signal.aborted);
  assert.equal(await third.run(({ record }) => record.value.to), "bob");
  assert.deepEqual(await client.listKeys("queue"), ["mail/1"]);
  assert.deepEqual(await client.claim("queue"), []);
});

test("a block that ends without completing releases; work that has completed is done", async () => {
  const client = it.client();
  await client.write("queue", "mail/1", { to: "carol" }, { dueInMs: 1 });
  const job = await one(client);
  await job[Symbol.asyncDispose]();
  const again = await one(client);
  await again.run((claim) => claim.complete([op.delete("queue", "mail/1")]));
  assert.deepEqual(await client.claim("queue"), []);
});

test("what is due in another namespace is claimed and completed there", async () => {
  const client = it.client();
  const namespace = it.fresh();
  await client.write("queue", "mail/1", { to: "dave" }, { dueInMs: 1, namespace });
  const job = await one(client, { namespace });
  assert.equal(job.record.namespace, namespace);
  await job.complete();
  assert.deepEqual(await client.claim("queue", { namespace }), []);
  const kept = await client.getState("queue", "mail/1", { namespace });
  assert.equal(kept?.dueAt, undefined);
});

test("of several that are due each worker gets others, and a claim is renewed", async () => {
  const client = it.client();
  const writes = [1, 2, 3].map((n) => op.write(`queue-${n}`, "job", { n }, { dueInMs: 1 }));
  await client.transact(writes);
  const seen = new Set<string>();
  while (seen.size < 3) {
    const claims = await client.claim(null, { waitMs: 20_000, limit: 2, ttlMs: 300 });
    for (const claim of claims) seen.add(claim.record.agentId);
  }
  const infos = () => client.listLeases();
  const before = Math.min(...(await infos()).map(({ deadline }) => deadline.getTime()));
  while ((await infos()).some(({ deadline }) => deadline.getTime() <= before + 300)) {
    assert.equal((await infos()).length, 3);
  }
  assert.deepEqual(await client.claim(null), []);
});

test("a claim that is given up is released, and one that waits in vain is empty", async () => {
  const { gateway, client } = await it.through();
  assert.deepEqual(await patiently((waitMs) => client.claim("queue", { waitMs })), []);
  await client.write("queue", "mail/1", { to: "dave" }, { dueInMs: 1 });
  await (await one(client))[Symbol.asyncDispose]();
  const stop = new AbortController();
  // The daemon has made it, and nobody was told.
  gateway.next("Transact", "lose the answer", {
    after: async () => stop.abort(new Error("enough")),
  });
  await assert.rejects(client.claim("queue", { signal: stop.signal }), /enough/);
  const job = await one(client);
  assert.equal(job.record.key, "mail/1");
  const lost = once(job.signal, "abort");
  await client.transact([op.releaseLease("queue", job.name, job.token)]);
  await assert.rejects(client.write("queue", "k", {}, { leases: [job] }), sh.LeaseLost);
  await lost;
});

test("its misuse is told", async () => {
  const client = it.client();
  await assert.rejects(client.claim("queue", { limit: 0 }), sh.InvalidArgument);
  await assert.rejects(client.claim("queue", { limt: 1 } as never), /no option limt/);
  await assert.rejects(client.claim(7 as never), sh.InvalidArgument);
});

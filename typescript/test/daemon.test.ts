/** What the daemon says of itself, and of what goes on in it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as sh from "../src/index.js";
import { rig } from "./rig.js";

const it = rig();

/** Asks for a version that is not there. */
async function refused(client: sh.Statehouse, key: string) {
  const wrong = client.write("a", key, {}, { expectedVersion: 7 });
  await assert.rejects(wrong, sh.PreconditionFailed);
}

test("its build, its store, and that it serves", async () => {
  const client = it.client();
  const commit = await client.write("a", "k", {});
  assert.equal(await client.health(), "ok");
  assert.match((await client.version()).version, /^\d+\.\d+/);
  const status = await client.status();
  assert.ok(status.publishedTs >= commit.commitTs);
  assert.deepEqual([status.durable, status.sessions, status.sessionRequests], [false, 0n, 0n]);
});

test("what was refused: like refusals together, the last first, of the namespace or of all", async () => {
  const [client, other] = [it.client(), it.client()];
  const begin = Date.now();
  assert.deepEqual(await client.listRefusals(), []);
  await refused(client, "plan");
  await refused(client, "step");
  await refused(client, "plan");
  const long = client.write("a", "k".repeat(2000), {});
  await assert.rejects(long, sh.InvalidArgument);
  await refused(other, "plan");
  const seen = await client.listRefusals();
  assert.deepEqual(
    seen.map((one) => [
      one.code,
      one.agentId,
      one.key,
      one.count,
      one.method,
      one.lease,
      one.limit,
    ]),
    [
      ["INVALID_REQUEST", "", "", 1n, "Transact", "", ""],
      ["PRECONDITION_FAILED", "a", "plan", 2n, "Transact", "", ""],
      ["PRECONDITION_FAILED", "a", "step", 1n, "Transact", "", ""],
    ],
  );
  for (const one of seen) {
    assert.equal(one.namespace, seen[0]?.namespace);
    assert.equal(one.principal, "");
    assert.ok(one.lastTime.getTime() >= begin && one.lastTime.getTime() <= Date.now());
    assert.ok(one.firstTime <= one.lastTime && one.firstTime.getTime() > begin - 60_000);
  }
  const keys = async (options: Parameters<sh.Statehouse["listRefusals"]>[0]) =>
    (await client.listRefusals(options)).map((one) => one.key);
  assert.deepEqual(await keys({ conflicts: true }), ["plan", "step"]);
  assert.deepEqual(await keys({ conflicts: true, limit: 1 }), ["plan"]);
  assert.deepEqual(await keys({ limit: 0 }), []);
  assert.deepEqual(await keys({ limit: 2 ** 40, conflicts: true }), ["plan", "step"]);
  const named = (await other.listRefusals()).map((one) => one.namespace);
  assert.equal(named.length, 1);
  assert.deepEqual(await client.listRefusals({ namespace: named[0] as string }), [
    ...(await other.listRefusals()),
  ]);
  const all = await client.listRefusals({ allNamespaces: true });
  assert.deepEqual(
    new Set(all.map((one) => one.namespace)),
    new Set([named[0], seen[0]?.namespace]),
  );
});

test("who watches what, since when and how far behind", async () => {
  const client = it.client();
  const { commitTs } = await client.write("a", "k/1", {});
  assert.deepEqual(await client.listStreams(), []);
  const feeds = [
    client.watch("a", { prefix: "k/", after: 0 }),
    client.watch(null, { after: 0 }),
  ] as const;
  for (const feed of feeds) assert.equal((await feed.next()).value?.commitTs, commitTs);
  const streams = await client.listStreams();
  const names = streams.map((one) => [one.kind, one.agentId, one.keyPrefix, one.lease, one.due]);
  assert.deepEqual(names.sort(), [
    ["watch", "", "", "", false],
    ["watch", "a", "k/", "", false],
  ]);
  for (const one of streams) {
    assert.ok(one.cursor >= commitTs && one.lag === 0n);
    assert.ok(Math.abs(one.beginTime.getTime() - Date.now()) < 60_000);
    assert.match(one.peer, /:\d+$/);
    assert.equal(one.principal, "");
  }
  assert.equal((await client.listStreams({ limit: 1 })).length, 1);
  assert.deepEqual(await client.listStreams({ limit: 0 }), []);
  assert.deepEqual(await it.client().listStreams(), []);
  const everywhere = await it.client().listStreams({ allNamespaces: true });
  assert.deepEqual(new Set(everywhere.map((one) => one.namespace)).size, 1);
  for (const feed of feeds) await feed.return(undefined);
});

test("what does not fit is refused before it is asked", async () => {
  const client = it.client();
  const wrong = (work: () => Promise<unknown>, field: string) =>
    assert.rejects(work, (error: sh.InvalidArgument) => error.details.field === field);
  await wrong(() => client.listRefusals({ limit: -1 }), "limit");
  await wrong(() => client.listRefusals({ conflicts: "no" as never }), "conflicts");
  await wrong(() => client.listStreams({ allNamespaces: 1 as never }), "allNamespaces");
  await wrong(() => client.listStreams({ conflicts: true } as never), "conflicts");
  await wrong(() => client.listStreams({ namespace: "" }), "namespace");
});

/** Replay and watch: in order, without gap or duplicate, whatever breaks. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as sh from "../src/index.js";
import { Daemon } from "../src/testing.js";
import { all, rig, take } from "./rig.js";

const { op } = sh;
const it = rig();
const numbers = (events: sh.CommitEvent[]) =>
  events.flatMap((e) => e.operations.map((o) => o.value?.n));

/** Writes n = from…to, each a commit. */
async function writes(client: sh.Statehouse, from: number, to: number) {
  const commits = [];
  for (let n = from; n <= to; n++) commits.push(await client.write("a", `k/${n}`, { n }));
  return commits;
}

test("replay is every commit once, in order, cut to what is asked for", async () => {
  const client = it.client();
  const commits = await writes(client, 1, 5);
  await client.write("b", "k/6", { n: 6 });
  assert.deepEqual(numbers(await all(client.replay("a"))), [1, 2, 3, 4, 5]);
  assert.deepEqual(numbers(await all(client.replay(null))), [1, 2, 3, 4, 5, 6]);
  const [, second, , fourth] = commits;
  const range = { from: second?.commitTs as bigint, to: fourth?.commitTs as bigint };
  assert.deepEqual(numbers(await all(client.replay("a", range))), [2, 3, 4]);
  assert.deepEqual(numbers(await all(client.replay("a", { ...range, limit: 2 }))), [2, 3]);
  assert.deepEqual(numbers(await all(client.replay("a", { prefix: "k/5" }))), [5]);
  const times = { from: second?.timestamp as Date, to: second?.timestamp as Date };
  assert.ok(numbers(await all(client.replay("a", times))).includes(2));
  const [event] = await all(client.replay("a", { limit: 1, values: false }));
  assert.deepEqual([event?.operations[0]?.value, event?.txnId], [undefined, commits[0]?.txnId]);
});

test("a replay that breaks goes on where it was", async () => {
  const { gateway, client } = await it.through();
  await writes(client, 1, 300);
  gateway.next("ReplayBatches", { cutAfter: 1 }, { cutAfter: 1 }, { cutAfter: 0 });
  assert.deepEqual(
    numbers(await all(client.replay("a"))),
    Array.from({ length: 300 }, (_, n) => n + 1),
  );
  assert.ok(gateway.count("ReplayBatches") >= 3, "it never broke");
});

test("a commit of very many keys comes in parts, none of which is lost or repeated", async () => {
  const { gateway, client } = await it.through();
  const count = 4000;
  const writes = Array.from({ length: count }, (_, n) => op.write("a", `k/${n}`, { n }));
  await client.transact(writes);
  await client.fork("a", "b"); // which begins with all of them, in one commit
  await client.write("b", "k/0", { n: count });
  const cuts = [{ cutAfter: 1 }, { cutAfter: 1 }, { cutAfter: 2 }, { cutAfter: 1 }];
  gateway.next("ReplayBatches", ...cuts);
  const events = await all(client.replay("b"));
  assert.ok(events.length > 3 && new Set(events.map((e) => e.commitTs)).size === 2);
  assert.deepEqual(
    numbers(events).sort((a, b) => a - b),
    Array.from({ length: count + 1 }, (_, n) => n),
  );
  assert.equal(numbers(events).at(-1), count);
  gateway.next("ReplayBatches", ...cuts.map((cut) => ({ ...cut })));
  assert.equal((await all(client.replay("b", { limit: 3 }))).length, 3);
});

test("a watch begins where it is told, and goes on when its stream breaks", async () => {
  const { gateway, client } = await it.through();
  const [first] = await writes(client, 1, 3);
  gateway.next("Watch", { cutAfter: 1 }, { cutAfter: 2 }, undefined);
  const feed = client.watch("a", { after: first?.commitTs as bigint, forMs: 20_000 });
  const seen: number[] = [];
  for await (const event of feed) {
    seen.push(...(numbers([event]) as number[]));
    const last = seen.at(-1) as number;
    if (last < 9 && last >= 3) await writes(client, last + 1, last + 1);
    if (last === 9) break;
  }
  assert.deepEqual(seen, [2, 3, 4, 5, 6, 7, 8, 9]);
  assert.ok(gateway.count("Watch") >= 3, "it never broke");
});

test("a watch from now on ends with its time, or its signal", async () => {
  const { gateway, client } = await it.through();
  await writes(client, 1, 1);
  assert.deepEqual(await all(client.watch("a", { forMs: 50 })), []);
  const stop = new AbortController();
  const reason = new Error("enough");
  void gateway.came("Watch").then(() => stop.abort(reason));
  await assert.rejects(
    all(client.watch("a", { signal: stop.signal })),
    (error) => error === reason,
  );
});

test("a watch outlives a daemon that is killed and started again", async () => {
  await using daemon = await Daemon.start({ onDisk: true });
  const client = daemon.client();
  await writes(client, 1, 2);
  const feed = client.watch("a", { after: 0, forMs: 60_000 });
  assert.deepEqual(numbers(await takeFrom(feed, 2)), [1, 2]);
  const third = feed.next(); // it waits while the daemon is away
  await daemon.crash();
  await daemon.restart();
  const other = daemon.client();
  await writes(other, 3, 4);
  assert.equal((await third).value?.operations[0]?.value.n, 3);
  assert.deepEqual(numbers(await takeFrom(feed, 1)), [4]);
  await feed.return();
});

/** Takes items of a generator, and leaves it open. */
async function takeFrom<T>(feed: AsyncGenerator<T>, count: number): Promise<T[]> {
  const out: T[] = [];
  while (out.length < count) {
    const { value, done } = await feed.next();
    if (done) break;
    out.push(value);
  }
  return out;
}

test("a commit survives a daemon that is killed, and the client finds it again", async () => {
  await using daemon = await Daemon.start({ onDisk: true });
  const client = daemon.client();
  await client.write("a", "k", { n: 1 });
  await daemon.crash();
  const writing = client.write("a", "k", { n: 2 }, { expectedVersion: 1 });
  await daemon.restart();
  assert.equal((await writing).version, 2n);
  assert.deepEqual(await take(client.history("a", "k"), 9).then((h) => h.map((e) => e.version)), [
    2n,
    1n,
  ]);
});

test("all operations show leases", async () => {
  const client = it.client();
  const lease = await client.lease("a", "worker", { holder: "alice" });
  await lease.release();
  const events = await all(client.replay("a", { allOperations: true }));
  assert.deepEqual(
    events.flatMap((e) => e.operations).map((o) => [o.kind, o.key, o.lease?.holder, o.deleted]),
    [
      ["LEASE", "worker", "alice", false],
      ["LEASE", "worker", "", true],
    ],
  );
});

/** Leases: one holder at a time, renewed in the background, lost when nobody answers. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import * as sh from "../src/index.js";
import { RenewLeasesRequestSchema } from "../src/proto/statehouse/v1/statehouse_pb.js";
import { Daemon } from "../src/testing.js";
import { patiently, rig } from "./rig.js";

const { op } = sh;
const it = rig();

test("one holds it; others are refused, and told by whom", async () => {
  const client = it.client();
  const lease = await client.lease("a", "worker", { holder: "alice" });
  assert.ok(lease.held && !lease.signal.aborted);
  await assert.rejects(client.lease("a", "worker"), (error: sh.LeaseHeld) => {
    return error instanceof sh.LeaseHeld && error.holder === "alice";
  });
  assert.deepEqual(
    (await client.listLeases({ agentId: "a" })).map((l) => [l.name, l.token]),
    [["worker", lease.token]],
  );
  await client.write("a", "k", {}, { leases: [lease] });
  await lease.release();
  assert.ok(!lease.held);
  assert.throws(() => lease.check(), /was released/);
  const next = await client.lease("a", "worker");
  assert.ok(next.token > lease.token);
  await next.release();
});

test("whoever waits gets it when it is released", async () => {
  const { gateway, client } = await it.through();
  const first = await client.lease("a", "worker");
  const tried = gateway.came("Transact");
  const waiting = client.lease("a", "worker", { waitMs: 20_000 });
  await tried; // it is refused
  await first.release();
  const second = await waiting;
  assert.ok(second.token > first.token);
  const inVain = patiently((waitMs) => client.lease("a", "worker", { waitMs }));
  await assert.rejects(inVain, sh.LeaseHeld);
  const stop = new AbortController();
  void gateway.came("Transact").then(() => stop.abort());
  await assert.rejects(
    client.lease("a", "worker", { waitMs: Number.POSITIVE_INFINITY, signal: stop.signal }),
    {
      name: "AbortError",
    },
  );
});

test("it is renewed in the background, well past its time to live, until it is released", async () => {
  const { gateway, client } = await it.through();
  const renewed = () =>
    fromBinary(RenewLeasesRequestSchema, gateway.bodies.at(-1) as Buffer).leases.map(
      (l) => l.lease,
    );
  const begun = performance.now();
  const lease = await client.lease("a", "first", { ttlMs: 1500 });
  const other = await client.lease("a", "other", { ttlMs: 1500 });
  for (let times = 0; times < 4; times++) await gateway.came("RenewLeases");
  assert.deepEqual(renewed(), ["first", "other"]); // together
  assert.ok(performance.now() - begun > 1500);
  assert.ok(lease.held && other.held);
  await client.write("a", "k", {}, { leases: [lease] });
  await lease.release();
  for (let times = 0; times < 2; times++) {
    await gateway.came("RenewLeases");
    assert.deepEqual(renewed(), ["other"]);
  }
});

test("one that was taken away is told at the next renewal, and its commits are refused", async () => {
  const client = it.client();
  const lease = await client.lease("a", "worker", { ttlMs: 300 });
  await client.transact([op.releaseLease("a", "worker", lease.token)]);
  await once(lease.signal, "abort");
  assert.ok(lease.signal.reason instanceof sh.LeaseLost && lease.signal.reason.answered);
  assert.throws(() => lease.check(), sh.LeaseLost);
  await assert.rejects(client.write("a", "k", {}, { leases: [lease] }), sh.LeaseLost);
  await assert.rejects(client.write("a", "k", {}, { leases: [lease.condition()] }), sh.LeaseLost);
  await assert.rejects(lease[Symbol.asyncDispose](), sh.LeaseLost);
  assert.equal(await client.getState("a", "k"), null);
});

test("a commit that is refused for it tells at once", async () => {
  const client = it.client();
  const lease = await client.lease("a", "worker");
  await client.transact([op.releaseLease("a", "worker", lease.token)]);
  await assert.rejects(client.write("a", "k", {}, { leases: [lease] }), sh.LeaseLost);
  assert.ok(lease.signal.aborted);
});

test("when nobody answers it counts as lost within its time to live", async () => {
  await using daemon = await Daemon.start();
  const client = daemon.client();
  const lease = await client.lease("a", "worker", { ttlMs: 400 });
  const begun = performance.now();
  daemon.pause();
  await once(lease.signal, "abort");
  assert.ok(performance.now() - begun < 10_000);
  assert.ok(lease.signal.reason instanceof sh.LeaseLost && !lease.signal.reason.answered);
  daemon.resume();
});

test("an acquisition that is given up is released", async () => {
  const { gateway, client } = await it.through();
  const stop = new AbortController();
  gateway.next("Transact", "lose the answer", "hang");
  void gateway.came("Transact").then(async () => {
    await gateway.came("Transact"); // the second try
    stop.abort(new Error("enough"));
  });
  await assert.rejects(client.lease("a", "worker", { signal: stop.signal }), /enough/);
  assert.deepEqual(await client.listLeases({ agentId: "a" }), []);
});

test("a client that is closed loses its leases", async () => {
  const client = it.client();
  const lease = await client.lease("a", "worker");
  client.close();
  assert.ok(lease.signal.aborted);
  assert.throws(() => lease.check(), sh.LeaseLost);
});

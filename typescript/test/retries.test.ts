/** What becomes of requests and answers that are lost, refused for load, late or given up. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, status } from "@grpc/grpc-js";
import * as sh from "../src/index.js";
import {
  ErrorCode,
  StatehouseErrorSchema,
  TransactRequestSchema,
} from "../src/proto/statehouse/v1/statehouse_pb.js";
import { RetryInfoSchema, StatusSchema } from "../src/proto/status_pb.js";
import { all, rig } from "./rig.js";

const it = rig();

/** Makes the refusal of a daemon that is overloaded. */
function overloaded(ms: number, how: "details" | "RetryInfo") {
  const error = create(StatehouseErrorSchema, {
    code: ErrorCode.OVERLOADED,
    message: "more is asked than can be done",
    details: how === "details" ? { retry_after_ms: String(ms) } : {},
  });
  const details = [
    {
      ...anyPack(StatehouseErrorSchema, error),
      typeUrl: "type.googleapis.com/statehouse.v1.StatehouseError",
    },
  ];
  if (how === "RetryInfo") {
    const info = create(RetryInfoSchema, { retryDelay: { seconds: 0n, nanos: ms * 1e6 } });
    details.push({
      ...anyPack(RetryInfoSchema, info),
      typeUrl: "type.googleapis.com/google.rpc.RetryInfo",
    });
  }
  const metadata = new Metadata();
  const packed = create(StatusSchema, { code: status.RESOURCE_EXHAUSTED, details });
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, packed)));
  return { refuse: { code: status.RESOURCE_EXHAUSTED, details: "overloaded", metadata } };
}

test("a commit whose answer is lost is asked for again under its id, and applied once", async () => {
  const { gateway, client } = await it.through();
  gateway.next("Transact", "lose the answer", "lose the answer");
  const commit = await client.append("a", "m/", { text: "once" });
  assert.equal(gateway.count("Transact"), 3);
  const ids = gateway.bodies.map((body) => fromBinary(TransactRequestSchema, body).txnId);
  assert.equal(new Set(ids).size, 1);
  assert.equal(commit.key, "m/0000000000000001");
  assert.deepEqual(await client.listKeys("a"), ["m/0000000000000001"]);
  assert.equal((await all(client.replay("a"))).length, 1);
});

test("a whole transaction is asked for again, too", async () => {
  const { gateway, client } = await it.through();
  await client.write("a", "k", { n: 1 });
  const tx = await client.beginTransaction();
  await tx.getState("a", "k");
  tx.write("a", "k", { n: 2 });
  gateway.next("Transact", "lose the answer");
  assert.equal((await tx.commit()).version, 2n);
  assert.equal((await all(client.history("a", "k"))).length, 2);
});

test("without any answer the outcome is unknown, can be asked for, and the same id applies once", async () => {
  const { gateway, client } = await it.through({ attemptTimeoutMs: 100 });
  gateway.next("Transact", "lose the answer", ...Array(20).fill("hang"));
  const unknown = await client.write("a", "k", { n: 1 }, { timeoutMs: 300 }).then(
    () => assert.fail("it was answered"),
    (error: unknown) => error,
  );
  assert.ok(unknown instanceof sh.OutcomeUnknown && !(unknown instanceof sh.TransactionError));
  assert.equal(unknown.code, "OUTCOME_UNKNOWN");
  gateway.next("Transact");
  const outcome = await client.getTransaction(unknown.txnId);
  assert.equal(outcome.state, "committed");
  assert.equal(outcome.commit?.version, 1n);
  const again = await client.write("a", "k", { n: 1 }, { txnId: unknown.txnId });
  assert.equal(again.commitTs, outcome.commit?.commitTs);
  assert.equal((await all(client.history("a", "k"))).length, 1);
  await assert.rejects(
    client.write("a", "k", { n: 2 }, { txnId: unknown.txnId }),
    sh.TransactionIDReused,
  );
  assert.equal((await client.getTransaction(sh.newTxnId())).state, "never seen");
});

test("a transaction whose outcome is unknown is not aborted, and can be committed again", async () => {
  const { gateway, client } = await it.through({ attemptTimeoutMs: 100 });
  const tx = await client.beginTransaction();
  tx.write("a", "k", {});
  gateway.next("Transact", ...Array(20).fill("hang"));
  await assert.rejects(tx.commit({ timeoutMs: 200 }), sh.OutcomeUnknown);
  await assert.rejects(tx.abort(), sh.OutcomeUnknown);
  assert.throws(() => tx.write("a", "k2", {}), sh.TransactionCommitted);
  gateway.next("Transact");
  assert.equal((await tx.commit()).version, 1n);
});

test("a refusal after a try in doubt says that the earlier one may yet be applied", async () => {
  const { gateway, client } = await it.through({ attemptTimeoutMs: 100 });
  await client.write("a", "k", {});
  gateway.next("Transact", "hang");
  await assert.rejects(
    client.write("a", "k", {}, { expectedVersion: 9 }),
    (error: sh.PreconditionFailed) => error instanceof sh.PreconditionFailed && error.maybeApplied,
  );
});

for (const how of ["details", "RetryInfo"] as const) {
  test(`a daemon that is overloaded is asked again when it says so, by ${how}`, async (t) => {
    const { gateway, client } = await it.through();
    await client.health(); // connecting waits, too
    const timers = t.mock.method(globalThis, "setTimeout").mock;
    /** How long was waited, and not for what takes long on a busy machine. */
    const waited = async (ms: number, work: () => Promise<unknown>) => {
      timers.resetCalls();
      await work();
      const waits = timers.calls.map(({ arguments: [, wait] }) => Number(wait));
      assert.ok(
        waits.some((wait) => wait >= ms && wait <= ms * 1.5),
        `it waited ${waits} ms, not ${ms}`,
      );
    };
    gateway.next("Transact", overloaded(120, how));
    await waited(120, () => client.write("a", "k", {}));
    gateway.next("GetState", overloaded(80, how));
    await waited(80, () => client.getState("a", "k"));
    assert.deepEqual([gateway.count("Transact"), gateway.count("GetState")], [2, 2]);
  });
}

test("one that wants to be asked after the timeout is not waited for", async () => {
  const { gateway, client } = await it.through({ timeoutMs: 20_000 });
  gateway.next("Transact", overloaded(60_000, "details"));
  const begun = performance.now();
  await assert.rejects(client.write("a", "k", {}), (error: sh.Overloaded) => {
    assert.ok(error instanceof sh.Overloaded && error instanceof sh.ResourceExhausted);
    return error.retryAfterMs === 60_000 && error.answered;
  });
  assert.ok(performance.now() - begun < 15_000);
  assert.equal(gateway.count("Transact"), 1);
});

test("a limit that is not of load is the caller's", async () => {
  const { gateway, client } = await it.through();
  gateway.next("Transact", { refuse: { code: status.RESOURCE_EXHAUSTED, details: "too large" } });
  await assert.rejects(client.write("a", "k", {}), /too large/);
  assert.equal(gateway.count("Transact"), 1);
});

test("reads are repeated until the timeout, and then say so", async () => {
  const { gateway, client } = await it.through({ attemptTimeoutMs: 100 });
  gateway.next("GetState", "hang", "lose the answer");
  assert.equal(await client.getState("a", "k"), null);
  assert.equal(gateway.count("GetState"), 3);
  gateway.next("GetState", ...Array(50).fill("hang"));
  const begun = performance.now();
  await assert.rejects(client.getState("a", "k", { timeoutMs: 400 }), sh.DeadlineExceeded);
  const took = performance.now() - begun;
  assert.ok(took > 250 && took < 10_000, `it took ${took} ms`);
});

test("a signal gives a read up with its reason, and a commit that was sent as unknown", async () => {
  const { gateway, client } = await it.through();
  const reason = new Error("enough");
  gateway.next("GetState", "hang");
  const reading = new AbortController();
  void gateway.came("GetState").then(() => reading.abort(reason));
  await assert.rejects(
    client.getState("a", "k", { signal: reading.signal }),
    (error) => error === reason,
  );
  await assert.rejects(
    client.getState("a", "k", { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  gateway.next("Transact", "hang");
  const writing = new AbortController();
  void gateway.came("Transact").then(() => writing.abort(reason));
  await assert.rejects(
    client.write("a", "k", {}, { signal: writing.signal }),
    (error: sh.OutcomeUnknown) => {
      assert.ok(error instanceof sh.OutcomeUnknown && error.txnId !== "");
      return error.cause === reason;
    },
  );
  const before = gateway.count("Transact");
  await assert.rejects(
    client.write("a", "k", {}, { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  assert.equal(gateway.count("Transact"), before);
});

test("a client that is closed says so at once; a commit under way is unknown", async () => {
  const { gateway, client } = await it.through({ attemptTimeoutMs: 60_000, timeoutMs: 60_000 });
  await client.health();
  gateway.next("Transact", "hang");
  gateway.next("Watch", "hang");
  void gateway.came("Transact").then(() => client.close());
  const watching = client.watch("a").next();
  const begun = performance.now();
  await assert.rejects(client.write("a", "k", {}), sh.OutcomeUnknown);
  await assert.rejects(watching, /the client was closed/);
  await assert.rejects(client.getState("a", "k"), /the client was closed/);
  assert.ok(performance.now() - begun < 30_000);
});

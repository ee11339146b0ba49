/**
 * What the compiler is to accept, and what not: it is compiled and never run. A line below
 * `@ts-expect-error` that compiles is an error.
 */

import {
  type AnyOperation,
  type Commit,
  F,
  op,
  type Statehouse,
  type StateRecord,
  when,
} from "../src/index.js";

export async function typed(client: Statehouse): Promise<void> {
  const record = await client.getState<{ step: number }>("a", "k");
  // @ts-expect-error it may be null
  record.value;
  const step: number | undefined = record?.value.step;
  const version: bigint | undefined = record?.version;
  // @ts-expect-error a version is a bigint
  const wrong: number | undefined = record?.version;
  const commit: Commit = await client.write("a", "k", { step, nested: [{ big: 1n }] });
  await client.write("a", "k", new Uint8Array(1), {
    contentType: "x/y",
    expectedVersion: version ?? 0,
  });
  // @ts-expect-error JSON has no dates
  await client.write("a", "k", { at: new Date() });
  // @ts-expect-error a value is an object
  await client.write("a", "k", "text");
  // @ts-expect-error there is no such option
  await client.write("a", "k", {}, { expected_version: 1 });
  // @ts-expect-error the signal of something else
  await client.getState("a", "k", { signal: {} });
  const operations: AnyOperation[] = [op.write("a", "k", {}), op.increment("a", "k", "/n", 1n)];
  await client.transact(operations, { preconditions: [when.head("a", commit.commitTs)] });
  // @ts-expect-error an operation, not what it is about
  await client.transact([{ agentId: "a", key: "k" }]);
  const result: string = await client.runTransaction((tx) => {
    tx.write("a", "k", {});
    return "done";
  });
  for await (const found of client.find<{ cost: number }>("a", {
    where: F("/cost").gt(result.length),
  })) {
    const of: StateRecord<{ cost: number }> = found;
    of.value.cost.toFixed();
    // @ts-expect-error what was read is not changed
    of.version = 1n;
  }
  // @ts-expect-error a condition is compared with a value
  F("/cost").gt(true);
  for await (const event of client.watch("a", { after: commit.commitTs }))
    event.operations[0]?.act?.kind;
  const held = await client.beginTransaction({ held: true, timeoutMs: 1000 });
  await held.write("a", "k", {}, { expectedVersion: 0 });
  // @ts-expect-error the daemon's transactions take no deadlines
  await held.write("a", "k", {}, { ttlMs: 5 });
  // @ts-expect-error what is evaluated is not of the daemon's transactions
  held.increment("a", "k", "/n");
  const [claim] = await client.claim<{ to: string }>("a", { waitMs: 5 });
  const to: string | undefined = await claim?.run(({ record }) => record.value.to);
  // @ts-expect-error all agents are asked for by null
  await client.claim({ prefix: to });
  // @ts-expect-error all agents are asked for by null
  client.replay(undefined);
  void wrong;
}

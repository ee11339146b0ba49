/**
 * How leases, and claims, are asked for: once, or waiting for them by a watch. What an acquisition that was
 * given up came to is released.
 */

import { hostname } from "node:os";
import { debuglog } from "node:util";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Caller } from "./calls.js";
import * as check from "./check.js";
import * as errors from "./errors.js";
import { watchFeed } from "./feeds.js";
import { type AnyOperation, op } from "./operations.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import { newTxnId } from "./txnids.js";
import type { Operation, OperationResult } from "./types.js";
import { commitOf } from "./writes.js";

const log = debuglog("statehouse");

/** Milliseconds that it may take to release what an acquisition that was given up came to. */
const MOMENT = 1000;
const TTL = 30_000;

/** How a lease is acquired. */
export interface LeaseOptions {
  /** Milliseconds that it is held after a renewal; by default 30,000. */
  ttlMs?: number;
  /** Milliseconds to wait for one that is held; by default 0. `Infinity`: as long as it takes. */
  waitMs?: number;
  /** Who holds it, for people; by default this machine and process. */
  holder?: string;
  namespace?: string;
  metadata?: { readonly [key: string]: string };
  /** Gives the acquisition up; what it may have got is released. */
  signal?: AbortSignal;
}

/** The names of an acquisition's options. */
export const LEASE = ["ttlMs", "waitMs", "holder", "namespace", "metadata", "signal"];

/** How it is asked for, checked. */
export interface Asked {
  readonly ttlMs: number;
  readonly waitMs: number;
  readonly holder: string;
  readonly namespace: string;
  readonly metadata: { [key: string]: string };
  readonly signal: AbortSignal | undefined;
}

/** What an acquisition came to, and when it was sent. */
export interface Obtained {
  readonly result: OperationResult;
  readonly sent: number;
}

export function asked(caller: Caller, options: LeaseOptions): Asked {
  return {
    ttlMs: Number(check.wholeMilliseconds("ttlMs", options.ttlMs ?? TTL)),
    waitMs: patience(options.waitMs),
    holder: options.holder === undefined ? defaultHolder() : check.text("holder", options.holder),
    namespace: caller.namespace(options.namespace),
    metadata: check.textMap("metadata", options.metadata),
    signal: check.signal(options.signal),
  };
}

function patience(ms: unknown): number {
  if (ms === undefined || ms === 0) return 0;
  if (ms === Number.POSITIVE_INFINITY) return ms;
  return check.milliseconds("waitMs", ms);
}

/** Names this process for people. */
function defaultHolder(): string {
  return `${hostname()}/${process.pid}`.slice(0, 256);
}

/**
 * Makes an attempt, and another whenever a watch, which begins before the first one, tells of something that
 * makes it worth it; undefined: none was successful in time.
 */
export async function waited<T>(
  caller: Caller,
  { waitMs, namespace, signal }: Asked,
  watched: MessageInitShape<typeof pb.WatchRequestSchema>,
  worth: (operation: Operation) => boolean,
  attempt: () => Promise<T | undefined>,
): Promise<T | undefined> {
  if (waitMs === 0) return attempt();
  const request = create(pb.WatchRequestSchema, {
    ...watched,
    namespace,
    allOperations: true,
    encoding: pb.ValueEncoding.NONE,
  });
  const start = { cursor: undefined, ms: waitMs, epoch: "", signal, marks: true };
  let tried = false;
  for await (const event of watchFeed(caller, request, start)) {
    if (tried && !event?.operations.some(worth)) continue;
    tried = true;
    const found = await attempt();
    if (found !== undefined) return found;
  }
  if (!tried) throw new errors.DeadlineExceeded(`no answer within the ${waitMs} ms to wait`);
  return undefined;
}

/**
 * Asks once. If it is given up meanwhile, what it came to is released: nobody knows the token, so it
 * would be held until it lapses.
 */
export async function obtained(
  caller: Caller,
  operation: AnyOperation,
  { metadata, signal }: Asked,
): Promise<Obtained> {
  const sent = performance.now();
  const options = { metadata, txnId: newTxnId() };
  try {
    const result = await committed(caller, operation, { ...options, ...(signal && { signal }) });
    return { result, sent };
  } catch (failed) {
    if (signal?.aborted && failed instanceof errors.OutcomeUnknown) {
      await undo(caller.within(MOMENT), operation, options);
      throw signal.reason;
    }
    throw failed;
  }
}

async function committed(
  caller: Caller,
  operation: AnyOperation,
  options: Parameters<typeof commitOf>[2],
): Promise<OperationResult> {
  const [result] = (await commitOf(caller, [operation], options)).results;
  if (!result) throw errors.broken("an acquisition without a result");
  return result;
}

/** Asks again under the transaction id, which acquires no second time, and releases what that names. */
async function undo(
  caller: Caller,
  operation: AnyOperation,
  options: Parameters<typeof commitOf>[2],
): Promise<void> {
  try {
    const { lease, claimed } = await committed(caller, operation, options);
    const held = [...(lease ? [lease] : []), ...claimed.map((due) => due.lease)];
    const releases = held.map(({ agentId, name, token, namespace }) =>
      op.releaseLease(agentId, name, token, { namespace }),
    );
    if (releases.length > 0) await commitOf(caller, releases);
  } catch (failed) {
    if (!(failed instanceof errors.StatehouseError)) throw failed;
    log("what a %s came to may lapse only: %s", operation.type, failed.reason);
  }
}

/** Due records: claimed by one worker at a time, and completed once. */

import type { Caller } from "./calls.js";
import * as check from "./check.js";
import * as errors from "./errors.js";
import { Lease } from "./leases.js";
import { asked, LEASE, type LeaseOptions, obtained, waited } from "./obtaining.js";
import { type AnyOperation, op } from "./operations.js";
import type { Renewals } from "./renewals.js";
import type { AnyValue, Commit, DueRecord, StateRecord } from "./types.js";
import { type CommitOptions, commitOf } from "./writes.js";

/** How due records are claimed. */
export interface ClaimOptions extends LeaseOptions {
  /** Only records whose keys start with it. */
  prefix?: string;
  /** How many to claim at most; by default 1. Those that are due longest come first. */
  limit?: number;
}

/**
 * A due record that this process has claimed, as `client.claim` gives it: a lease on the record, which is
 * renewed in the background until the claim is completed or released.
 *
 * A record is handed out at least once, and completed exactly once: what was done for it may be done again by
 * another worker if this one is too late, but its {@link complete}, with whatever it writes in the same
 * commit, is then refused.
 */
export class Claim<V = AnyValue> extends Lease {
  /** The record, as it was when it was claimed. */
  readonly record: StateRecord<V>;
  /** When it became due. */
  readonly dueAt: Date;
  readonly #of: Caller;

  /** Made by `client.claim`. @internal */
  constructor(caller: Caller, renewals: Renewals, due: DueRecord<V>, sent: number) {
    super(caller, renewals, due.lease, sent);
    this.#of = caller;
    this.record = due.record;
    this.dueAt = due.dueAt;
  }

  /**
   * Completes it, in one commit with what was done for it: the record is no longer due. Rejects with
   * {@link errors.LeaseLost} when another worker may have it by now: nothing is committed.
   */
  async complete(
    operations: Iterable<AnyOperation> = [],
    options?: CommitOptions,
  ): Promise<Commit> {
    const given = check.items("operations", operations);
    this.check();
    const { agentId, key, namespace } = this.record;
    const done = op.completeDue(agentId, key, this.token, { namespace });
    try {
      const commit = await commitOf(this.#of, [...given, done], options);
      this.ended();
      return commit;
    } catch (failed) {
      if (failed instanceof errors.LeaseLost && failed.details.token === String(this.token)) {
        this.lose(failed);
      }
      throw failed;
    }
  }

  /**
   * Runs a function with the record, completes the claim when it returns, and releases it when it throws: the
   * record is due again at once. Give `claim.signal` to what takes its time.
   */
  async run<T>(work: (claim: this) => Promise<T> | T): Promise<T> {
    let result: T;
    try {
      result = await work(this);
    } catch (failed) {
      // That it was lost meanwhile says less than why the work failed.
      await this[Symbol.asyncDispose]().catch(() => {});
      throw failed;
    }
    if (this.held) await this.complete();
    else await this[Symbol.asyncDispose]();
    return result;
  }
}

/** Claims records that are due. */
export async function claim<V>(
  caller: Caller,
  renewals: Renewals,
  agentId: string | null,
  options: ClaimOptions = {},
): Promise<Claim<V>[]> {
  check.options(options, ...LEASE, "prefix", "limit");
  const how = asked(caller, options);
  const { ttlMs, holder, namespace } = how;
  const prefix = check.text("prefix", options.prefix ?? "");
  const limit = options.limit ?? 1;
  const operation = op.claimDue(agentId, { prefix, limit, ttlMs, holder, namespace });
  const watched = {
    ...(agentId === null ? { allAgents: true } : { agentId }),
    keyPrefix: prefix,
    due: true,
  };
  const found = await waited(
    caller,
    how,
    watched,
    (event) => !event.deleted,
    async () => {
      const { result, sent } = await obtained(caller, operation, how);
      return result.claimed.length > 0 ? { claimed: result.claimed, sent } : undefined;
    },
  );
  if (!found) return [];
  const { claimed, sent } = found;
  return claimed.map((due) => new Claim(caller, renewals, due as DueRecord<V>, sent));
}

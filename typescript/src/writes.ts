/** One-shot commits: all writes go in one request. */

import { create } from "@bufbuild/protobuf";
import { committed, NATIVE, transacted } from "./answers.js";
import type { Caller, CallOptions } from "./calls.js";
import * as check from "./check.js";
import { broken, LeaseLost } from "./errors.js";
import { conditions, isEvaluated, operation } from "./messages.js";
import type { AnyOperation, Precondition } from "./operations.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import { newTxnId } from "./txnids.js";
import type { Commit, TxnOutcome, TxnState } from "./types.js";

/** A lease that a commit requires: what `client.lease` gives, or `when.lease(…)`. */
export type LeaseLike = Held | (Precondition & { type: "lease" });

/** A lease that this process holds, as far as commits know of it. */
export interface Held {
  /** Throws {@link LeaseLost} when the lease is lost, or was released. */
  check(): void;
  /** Makes the precondition that a commit is made under this lease only, also by another process. */
  condition(): Precondition & { type: "lease" };
  /** @internal */
  lose(why: LeaseLost): void;
}

/** Options of a commit. */
export interface CommitOptions extends CallOptions {
  /** Provenance that stays with the commit: actor, reason, run_id, tool_call_id… */
  metadata?: { readonly [key: string]: string };
  /**
   * An id of yours, for a commit that must be made once even if the program is killed and run again: sent
   * again under it, the same operations take effect once. A UUIDv7 is advised, which {@link newTxnId} makes.
   */
  txnId?: string;
  /** Leases that must be held. */
  leases?: Iterable<LeaseLike>;
  /** Further conditions. */
  preconditions?: Iterable<Precondition>;
}

/** The names of a commit's options. */
export const COMMIT = ["signal", "timeoutMs", "metadata", "txnId", "leases", "preconditions"];

/** Commits operations in one request. */
export async function commitOf(
  given: Caller,
  operations: Iterable<AnyOperation>,
  options: CommitOptions = {},
): Promise<Commit> {
  check.options(options, ...COMMIT);
  const caller = given.for(options);
  const made = check.items("operations", operations).map((one) => operation(caller, one));
  const leases = options.leases === undefined ? [] : check.items("leases", options.leases);
  const asked =
    options.preconditions === undefined ? [] : check.items("preconditions", options.preconditions);
  const request = create(pb.TransactRequestSchema, {
    txnId: options.txnId === undefined ? newTxnId() : check.text("txnId", options.txnId),
    operations: made,
    ...conditions(caller, [...asked, ...leases.map(required)]),
    metadata: check.textMap("metadata", options.metadata),
  });
  if (made.some(isEvaluated)) request.encoding = NATIVE;
  try {
    return transacted(request, await caller.commit(request, check.signal(options.signal)), false);
  } catch (failed) {
    if (failed instanceof LeaseLost) tellLost(leases, failed);
    throw failed;
  }
}

/** Makes the condition that a lease is. One that is known to be lost is refused at once. */
export function required(lease: LeaseLike): Precondition {
  if (typeof lease === "object" && lease !== null && "type" in lease) return lease;
  if (typeof lease?.condition !== "function") {
    throw check.refused(
      "leases",
      `leases are what client.lease() gives, not ${check.brief(lease)}`,
    );
  }
  lease.check();
  return lease.condition();
}

/** Tells the leases that a commit required which of them the daemon says is lost. */
export function tellLost(leases: readonly LeaseLike[], lost: LeaseLost): void {
  for (const lease of leases) {
    if ("type" in lease) continue;
    const { name, token } = lease.condition();
    if (lost.details.lease === name && lost.details.token === String(token)) lease.lose(lost);
  }
}

const STATES: { readonly [state in pb.TransactionState]?: TxnState } = {
  [pb.TransactionState.OPEN]: "open",
  [pb.TransactionState.COMMITTED]: "committed",
  [pb.TransactionState.ABORTED]: "aborted",
  [pb.TransactionState.EXPIRED]: "expired",
  [pb.TransactionState.NEVER_SEEN]: "never seen",
  [pb.TransactionState.TOO_OLD]: "too old",
};

/** Asks for the outcome of a transaction. */
export async function outcomeOf(
  caller: Caller,
  txnId: string,
  options?: CallOptions,
): Promise<TxnOutcome> {
  check.options(options, "signal", "timeoutMs");
  const request = create(pb.GetTransactionRequestSchema, { txnId: check.text("txnId", txnId) });
  const answer = await caller
    .for(options)
    .call("getTransaction", request, check.signal(options?.signal));
  const state = STATES[answer.state];
  if (state === undefined) throw broken(`transaction state ${answer.state}`);
  return { txnId, state, commit: state === "committed" ? committed(txnId, answer) : undefined };
}

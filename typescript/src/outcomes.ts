/** What a commit that failed has done: nothing, or perhaps all of it. */

import * as errors from "./errors.js";
import { Aborted } from "./transport.js";

/**
 * Refusals that are about the transaction itself: after one of them no earlier try can have been
 * applied. Other refusals (a limit, a token, a corrupt disk) say nothing of earlier tries.
 */
const DECIDES = [
  errors.InvalidArgument,
  errors.TransactionNotFound,
  errors.TransactionExpired,
  errors.TransactionAborted,
  errors.TransactionIDReused,
  errors.ConflictError,
  errors.LeaseHeld,
  errors.LeaseLost,
  errors.EvaluationFailed,
] as const;

/**
 * Those that do not hold for ever, so that a late duplicate could still be applied: a key that is not at
 * the expected version may come back to it, a lease may be released, what is there may become a number,
 * and what comes late itself is refused for its own lateness alone.
 */
const PASSES = [
  errors.PreconditionFailed,
  errors.TransactionExpired,
  errors.LeaseHeld,
  errors.EvaluationFailed,
] as const;

/** Reports whether no earlier try of a commit can have been applied after this refusal. */
export function decides(failed: unknown): boolean {
  return DECIDES.some((kind) => failed instanceof kind);
}

/** Makes the error that a commit ends with. */
export function concluded(txnId: string, failed: unknown, doubt: boolean): unknown {
  const known = failed instanceof errors.StatehouseError;
  const cause = failed instanceof Aborted ? failed.reason : failed;
  if (doubt && !decides(failed)) {
    const why = known ? failed.reason : "it was given up while it was under way";
    const unknown = new errors.OutcomeUnknown(
      `the outcome of transaction ${txnId} is unknown: ${why}`,
      { answered: known && failed.answered, sent: true, cause },
    );
    unknown.txnId = txnId;
    return unknown;
  }
  if (known) failed.maybeApplied = doubt && PASSES.some((kind) => failed instanceof kind);
  return cause;
}

/** Reports whether a try may have been applied, or may yet be. */
export function mayBeApplied(failed: unknown): boolean {
  if (failed instanceof Aborted) return failed.sent;
  if (!(failed instanceof errors.StatehouseError)) return false;
  return failed instanceof errors.OutcomeUnknown || (failed.sent && !failed.answered);
}

/**
 * Reports whether the same request may succeed later. What to do at a limit is for the caller to decide,
 * unless it is one of load, or an earlier try is in doubt.
 */
export function isPassing(failed: unknown, doubt: boolean): failed is errors.StatehouseError {
  if (failed instanceof errors.ConnectionError || failed instanceof errors.OutcomeUnknown) {
    return !failed.lasting;
  }
  return failed instanceof errors.ResourceExhausted && (doubt || failed.retryAfterMs !== undefined);
}

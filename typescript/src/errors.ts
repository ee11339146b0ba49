/**
 * Every error this package throws: one tree under {@link StatehouseError}.
 *
 * All but two are definite. Nothing was applied when one is thrown, except
 *
 * - {@link OutcomeUnknown}: a commit may or may not have been applied;
 * - an error whose `maybeApplied` is true: the daemon refused a commit that had been tried before
 *   without an answer, and that earlier try could yet be applied.
 */

/** What is known of a failure besides its message. */
export interface Facts {
  code?: string;
  details?: { readonly [name: string]: string };
  /** The daemon itself said so. */
  answered?: boolean;
  /** The daemon may have seen the request. */
  sent?: boolean;
  /** Trying again will not help: certificates, a closed client. */
  lasting?: boolean;
  /** Advice that is better than that of the class. */
  advice?: string;
  cause?: unknown;
}

/** A call that failed. */
export class StatehouseError extends Error {
  /** The code of an error that this package itself throws. */
  static code = "INTERNAL_ERROR";
  /** What to do about it; the end of the message. */
  static advice = "";

  /** The contract's name of the error, such as `"CONFLICT"`; without an answer `"UNAVAILABLE"`. */
  readonly code: string;
  /** The facts for a program: `key`, `current_version`, `field`, `limit`… */
  readonly details: { readonly [name: string]: string };
  /** The daemon itself said so. Otherwise nothing came back from it. */
  readonly answered: boolean;
  /** True of a refused commit of which an earlier try could yet be applied. */
  maybeApplied = false;
  /** The message without advice. */
  readonly reason: string;
  /** @internal */
  sent: boolean;
  /** @internal */
  readonly lasting: boolean;

  constructor(reason: string, facts: Facts = {}) {
    const advice = facts.advice ?? new.target.advice;
    super(
      advice ? `${reason}. ${advice}` : reason,
      facts.cause === undefined ? {} : { cause: facts.cause },
    );
    this.name = new.target.name;
    this.reason = reason;
    this.code = facts.code ?? new.target.code;
    this.details = { ...facts.details };
    this.answered = facts.answered ?? false;
    this.sent = facts.sent ?? this.answered;
    this.lasting = facts.lasting ?? false;
  }

  /**
   * Milliseconds after which a daemon that refused for load wants to be asked again. Calls wait that
   * long and try again by themselves while their time lasts.
   */
  get retryAfterMs(): number | undefined {
    const given = this.details.retry_after_ms ?? "";
    return /^\d+$/.test(given) ? Number(given) : undefined;
  }

  /** @internal */
  protected number(detail: string): bigint | undefined {
    const given = this.details[detail] ?? "";
    return /^\d+$/.test(given) ? BigInt(given) : undefined;
  }
}

/** The package is used in a way that cannot work; the message says what does. */
export class UsageError extends StatehouseError {
  static override code = "INVALID_REQUEST";
}

/** The request, or the configuration, breaks a rule; `details.field` says where. */
export class InvalidArgument extends UsageError {}

/** A limit is reached; the message names it. */
export class ResourceExhausted extends StatehouseError {
  static override code = "LIMIT_EXCEEDED";
}

/** The daemon's disk is nearly full: it refuses writes, reads go on. */
export class DiskFull extends ResourceExhausted {
  static override code = "DISK_FULL";
  static override advice =
    "Make space on the daemon's disk: it then accepts writes again by itself";
}

/** More was asked than the daemon can do in time, or than the key may. Nothing was applied. */
export class Overloaded extends ResourceExhausted {
  static override code = "OVERLOADED";
  static override advice =
    "It was tried again as long as there was time: ask less, or allow more time";
}

/** The daemon cannot be reached, does not answer, or is stopping. Of a commit: it was not applied. */
export class ConnectionError extends StatehouseError {
  static override code = "UNAVAILABLE";
  static override advice =
    "Is statehoused running, and is this its address? It is given by address, or by STATEHOUSE_ADDRESS";
}

/** The call's timeout passed before the daemon answered. */
export class DeadlineExceeded extends ConnectionError {
  static override advice =
    "Is the daemon overloaded, or stopped? Otherwise allow more time with timeoutMs";
}

/** The key or token is missing, wrong, expired or revoked. */
export class Unauthenticated extends StatehouseError {
  static override code = "UNAUTHENTICATED";
  static override advice = "Give a key or the token by token, or by STATEHOUSE_TOKEN";
}

/** The key may not do this; the message says what it may not. */
export class PermissionDenied extends StatehouseError {
  static override code = "PERMISSION_DENIED";
  static override advice = "Ask an operator for a key with the permission";
}

/** The daemon does not know the call. */
export class Unimplemented extends StatehouseError {
  static override code = "UNIMPLEMENTED";
  static override advice = "It is older than this package, or not a Statehouse daemon";
}

/** The record never had that version. */
export class NotFoundError extends StatehouseError {
  static override code = "VERSION_NOT_FOUND";
}

/** The value was erased, for good. */
export class Erased extends NotFoundError {
  static override code = "ERASED";
}

/** Older than what the namespace's retention keeps: `details` name what is kept. */
export class OutOfRange extends StatehouseError {
  static override code = "OUT_OF_RANGE";
  static override advice =
    "Begin at floor_ts or oldest_version of the details, or read what is current";
}

/** The store was restored: the cursor, page or commitTs is of an earlier epoch. */
export class EpochChanged extends StatehouseError {
  static override code = "EPOCH_CHANGED";
  static override advice = "Read the state anew, and go on from the cursor that comes with it";
}

/** The daemon found corrupt data on its disk. */
export class DataLoss extends StatehouseError {
  static override code = "DATA_LOSS";
  static override advice = "Stop the daemon and run: statehoused verify DATA_DIR";
}

/** A failure of the daemon, or an answer that breaks the contract. */
export class InternalError extends StatehouseError {}

/** The transaction was not committed: nothing of it was applied. */
export class TransactionError extends StatehouseError {}

/**
 * Something that the transaction read, or expected, has changed meanwhile. `runTransaction` runs the
 * transaction again by itself.
 */
export class ConflictError extends TransactionError {
  static override code = "CONFLICT";
  static override advice =
    "Read again and repeat the transaction; runTransaction does that by itself";

  /** The namespace of what changed. */
  get namespace(): string | undefined {
    return this.details.namespace;
  }
  /** The agent of what changed. */
  get agentId(): string | undefined {
    return this.details.agent_id;
  }
  /** The key that changed; undefined when it is about an agent's head. */
  get key(): string | undefined {
    return this.details.key;
  }
  /** The version the key is at; 0: it does not exist. */
  get currentVersion(): bigint | undefined {
    return this.number("current_version");
  }
  /** The version that was expected, or that the transaction had read; 0: none. */
  get expectedVersion(): bigint | undefined {
    return this.number("expected_version") ?? this.number("seen_version");
  }
}

/**
 * An expected version, or an agent's expected head, is not the current one. `runTransaction` does not
 * repeat it: only the caller knows what to expect now.
 */
export class PreconditionFailed extends ConflictError {
  static override code = "PRECONDITION_FAILED";
  static override advice = "Read it again, decide, and expect the version you have read";

  /** The commitTs of the agent's last commit, when that was expected to be another. */
  get currentHead(): bigint | undefined {
    return this.number("current_head");
  }
  /** The commitTs that was expected to be the agent's last one; 0: no commit. */
  get expectedHead(): bigint | undefined {
    return this.number("expected_head");
  }
}

/** The lease is held, by whomever `details` name. */
export class LeaseHeld extends TransactionError {
  static override code = "LEASE_HELD";
  static override advice = "Wait for it with lease(…, { waitMs }), or let its holder work";

  /** Who holds it, as the holder called itself. */
  get holder(): string | undefined {
    return this.details.holder;
  }
}

/** The lease is not held under that token: it lapsed, was released, or another holds it. */
export class LeaseLost extends TransactionError {
  static override code = "LEASE_LOST";
  static override advice = "Stop the work: another worker may be doing it. Acquire the lease again";
}

/** What is there is not what the operation asks for, or the result is not allowed. */
export class EvaluationFailed extends TransactionError {
  static override code = "EVALUATION_FAILED";
}

/** The transaction reached its timeout and was aborted. */
export class TransactionExpired extends TransactionError {
  static override code = "TXN_EXPIRED";
  static override advice =
    "Do the slow work outside, or ask for more with beginTransaction({ timeoutMs })";
}

/** The state that the transaction reads is gone: the daemon was started again, or restored. */
export class TransactionNotFound extends TransactionError {
  static override code = "TXN_NOT_FOUND";
  static override advice = "Begin again";
}

/** The transaction was aborted. */
export class TransactionAborted extends TransactionError {
  static override code = "TXN_ABORTED";
  static override advice = "Begin again";
}

/** A write to, or an abort of, a transaction that has committed: that stays. */
export class TransactionCommitted extends TransactionError {
  static override code = "TXN_ALREADY_COMMITTED";
}

/** The id stands for other operations already. */
export class TransactionIDReused extends TransactionError {
  static override code = "TXN_ID_REUSED";
  static override advice =
    "Repeat a commit with the very same operations, or give it another txnId";
}

/** Outcomes of the id's age are gone, so applying it could be applying it again. */
export class TransactionTooOld extends TransactionError {
  static override code = "TXN_TOO_OLD";
  static override advice = "Read the state to see whether it was applied";
}

/**
 * A commit may or may not have been applied, or may yet be.
 *
 * Ask `client.getTransaction(error.txnId)`, or send the same operations again under the same id: they
 * take effect once. It is no {@link TransactionError}, for that guarantees that nothing was applied.
 */
export class OutcomeUnknown extends StatehouseError {
  static override code = "OUTCOME_UNKNOWN";
  static override advice =
    "Ask getTransaction(error.txnId), or transact the same again under that txnId";

  /** The id to ask for. */
  txnId = "";
}

type ErrorClass = { new (reason: string, facts?: Facts): StatehouseError; code: string };

/**
 * The one table from the contract's codes to errors. A code that is not in it comes from a newer
 * daemon and is an InternalError.
 */
export const BY_CODE: ReadonlyMap<string, ErrorClass> = new Map<string, ErrorClass>([
  ...[
    InvalidArgument,
    ResourceExhausted,
    DiskFull,
    Overloaded,
    ConnectionError,
    Unauthenticated,
    PermissionDenied,
    OutOfRange,
    Erased,
    EpochChanged,
    NotFoundError,
    DataLoss,
    ConflictError,
    PreconditionFailed,
    LeaseHeld,
    LeaseLost,
    EvaluationFailed,
    TransactionExpired,
    TransactionNotFound,
    TransactionAborted,
    TransactionCommitted,
    TransactionIDReused,
    TransactionTooOld,
    OutcomeUnknown,
  ].map((kind): [string, ErrorClass] => [kind.code, kind]),
  ["KEY_NOT_FOUND", NotFoundError],
  ["NOT_LEADER", ConnectionError],
]);

/** Makes the error for an answer that breaks the contract. */
export function broken(what: string): InternalError {
  return new InternalError(`the daemon's answer breaks the contract: ${what}`, { answered: true });
}

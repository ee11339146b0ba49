/**
 * Transactions, which live in the client until they commit.
 *
 * What is written is kept here, and seen by the transaction's own reads. The commit is one request, a
 * Transact under the transaction's id, which carries that and what was read: the daemon makes it only if
 * all that was read still holds. So the daemon keeps nothing, a request that arrives late undoes nothing,
 * and the whole transaction may be sent again.
 */

import { create } from "@bufbuild/protobuf";
import { NATIVE, transacted } from "./answers.js";
import type { Caller, CallOptions } from "./calls.js";
import * as check from "./check.js";
import { Deadline } from "./deadline.js";
import * as errors from "./errors.js";
import type { JsonObject } from "./json.js";
import { conditions, isEvaluated, operation } from "./messages.js";
import {
  type AnyOperation,
  type ContentOptions,
  type Expecting,
  type IncrementOptions,
  op,
  type Precondition,
  type Within,
  type Writable,
  type WriteOptions,
} from "./operations.js";
import { decides } from "./outcomes.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import { newTxnId } from "./txnids.js";
import { TxnReader } from "./txnreads.js";
import type { Commit, OperationResult } from "./types.js";
import { type LeaseLike, required, tellLost } from "./writes.js";

/** How a transaction begins. */
export interface TxnOptions {
  /** Milliseconds from its begin until it is too late to commit; by default 30,000. */
  timeoutMs?: number;
  /** Provenance that goes with the commit: actor, reason, run_id… */
  metadata?: { readonly [key: string]: string };
  /** Leases that must be held for the commit. */
  leases?: Iterable<LeaseLike>;
  /** Of what begins it, and of a retried run. */
  signal?: AbortSignal;
}

/** The names of a transaction's options. */
export const TXN = ["timeoutMs", "metadata", "leases", "signal"];

/** Milliseconds that a transaction has, unless its user says otherwise. */
const TIMEOUT = 30_000;

/** What comes of an operation that is evaluated when the transaction commits. */
export class Pending {
  readonly #find: () => OperationResult | undefined;

  /** @internal */
  constructor(find: () => OperationResult | undefined) {
    this.#find = find;
  }

  /** The result, once the transaction has committed; before that it throws. */
  get result(): OperationResult {
    const found = this.#find();
    if (found === undefined) {
      throw new errors.UsageError("what came of it is known when the transaction has committed");
    }
    return found;
  }
}

/** A transaction, as `beginTransaction` gives it. It is open until `commit()` or `abort()`. */
export class Transaction extends TxnReader {
  /** Provenance that goes with the commit. Change it before. */
  metadata: { [key: string]: string };
  /** Further conditions of the commit. Change them before. */
  readonly preconditions: Precondition[] = [];
  /** Leases that must be held for the commit. Change them before. */
  readonly leases: LeaseLike[];
  /** Calls that commit. */
  #committing = 0;
  /** It may have been applied, or may yet be. */
  #doubt = false;

  /** @internal */
  constructor(caller: Caller, options: TxnOptions, deadline: Deadline) {
    super(caller, newTxnId(), deadline);
    this.metadata = check.textMap("metadata", options.metadata);
    this.leases = options.leases === undefined ? [] : check.items("leases", options.leases);
  }

  /** The commit, once it is known. */
  get committed(): Commit | undefined {
    const { outcome } = this;
    return outcome instanceof errors.StatehouseError ? undefined : outcome;
  }

  write(agentId: string, key: string, value: Writable, options?: WriteOptions): void {
    this.#add(op.write(agentId, key, value, options));
  }

  delete(agentId: string, key: string, options?: Expecting): void {
    this.#add(op.delete(agentId, key, options));
  }

  append(agentId: string, prefix: string, value: Writable, options?: ContentOptions): Pending {
    return this.#add(op.append(agentId, prefix, value, options));
  }

  increment(
    agentId: string,
    key: string,
    pointer: string,
    delta?: number | bigint,
    options?: IncrementOptions,
  ): Pending {
    return this.#add(op.increment(agentId, key, pointer, delta, options));
  }

  merge(agentId: string, key: string, patch: JsonObject, options?: Expecting): Pending {
    return this.#add(op.merge(agentId, key, patch, options));
  }

  putIfAbsent(agentId: string, key: string, value: Writable, options?: ContentOptions): Pending {
    return this.#add(op.putIfAbsent(agentId, key, value, options));
  }

  deletePrefix(agentId: string, prefix: string, options?: Within): Pending {
    return this.#add(op.deletePrefix(agentId, prefix, options));
  }

  #add(given: AnyOperation): Pending {
    this.checkOpen();
    const message = operation(this.caller, given, true);
    this.staged.put(message);
    this.checkSize();
    return new Pending(() => this.committed?.results[this.staged.place(message)]);
  }

  /** Makes all that was staged durable, or none of it. Called again it answers the same. */
  async commit(options?: CallOptions): Promise<Commit> {
    check.options(options, "signal", "timeoutMs");
    const { outcome } = this;
    if (outcome !== undefined && !(outcome instanceof errors.StatehouseError)) return outcome;
    if (this.request === undefined) {
      this.checkOpen();
      this.request = this.#whole();
    } else if (outcome !== undefined) {
      throw outcome;
    }
    this.#committing += 1;
    try {
      const commit = await this.#send(this.request, options);
      this.outcome ??= commit;
      return commit;
    } catch (failed) {
      this.#failed(failed);
      throw failed;
    } finally {
      this.#committing -= 1;
    }
  }

  /** Drops it. One that may have been committed is {@link errors.OutcomeUnknown}. */
  async abort(): Promise<void> {
    if (this.committed) this.checkOpen();
    if (this.outcome === undefined && this.request !== undefined) {
      const unknown = new errors.OutcomeUnknown(
        `transaction ${this.txnId} is not aborted, for it may have been committed`,
      );
      unknown.txnId = this.txnId;
      throw unknown;
    }
    this.giveUp();
  }

  /** Aborts it unless it was committed: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.giveUp();
  }

  /** Aborts it, unless it may have been committed. @internal */
  giveUp(): void {
    if (this.request !== undefined) return;
    this.outcome ??= new errors.TransactionAborted(`transaction ${this.txnId} was aborted`);
  }

  /** Reports whether it has ended. @internal */
  get ended(): boolean {
    return this.outcome !== undefined;
  }

  /** Makes the request that is the whole transaction. */
  #whole(): pb.TransactRequest {
    const given = [...this.preconditions, ...this.leases.map(required)];
    const { keyPreconditions, headPreconditions } = conditions(this.caller, given);
    const operations = this.staged.operations();
    const request = create(pb.TransactRequestSchema, {
      txnId: this.txnId,
      operations,
      keyPreconditions: [...this.staged.conditions(), ...keyPreconditions],
      headPreconditions,
      metadata: check.textMap("metadata", this.metadata),
    });
    if (operations.some(isEvaluated)) request.encoding = NATIVE;
    if (!this.reads.empty) {
      request.reads = this.reads.message();
      // Which a daemon that ignores reads refuses.
      request.keyPreconditions.push(create(pb.KeyPreconditionSchema));
    }
    return request;
  }

  async #send(request: pb.TransactRequest, options: CallOptions | undefined): Promise<Commit> {
    const conditional = request.keyPreconditions.length > (request.reads ? 1 : 0);
    if (request.operations.length === 0 && !conditional && request.headPreconditions.length === 0) {
      // What was read is of one commit: there is nothing to ask.
      const { txnId, snapshotTs: commitTs } = this;
      return {
        txnId,
        commitTs,
        timestamp: undefined,
        version: 0n,
        versions: [],
        results: [],
        keys: 0,
      };
    }
    try {
      const response = await this.caller
        .for(options)
        .commit(request, check.signal(options?.signal), {
          until: this.deadline,
          doubt: this.#doubt,
        });
      return transacted(request, response, true);
    } catch (failed) {
      if (failed instanceof errors.EpochChanged) {
        this.caller.endpoint.epoch = failed.details.epoch ?? "";
        this.outcome ??= failed;
      }
      if (failed instanceof errors.LeaseLost) tellLost(this.leases, failed);
      const gone =
        failed instanceof errors.InvalidArgument && failed.details.field === "snapshot_ts";
      throw gone ? this.forgotten(failed) : failed;
    }
  }

  /** Keeps how the commit ended. Unless it may have been made, an open transaction stays open. */
  #failed(failed: unknown): void {
    const unknown =
      failed instanceof errors.OutcomeUnknown ||
      (failed instanceof errors.StatehouseError && failed.maybeApplied);
    if (unknown) this.#doubt = true;
    else if (decides(failed)) this.outcome ??= failed as errors.StatehouseError;
    else if (this.#committing === 1 && !this.#doubt) this.request = undefined;
  }
}

/** Begins a transaction. Nothing of it is sent, but there has to be a connection. */
export async function begin(caller: Caller, options: TxnOptions): Promise<Transaction> {
  check.options(options, ...TXN);
  const ms =
    options.timeoutMs === undefined ? TIMEOUT : check.milliseconds("timeoutMs", options.timeoutMs);
  const signal = check.signal(options.signal);
  const { endpoint } = caller;
  if (endpoint.epoch === undefined) {
    // A transaction that says to have read nothing asks for the store's epoch.
    const probe = create(pb.TransactRequestSchema, { txnId: newTxnId(), reads: {} });
    try {
      endpoint.epoch = (await caller.call("transact", probe, signal)).epoch;
    } catch (refused) {
      if (!(refused instanceof errors.InvalidArgument)) throw refused;
      throw new errors.Unimplemented(
        `the daemon does not know what a transaction has read (${refused.reason})`,
        { answered: true },
      );
    }
  } else {
    await caller.connect("beginTransaction", signal);
  }
  return new Transaction(caller, options, new Deadline(ms));
}

/** Runs a function in one transaction after another until one commits. */
export async function run<T>(
  caller: Caller,
  work: (txn: Transaction) => Promise<T> | T,
  options: TxnOptions,
): Promise<T> {
  if (typeof work !== "function") {
    throw check.refused("work", `runTransaction takes a function, not ${check.brief(work)}`);
  }
  const deadline = new Deadline(caller.options.timeoutMs);
  for (let tries = 0; ; tries++) {
    const txn = await begin(caller, options);
    try {
      const result = await work(txn);
      await txn.commit({ ...(options.signal && { signal: options.signal }) });
      return result;
    } catch (failed) {
      if (!txn.ended) txn.giveUp();
      if (!isWorthRepeating(failed, caller)) throw failed;
      try {
        await caller.pause("runTransaction", tries, deadline, failed, options.signal);
      } catch (over) {
        throw over instanceof errors.DeadlineExceeded ? failed : over;
      }
    }
  }
}

/** Reports whether a fresh transaction may succeed. */
function isWorthRepeating(failed: unknown, caller: Caller): failed is errors.StatehouseError {
  if (failed instanceof errors.OutcomeUnknown || failed instanceof errors.PreconditionFailed) {
    return false;
  }
  if (
    failed instanceof errors.ConflictError ||
    failed instanceof errors.TransactionNotFound ||
    failed instanceof errors.EpochChanged
  ) {
    return true;
  }
  return failed instanceof errors.ConnectionError && !failed.lasting && !caller.options.failFast;
}

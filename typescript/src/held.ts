/**
 * Transactions that the daemon holds until they commit: for those who want it to know of them.
 *
 * Each call is a request. A write whose answer is lost is not sent again, for a late duplicate could undo a
 * later write of its record, so the transaction cannot commit then.
 */

import { create } from "@bufbuild/protobuf";
import { committed } from "./answers.js";
import type { Caller, CallOptions } from "./calls.js";
import * as check from "./check.js";
import * as errors from "./errors.js";
import { conditions, content } from "./messages.js";
import type { Expecting, Precondition, Writable } from "./operations.js";
import { decides } from "./outcomes.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import { Reader, type ReadOptions } from "./reads.js";
import type { Answer, Request } from "./transport.js";
import type { TxnOptions } from "./txn.js";
import { atSnapshot } from "./txnreads.js";
import type { Commit } from "./types.js";
import { type LeaseLike, required, tellLost } from "./writes.js";

/** Milliseconds that aborting a transaction which is given up may take. It expires anyway. */
const FAREWELL = 1000;

/** How a record is written in a transaction that the daemon holds: without deadlines. */
export interface HeldWriteOptions extends Expecting {
  /** Of bytes: a media type, such as `"image/png"`. */
  contentType?: string;
}

/**
 * A transaction that the daemon holds, as `beginTransaction({ held: true })` gives it. It reads a snapshot of
 * its begin, and is gone when the daemon is started again.
 */
export class HeldTransaction extends Reader {
  /** The id to ask `getTransaction` for. */
  readonly txnId: string;
  /** The commitTs of the state it reads. */
  readonly snapshotTs: bigint;
  /** Milliseconds from its begin until the daemon aborts it. */
  readonly timeoutMs: number;
  /** Provenance that goes with the commit. Change it before. */
  metadata: { [key: string]: string };
  /** Further conditions of the commit. Change them before. */
  readonly preconditions: Precondition[] = [];
  /** Leases that must be held for the commit. Change them before. */
  readonly leases: LeaseLike[];
  /** @internal */
  protected readonly caller: Caller;
  #outcome: Commit | errors.StatehouseError | undefined;
  /** A write that got no answer. */
  #lost: errors.StatehouseError | undefined;

  /** @internal */
  constructor(caller: Caller, options: TxnOptions, begun: pb.BeginTransactionResponse) {
    super();
    this.caller = caller;
    this.txnId = begun.txnId;
    this.snapshotTs = begun.snapshotTs;
    this.timeoutMs = Number(begun.timeoutMs);
    this.metadata = check.textMap("metadata", options.metadata);
    this.leases = options.leases === undefined ? [] : check.items("leases", options.leases);
  }

  /** The commit, once it is known. */
  get committed(): Commit | undefined {
    const outcome = this.#outcome;
    return outcome instanceof errors.StatehouseError ? undefined : outcome;
  }

  /** Stages a write. One that gets no answer is not sent again: the transaction cannot commit then. */
  async write(
    agentId: string,
    key: string,
    value: Writable,
    options: HeldWriteOptions = {},
  ): Promise<void> {
    check.options(options, "expectedVersion", "namespace", "contentType");
    const request = create(pb.WriteRequestSchema, {
      txnId: this.txnId,
      ...this.named(agentId, key, options.namespace),
      ...expected(options),
      ...content(value, options.contentType),
    });
    await this.#tell("write", request);
  }

  /** Stages a delete, as {@link write} does. */
  async delete(agentId: string, key: string, options: Expecting = {}): Promise<void> {
    check.options(options, "expectedVersion", "namespace");
    const request = create(pb.DeleteRequestSchema, {
      txnId: this.txnId,
      ...this.named(agentId, key, options.namespace),
      ...expected(options),
    });
    await this.#tell("delete", request);
  }

  async #tell<M extends "write" | "delete">(name: M, request: Request<M>): Promise<void> {
    try {
      await this.caller.callOnce(name, request);
    } catch (failed) {
      if (failed instanceof errors.StatehouseError && failed.sent && !failed.answered) {
        this.#lost = failed;
      }
      throw failed;
    }
  }

  /** Makes all that was staged durable, or none of it. Called again it answers the same. */
  async commit(options?: CallOptions): Promise<Commit> {
    check.options(options, "signal", "timeoutMs");
    if (this.#outcome instanceof errors.StatehouseError) throw this.#outcome;
    if (this.#outcome !== undefined) return this.#outcome;
    this.#checkWhole();
    const request = create(pb.CommitRequestSchema, {
      txnId: this.txnId,
      metadata: check.textMap("metadata", this.metadata),
      ...conditions(this.caller, [...this.preconditions, ...this.leases.map(required)]),
    });
    try {
      const caller = this.caller.for(options);
      const answer = await caller.commitHeld(request, check.signal(options?.signal));
      this.#outcome ??= committed(this.txnId, answer);
      return this.#outcome as Commit;
    } catch (failed) {
      if (failed instanceof errors.LeaseLost) tellLost(this.leases, failed);
      if (decides(failed)) this.#outcome ??= failed as errors.StatehouseError;
      throw failed;
    }
  }

  #checkWhole(): void {
    const lost = this.#lost;
    if (lost === undefined) return;
    throw new errors.TransactionError(
      `transaction ${this.txnId} is not committed, for it is not known whether all its writes arrived (${lost.reason}): begin again`,
      { code: lost.code, cause: lost },
    );
  }

  /** Drops it. One that was committed is {@link errors.TransactionCommitted}. */
  async abort(options?: CallOptions): Promise<void> {
    check.options(options, "signal", "timeoutMs");
    await this.#abort(this.caller.for(options), check.signal(options?.signal));
  }

  async #abort(caller: Caller, signal?: AbortSignal): Promise<void> {
    await caller.call("abort", create(pb.AbortRequestSchema, { txnId: this.txnId }), signal);
    this.#outcome ??= new errors.TransactionAborted(`transaction ${this.txnId} was aborted`);
  }

  /** Aborts it unless it has ended, if the daemon can be reached; otherwise it expires. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#outcome !== undefined) return;
    try {
      await this.#abort(this.caller.within(FAREWELL));
    } catch (failed) {
      if (!(failed instanceof errors.StatehouseError)) throw failed;
    }
  }

  /** @internal */
  protected override moment(options: ReadOptions | undefined) {
    return atSnapshot(options);
  }

  /** @internal */
  protected override ask<M extends "getState" | "batchGetState" | "listKeys" | "scanPrefix">(
    caller: Caller,
    name: M,
    request: Request<M>,
    signal: AbortSignal | undefined,
  ): Promise<Answer<M>> {
    request.txnId = this.txnId;
    request.at = undefined; // a later page's, too, is its snapshot
    return super.ask(caller, name, request, signal);
  }
}

function expected({ expectedVersion }: Expecting) {
  if (expectedVersion === undefined) return {};
  return { expectedVersion: check.count("expectedVersion", expectedVersion) };
}

/** Begins one. It may be repeated: a transaction whose id was lost expires. */
export async function beginHeld(caller: Caller, options: TxnOptions): Promise<HeldTransaction> {
  const { timeoutMs } = options;
  const given =
    timeoutMs === undefined ? {} : { timeoutMs: check.wholeMilliseconds("timeoutMs", timeoutMs) };
  const request = create(pb.BeginTransactionRequestSchema, given);
  const begun = await caller.call("beginTransaction", request, check.signal(options.signal));
  return new HeldTransaction(caller, options, begun);
}

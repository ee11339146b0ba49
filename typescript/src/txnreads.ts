/**
 * Reading in a transaction.
 *
 * What is read is read as of one commit, the one that the first answer was of, under what the transaction
 * has written. It is remembered as far as the user was told of it.
 */

import { create } from "@bufbuild/protobuf";
import { type Named, valueIn } from "./answers.js";
import { type Caller, expired } from "./calls.js";
import * as check from "./check.js";
import type { Deadline } from "./deadline.js";
import * as errors from "./errors.js";
import { DEFAULT_CONTENT_TYPE } from "./messages.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import { type KeysOptions, type Listed, ordered, Reader, type ReadOptions } from "./reads.js";
import { ReadSet, Stretch } from "./readset.js";
import { over, Staged, TOGETHER } from "./staged.js";
import type { Answer, Request } from "./transport.js";
import type { AnyValue, Commit, RecordName, StateRecord } from "./types.js";

type Asked = "getState" | "batchGetState" | "listKeys" | "scanPrefix";

/** What a transaction has read and written, while it is open. */
export abstract class TxnReader extends Reader {
  /** The id to ask `getTransaction` for. */
  readonly txnId: string;
  /** @internal */
  protected readonly caller: Caller;
  /** @internal */
  protected readonly staged = new Staged();
  /** @internal */
  protected readonly reads: ReadSet;
  /** @internal */
  protected readonly deadline: Deadline;
  /** What is being committed, or has been without an answer. It is not changed any more. @internal */
  protected request: pb.TransactRequest | undefined;
  /** @internal */
  protected outcome: Commit | errors.StatehouseError | undefined;

  constructor(caller: Caller, txnId: string, deadline: Deadline) {
    super();
    this.caller = caller;
    this.txnId = txnId;
    this.deadline = deadline;
    this.reads = new ReadSet(caller.endpoint.epoch ?? "");
  }

  /** The commitTs of the state it reads; 0 before its first read. */
  get snapshotTs(): bigint {
    return this.reads.snapshot ?? 0n;
  }

  /** Reads a record, as of the transaction's snapshot, under its own writes. */
  override async getState<V = AnyValue>(
    agentId: string,
    key: string,
    options?: ReadOptions,
  ): Promise<StateRecord<V> | null> {
    this.moment(options);
    const own = this.#own(this.named(agentId, key, options?.namespace));
    return own ? this.#shown(own) : super.getState(agentId, key, options);
  }

  override async getMany<V = AnyValue>(
    agentId: string,
    keys: Iterable<string | RecordName>,
    options?: ReadOptions,
  ): Promise<(StateRecord<V> | null)[]> {
    this.checkOpen();
    return super.getMany(agentId, keys, options);
  }

  /** @internal */
  protected override async many(names: Named[], options: ReadOptions | undefined) {
    const own = names.map((name) => this.#own(name));
    const others = await super.many(
      names.filter((_, at) => own[at] === undefined),
      options,
    );
    return own.map((operation) => (operation ? this.#shown(operation) : (others.shift() ?? null)));
  }

  /**
   * Hands out keys. With a delimiter it lists all keys, for what a transaction reads is stretches of
   * keys, and makes folders of them here.
   */
  override scanKeys(
    agentId: string,
    options: KeysOptions = {},
  ): AsyncGenerator<string, void, undefined> {
    const { delimiter, limit, ...rest } = options;
    if (!delimiter) return super.scanKeys(agentId, options);
    const feed = super.scanKeys(agentId, rest);
    return folded(
      feed,
      check.text("delimiter", delimiter),
      (options.prefix ?? "").length,
      check.limit(limit),
    );
  }

  /** Refuses what cannot be done any more. @internal */
  protected checkOpen(): void {
    if (this.outcome === undefined && this.request === undefined && this.deadline.over()) {
      this.outcome = expired(this.txnId);
    }
    const { outcome } = this;
    if (outcome instanceof errors.StatehouseError) throw outcome;
    if (outcome !== undefined) {
      throw new errors.TransactionCommitted(
        `transaction ${this.txnId} has committed already: begin a new one`,
      );
    }
    if (this.request !== undefined) {
      throw new errors.TransactionCommitted(`transaction ${this.txnId} is being committed`);
    }
  }

  /** Refuses what no message can carry. @internal */
  protected checkSize(): void {
    const size = this.staged.bytes + this.reads.bytes;
    if (size > TOGETHER) throw over("bytes written and read", size, TOGETHER);
  }

  /** @internal */
  protected override moment(options: ReadOptions | undefined) {
    return atSnapshot(options);
  }

  /** @internal */
  protected override async ask<M extends Asked>(
    caller: Caller,
    name: M,
    request: Request<M>,
    signal: AbortSignal | undefined,
  ): Promise<Answer<M>> {
    for (;;) {
      this.checkOpen();
      const at = this.reads.snapshot;
      // A page is pinned to the commit of the page before.
      const pinned = "pageToken" in request && request.pageToken !== "";
      if (at !== undefined && !pinned) {
        request.at = create(pb.AtSchema, { point: { case: "commitTs", value: at } });
      }
      let answer: Answer<M>;
      try {
        answer = await super.ask(caller, name, request, signal);
      } catch (refused) {
        const gone = refused instanceof errors.InvalidArgument && refused.details.field === "at";
        throw at !== undefined && gone ? this.forgotten(refused) : refused;
      }
      this.checkOpen();
      this.reads.snapshot ??= answer.readTs;
      if (this.reads.snapshot === answer.readTs) return answer;
      if (at !== undefined || pinned)
        throw errors.broken(`a read at ${answer.readTs}, not at ${at}`);
      // Another read, which was answered first, is of another commit.
    }
  }

  /**
   * Makes the error for a snapshot that the daemon does not have any more: it kept nothing when it was
   * started again. @internal
   */
  protected forgotten(refused: errors.StatehouseError): errors.TransactionNotFound {
    return new errors.TransactionNotFound(
      `transaction ${this.txnId} reads a state that is gone: ${refused.reason}`,
      { answered: true },
    );
  }

  /** @internal */
  protected override told(of: Named, answer: pb.GetStateResponse, readTs: bigint) {
    this.reads.saw(of, answer.version);
    this.checkSize();
    return super.told(of, answer, readTs);
  }

  /**
   * Asks for page after page, and puts what the transaction has written among what is there. @internal
   */
  protected override async *list<M extends "listKeys" | "scanPrefix", T>(
    listed: Listed<M, T>,
  ): AsyncGenerator<T, void, undefined> {
    const { request } = listed;
    const stretch = new Stretch(request);
    let left = listed.limit;
    let after = ""; // what comes up to it has been handed out
    while (left > 0) {
      request.limit = Math.min(listed.caller.options.pageSize, left);
      const answer = await this.ask(listed.caller, listed.method, request, listed.signal);
      const stored = new Map(listed.items(answer).map((item) => [keyOf(item), item]));
      const more = answer.nextPageToken !== "";
      if (more && (stored.size === 0 || answer.nextPageToken === request.pageToken)) {
        throw errors.broken("a page that leads to no other");
      }
      const until = more ? ([...stored.keys()].at(-1) as string) : "";
      const page = this.#withOwn(listed, stored, after, until);
      for (const item of page.slice(0, left)) {
        this.reads.reach(stretch, keyOf(item));
        this.checkSize();
        yield item;
      }
      left -= page.length;
      if (!more) {
        if (left >= 0) this.reads.reach(stretch, ""); // all of it was handed out
        return;
      }
      request.pageToken = answer.nextPageToken;
      after = until;
    }
  }

  /** Puts own writes after one key and up to another (empty: the end) into a page. */
  #withOwn<M extends "listKeys" | "scanPrefix", T>(
    { method, request }: Listed<M, T>,
    stored: Map<string, T>,
    after: string,
    until: string,
  ): T[] {
    const { prefix, reverse } = request;
    const undecided = this.staged.undecidedWithin(request, prefix);
    if (undecided) throw undecidedError(`the keys under ${JSON.stringify(prefix)}`, undecided);
    const compare = ordered(reverse);
    for (const operation of this.staged.within(request, prefix)) {
      const { key } = operation;
      if ((after && compare(key, after) <= 0) || (until && compare(key, until) > 0)) continue;
      const shown = this.#shown(operation);
      if (shown === null) stored.delete(key);
      else stored.set(key, (method === "listKeys" ? key : shown) as T);
    }
    return [...stored.keys()].sort(compare).map((key) => stored.get(key) as T);
  }

  /** Returns what the transaction has written of a record. */
  #own(of: Named): pb.TransactOperation | undefined {
    this.checkOpen();
    const undecided = this.staged.undecided(of);
    if (undecided) throw undecidedError(`key ${JSON.stringify(of.key)}`, undecided);
    return this.staged.get(of);
  }

  /** Makes the record that an own write is to be. */
  #shown(own: pb.TransactOperation): StateRecord | null {
    if (own.delete) return null;
    const said = own.put ?? create(pb.PutSchema, { valueJson: own.valueJson });
    const bytes = said.valueBytes !== undefined;
    return {
      key: own.key,
      value: bytes ? Uint8Array.from(said.valueBytes as Uint8Array) : valueIn(said),
      version: 0n, // it has none yet
      commitTs: 0n,
      timestamp: new Date(0),
      agentId: own.agentId,
      namespace: own.namespace,
      readTs: this.snapshotTs,
      erased: false,
      pruned: false,
      contentType: bytes ? said.contentType || DEFAULT_CONTENT_TYPE : "",
      expiresAt: undefined,
      dueAt: undefined,
      metadata: undefined,
    };
  }
}

/** Refuses points of a read that is at a transaction's snapshot. */
export function atSnapshot(options: ReadOptions | undefined) {
  for (const field of ["at", "minReadTs", "maxStalenessMs"] as const) {
    if (options?.[field] !== undefined) {
      throw check.refused(
        field,
        `a read inside a transaction is at its snapshot: leave ${field} out`,
      );
    }
  }
  return { minReadTs: 0n, maxStalenessMs: 0n };
}

async function* folded(
  feed: AsyncIterable<string>,
  delimiter: string,
  prefix: number,
  left: number,
) {
  let last: string | undefined;
  if (left === 0) return;
  for await (const key of feed) {
    const at = key.indexOf(delimiter, prefix);
    const shown = at < 0 ? key : key.slice(0, at + delimiter.length);
    if (shown === last) continue;
    last = shown;
    yield shown;
    left -= 1;
    if (left === 0) return;
  }
}

/** Makes the error for a read of what only the commit decides. */
function undecidedError(what: string, op: pb.TransactOperation): errors.UsageError {
  const { put } = op;
  const done = put?.append
    ? "an append"
    : put?.ifAbsent
      ? "a putIfAbsent"
      : op.increment
        ? "an increment"
        : op.mergeJson.length > 0
          ? "a merge"
          : "a deletePrefix";
  return new errors.UsageError(
    `${what} of agent ${JSON.stringify(op.agentId)} cannot be read here: the transaction has staged ${done}, and what comes of it is known when it commits: read before, or after the commit`,
  );
}

function keyOf(item: unknown): string {
  return typeof item === "string" ? item : (item as StateRecord).key;
}

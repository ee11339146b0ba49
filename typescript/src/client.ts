/** The client: what is asked and written outside of transactions. */

import { create } from "@bufbuild/protobuf";
import type { Named } from "./answers.js";
import { BEHAVIOUR, type BehaviourOptions, behaviourOf } from "./behaviour.js";
import { Caller, type CallOptions } from "./calls.js";
import * as check from "./check.js";
import { type Claim, type ClaimOptions, claim } from "./claims.js";
import { DaemonReader } from "./daemon.js";
import { type EndpointOptions, endpoints, setting } from "./endpoint.js";
import { broken, UsageError } from "./errors.js";
import { outcome, split } from "./evaluated.js";
import { beginHeld, type HeldTransaction } from "./held.js";
import type { JsonObject } from "./json.js";
import { acquire, type Lease } from "./leases.js";
import { Members } from "./members.js";
import type { LeaseOptions } from "./obtaining.js";
import {
  type AnyOperation,
  type ContentOptions,
  type IncrementOptions,
  op,
  type Writable,
  type WriteOptions,
} from "./operations.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import { Renewals } from "./renewals.js";
import { moment, type Point } from "./times.js";
import { type Connection, Transport } from "./transport.js";
import { begin, run, type Transaction, TXN, type TxnOptions } from "./txn.js";
import type { AnyValue, Commit, RecordName, StateRecord, TxnOutcome } from "./types.js";
import { type CommitOptions, commitOf, outcomeOf } from "./writes.js";

export type ClientOptions = EndpointOptions & BehaviourOptions;

const ENDPOINT = [
  "address",
  "addresses",
  "token",
  "tls",
  "caFile",
  "certFile",
  "keyFile",
  "headers",
  "plaintextToken",
  "sessions",
];

/** Refreshed in one request. */
const REFRESHED = 1000;

type InNamespace = { namespace?: string };

/** A client of a Statehouse daemon. It connects when it is first used. */
export class Statehouse extends DaemonReader {
  /** @internal */
  protected readonly caller: Caller;
  readonly #renewals: Renewals;
  readonly #own: boolean;

  constructor(options: ClientOptions | string = {}) {
    super();
    if (options instanceof Caller) {
      // Made by withOptions, for another view of the same connection.
      this.caller = options;
      this.#renewals = shared.get(options.transport) as Renewals;
      this.#own = false;
      return;
    }
    const given = typeof options === "string" ? { address: options } : options;
    check.options(given, ...ENDPOINT, ...BEHAVIOUR);
    const behaviour = behaviourOf(given, {
      namespace: setting("STATEHOUSE_NAMESPACE") ?? "default",
      timeoutMs: 30_000,
      attemptTimeoutMs: 10_000,
      failFast: false,
      pageSize: 1000,
    });
    const found = endpoints(given).map((endpoint) => new Transport(endpoint));
    const one = found.length === 1 ? found[0] : undefined;
    this.caller = new Caller(behaviour, one ?? new Members(found));
    this.#renewals = new Renewals(this.caller);
    this.#own = true;
    shared.set(this.caller.transport, this.#renewals);
  }

  /** Makes a client with other options on the same connection, which is closed with the first one. */
  withOptions(options: BehaviourOptions): Statehouse {
    check.options(options, ...BEHAVIOUR);
    const caller = this.caller.with(behaviourOf(options, this.caller.options));
    return new Statehouse(caller as never);
  }

  /**
   * Closes the connection. Calls that are under way fail, of a commit with `OutcomeUnknown`: it may be made
   * all the same. Leases that are held count as lost, and lapse by themselves.
   */
  close(): void {
    if (!this.#own) {
      throw new UsageError("close the client that this one was made of: they share a connection");
    }
    this.#renewals.close();
    this.caller.transport.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#own) this.close();
  }

  // Writing.

  /** Writes a record: a JSON object, or bytes. Its `version` is the one that the key got. */
  async write(
    agentId: string,
    key: string,
    value: Writable,
    options?: WriteOptions & CommitOptions,
  ): Promise<Commit> {
    const [of, commit] = split<WriteOptions>(options);
    return this.transact([op.write(agentId, key, value, of)], commit);
  }

  /** Deletes a record. Its history stays. */
  async delete(
    agentId: string,
    key: string,
    options?: { expectedVersion?: check.Integer } & InNamespace & CommitOptions,
  ): Promise<Commit> {
    const [of, commit] = split(options);
    return this.transact([op.delete(agentId, key, of)], commit);
  }

  /** Writes the next record of a sequence, and returns it with the key that it got. */
  async append<V extends Writable>(
    agentId: string,
    prefix: string,
    value: V,
    options?: ContentOptions & CommitOptions,
  ): Promise<StateRecord<V>> {
    const [of, commit] = split<ContentOptions>(options);
    return this.#one(op.append(agentId, prefix, value, of), commit);
  }

  /** Adds to the number at a JSON Pointer, exactly, and returns the record. */
  async increment<V = AnyValue>(
    agentId: string,
    key: string,
    pointer: string,
    delta?: number | bigint,
    options?: IncrementOptions & CommitOptions,
  ): Promise<StateRecord<V>> {
    const [of, commit] = split<IncrementOptions>(options);
    return this.#one(op.increment(agentId, key, pointer, delta, of), commit);
  }

  /** Merges a JSON Merge Patch (RFC 7396) into a record, and returns it. */
  async merge<V = AnyValue>(
    agentId: string,
    key: string,
    patch: JsonObject,
    options?: { expectedVersion?: check.Integer } & InNamespace & CommitOptions,
  ): Promise<StateRecord<V>> {
    const [of, commit] = split(options);
    return this.#one(op.merge(agentId, key, patch, of), commit);
  }

  /** Writes a record unless it exists: returns what is there then, and whether this created it. */
  async putIfAbsent<V = AnyValue>(
    agentId: string,
    key: string,
    value: Writable,
    options?: ContentOptions & CommitOptions,
  ): Promise<{ record: StateRecord<V>; created: boolean }> {
    const [of, commit] = split<ContentOptions>(options);
    const write = op.putIfAbsent(agentId, key, value, of);
    const done = await this.transact([write], commit);
    if (!done.results[0]?.existed) return { record: outcome(done, write), created: true };
    const within = of.namespace === undefined ? {} : { namespace: of.namespace };
    const found = await this.getStateAtVersion<V>(agentId, key, done.version, {
      ...within,
      ...(commit.signal && { signal: commit.signal }),
    });
    if (!found) throw broken(`version ${done.version} of a key that exists is a delete`);
    return { record: found, created: false };
  }

  /** Deletes every key of an agent that starts with a prefix, in one commit. */
  async deletePrefix(
    agentId: string,
    prefix: string,
    options?: InNamespace & CommitOptions,
  ): Promise<Commit> {
    const [of, commit] = split<InNamespace>(options);
    return this.transact([op.deletePrefix(agentId, prefix, of)], commit);
  }

  /** Deletes every key of an agent, in one commit. */
  async deleteAgent(agentId: string, options?: InNamespace & CommitOptions): Promise<Commit> {
    const [of, commit] = split<InNamespace>(options);
    return this.transact([op.deleteAgent(agentId, of)], commit);
  }

  /** Brings the state of then back as a new commit, and loses nothing. */
  async restore(
    agentId: string,
    at: Point,
    options?: { prefix?: string } & InNamespace & CommitOptions,
  ): Promise<Commit> {
    const [of, commit] = split<{ prefix?: string } & InNamespace>(options);
    return this.transact([op.restore(agentId, at, of)], commit);
  }

  /** Begins a new agent with the state that an agent had at a point, at once and however many keys. */
  async fork(
    agentId: string,
    to: string,
    options?: { at?: Point } & InNamespace & CommitOptions,
  ): Promise<Commit> {
    const [of, commit] = split<{ at?: Point } & InNamespace>(options);
    return this.transact([op.fork(agentId, to, of)], commit);
  }

  /** Commits operations, as {@link op} makes them, in one request: all of them, or none. */
  transact(operations: Iterable<AnyOperation>, options?: CommitOptions): Promise<Commit> {
    return commitOf(this.caller, operations, options);
  }

  /** Tells what became of a transaction. */
  getTransaction(txnId: string, options?: CallOptions): Promise<TxnOutcome> {
    return outcomeOf(this.caller, txnId, options);
  }

  /** Moves the deadlines of records with a time to live; undefined of those that have none. */
  async refresh(
    agentId: string,
    keys: string | Iterable<string | RecordName>,
    options?: { ttlMs?: number } & InNamespace & CallOptions,
  ): Promise<(Date | undefined)[]> {
    check.options(options, "ttlMs", "namespace", "signal", "timeoutMs");
    const caller = this.caller.for(options);
    const given = typeof keys === "string" ? [keys] : check.items("keys", keys);
    const names: Named[] = given.map((key) =>
      typeof key === "string"
        ? this.named(agentId, key, options?.namespace)
        : this.named(key.agentId, key.key, key.namespace ?? options?.namespace),
    );
    const ttlMs =
      options?.ttlMs === undefined ? 0n : check.wholeMilliseconds("ttlMs", options.ttlMs);
    const moved: (Date | undefined)[] = [];
    while (moved.length < names.length) {
      const batch = names.slice(moved.length, moved.length + REFRESHED);
      const request = create(pb.RefreshExpiryRequestSchema, { names: batch, ttlMs });
      const answer = await caller.call("refreshExpiry", request, check.signal(options?.signal));
      if (answer.records.length !== batch.length) {
        throw broken(`${answer.records.length} deadlines of ${batch.length} records`);
      }
      moved.push(...answer.records.map((record) => moment(record.expiresAt)));
    }
    return moved;
  }

  // Transactions and leases.

  /** Begins a transaction: it reads as of one commit, and commits only if what it read still holds. */
  beginTransaction(options?: TxnOptions & { held?: false }): Promise<Transaction>;
  /**
   * Begins a transaction that the daemon holds: it knows of it while it is open, its snapshot is that of the
   * begin, and each write is a request, which is not sent again when its answer is lost. It takes only writes
   * without deadlines, and deletes, and is gone when the daemon is started again.
   */
  beginTransaction(options: TxnOptions & { held: true }): Promise<HeldTransaction>;
  async beginTransaction(
    options: TxnOptions & { held?: boolean } = {},
  ): Promise<Transaction | HeldTransaction> {
    check.options(options, ...TXN, "held");
    const { held, ...of } = options;
    return check.flag("held", held) ? beginHeld(this.caller, of) : begin(this.caller, of);
  }

  /**
   * Runs a function in a transaction, commits it, and returns the function's result. When something that
   * it read has changed meanwhile, it is run again: so it should have no effects but on the transaction.
   */
  runTransaction<T>(
    work: (txn: Transaction) => Promise<T> | T,
    options: TxnOptions = {},
  ): Promise<T> {
    return run(this.caller, work, options);
  }

  /**
   * Acquires a lease, which lets one worker at a time work on an agent. It is renewed in the background
   * until it is released, or the client is closed.
   */
  lease(agentId: string, name: string, options?: LeaseOptions): Promise<Lease> {
    return acquire(this.caller, this.#renewals, agentId, name, options);
  }

  /**
   * Claims records that are due, of an agent or of all (null), each for one worker at a time, and renews the
   * claims in the background until they are completed or released. `waitMs` waits, by a watch, while nothing
   * is due; without it the list is empty at once.
   */
  claim<V = AnyValue>(agentId: string | null = null, options?: ClaimOptions): Promise<Claim<V>[]> {
    return claim<V>(this.caller, this.#renewals, agentId, options);
  }

  /** Commits one operation, and returns the record that came of it. */
  async #one(operation: AnyOperation, options: CommitOptions): Promise<StateRecord> {
    return outcome(await this.transact([operation], options), operation);
  }
}

/** The renewals of a connection's leases, which all clients on it share. */
const shared = new WeakMap<Connection, Renewals>();

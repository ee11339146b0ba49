/**
 * What calls return.
 *
 * A record is named by a namespace, an agent and a key. Its value is a JSON object, or bytes. Every
 * write or delete of a key raises its *version* by one: 1, 2, 3… Every commit has a place in one total
 * order, its *commitTs*: 1, 2, 3… Both are bigints. *timestamp* is the wall clock at the commit; it
 * never runs backwards from one commit to the next.
 */

import type { Json } from "./json.js";

/** What a record may hold: a JSON object, or bytes. */
export type Content = { [key: string]: Json } | Uint8Array;

/** The value of a record, unless its reader says what it is: `getState<{ step: number }>(…)`. */
// biome-ignore lint/suspicious/noExplicitAny: what a record holds only its reader knows
export type AnyValue = any;

/** Names a record. Without a namespace it is in the client's own. */
export interface RecordName {
  readonly agentId: string;
  readonly key: string;
  readonly namespace?: string;
}

/** One version of a record. */
export interface StateRecord<V = AnyValue> {
  readonly key: string;
  /** A JSON object, in which whole numbers past 2^53 are bigints; or bytes: then `contentType` is not empty. */
  readonly value: V;
  readonly version: bigint;
  readonly commitTs: bigint;
  readonly timestamp: Date;
  readonly agentId: string;
  readonly namespace: string;
  /** The point of the total order that the read was taken at; 0 of a read by version. */
  readonly readTs: bigint;
  /**
   * Of a batch or scan as of a moment: the value was erased, or dropped by the retention of old
   * versions. `value` is empty then.
   */
  readonly erased: boolean;
  readonly pruned: boolean;
  /** Of a value that is bytes: its media type. */
  readonly contentType: string;
  /** When the daemon deletes it, as known when it was read; undefined: never. */
  readonly expiresAt: Date | undefined;
  /** When it becomes due, as known when it was read; undefined: never. */
  readonly dueAt: Date | undefined;
  /** Of `find` with `metadata`: what its last commit said of itself. */
  readonly metadata: { readonly [key: string]: string } | undefined;
}

/** Says which version a key got. */
export interface KeyVersion {
  readonly agentId: string;
  readonly key: string;
  readonly version: bigint;
  readonly namespace: string;
}

/** A lease that is held, as it was when it was asked for. */
export interface LeaseInfo {
  readonly agentId: string;
  readonly name: string;
  readonly namespace: string;
  /** Rises with every acquisition, for good. */
  readonly token: bigint;
  readonly holder: string;
  /** Milliseconds that it is held after an acquisition or renewal. */
  readonly ttlMs: number;
  /** When it lapses unless it is renewed, by the daemon's clock. */
  readonly deadline: Date;
  readonly acquiredTs: bigint;
  readonly acquiredAt: Date;
}

/** What came of an operation. */
export interface OperationResult {
  /** Of an append: the key that it got. Of a lease: its name. */
  readonly key: string;
  readonly version: bigint;
  /** What is there now, of an operation that the daemon evaluated. */
  readonly value: AnyValue;
  readonly contentType: string;
  /** Of a write `ifAbsent`: the key existed and is as it was. */
  readonly existed: boolean;
  /** How many keys it changed, of an operation on many. */
  readonly keys: number;
  /** Of an acquisition. */
  readonly lease: LeaseInfo | undefined;
  /** Of a claim. */
  readonly claimed: readonly DueRecord[];
}

/** A record that a claim took. */
export interface DueRecord<V = AnyValue> {
  readonly record: StateRecord<V>;
  readonly dueAt: Date;
  /** The lease that is held on it. */
  readonly lease: LeaseInfo;
}

/** What became durable. */
export interface Commit {
  readonly txnId: string;
  readonly commitTs: bigint;
  /** undefined of a transaction that wrote nothing: its commitTs is what it read at. */
  readonly timestamp: Date | undefined;
  /** The version that the first key got; 0 when nothing was written. */
  readonly version: bigint;
  /** One an operation of `transact`, in their order; of a transaction one a key, agent by agent. */
  readonly versions: readonly KeyVersion[];
  /** One an operation, in their order, if there is one that the daemon evaluated. */
  readonly results: readonly OperationResult[];
  /** How many keys were changed by operations on many, such as a delete by prefix. */
  readonly keys: number;
}

/** What became of a transaction. */
export type TxnState =
  | "open"
  | "committed"
  | "aborted"
  | "expired"
  /** No transaction of this id has committed, or will unless it is sent (again). */
  | "never seen"
  /** Outcomes of that age are no longer kept. */
  | "too old";

/** A transaction's state and, when it committed, its commit. */
export interface TxnOutcome {
  readonly txnId: string;
  readonly state: TxnState;
  readonly commit: Commit | undefined;
}

/** One write or delete of an event. */
export interface Operation<V = AnyValue> {
  readonly kind: "WRITE" | "DELETE" | "LEASE" | "DUE" | "ACT";
  readonly key: string;
  /** undefined of deletes, and when values were not asked for. */
  readonly value: V | undefined;
  readonly version: bigint;
  readonly deleted: boolean;
  readonly agentId: string;
  readonly namespace: string;
  readonly erased: boolean;
  readonly pruned: boolean;
  readonly contentType: string;
  /** With `allOperations`: key is the name of a lease, and version its token. */
  readonly lease: { readonly holder: string; readonly ttlMs: number } | undefined;
  /** With `allOperations`: the record became due; `deleted` when it is no longer. */
  readonly due: boolean;
  /** With `allOperations`: key is a prefix, and this was done to what is under it. */
  readonly act:
    | {
        readonly kind: "deleted" | "restored" | "forked" | "unknown";
        readonly agentId: string;
        readonly namespace: string;
        readonly commitTs: bigint;
      }
    | undefined;
}

/** A commit as read from the log, cut down to what was asked for. */
export interface CommitEvent<V = AnyValue> {
  /** The cursor to resume a watch after. */
  readonly commitTs: bigint;
  readonly timestamp: Date;
  readonly txnId: string;
  readonly operations: readonly Operation<V>[];
  readonly metadata: { readonly [key: string]: string };
  /** Who committed it; empty where that is not known. */
  readonly principal: string;
  readonly traceId: string;
  /** Of the store, in which `commitTs` is this commit: save both to resume. */
  readonly epoch: string;
  /** Why the daemon made the commit by itself: `"expired"`, `"lapsed"` or `"due"`. Empty: a client did. */
  readonly cause: string;
}

/** One version of a key. */
export interface HistoryEntry<V = AnyValue> {
  readonly key: string;
  /** undefined of deletes, and when values were not asked for. */
  readonly value: V | undefined;
  readonly version: bigint;
  readonly commitTs: bigint;
  readonly timestamp: Date;
  readonly txnId: string;
  readonly metadata: { readonly [key: string]: string };
  readonly deleted: boolean;
  readonly agentId: string;
  readonly namespace: string;
  readonly principal: string;
  readonly traceId: string;
  readonly erased: boolean;
  readonly pruned: boolean;
  readonly contentType: string;
  readonly cause: string;
}

/** An agent, and the commitTs of its first and last commit. */
export interface Agent {
  readonly agentId: string;
  readonly namespace: string;
  readonly firstTs: bigint;
  readonly headTs: bigint;
  readonly headTime: Date | undefined;
}

/** An agent and its lineage. */
export interface AgentDetails extends Agent {
  /** The moment whose state it began with, and when; undefined: it was not forked. */
  readonly forkedFrom:
    | {
        readonly agentId: string;
        readonly namespace: string;
        readonly commitTs: bigint;
        readonly forkedTs: bigint;
        readonly forkedAt: Date;
      }
    | undefined;
  /** Its forks, in the order in which they were made; at most 1,000. */
  readonly forks: readonly Agent[];
}

/** A key whose state differs between two points, or two agents. */
export interface KeyDiff<V = AnyValue> {
  readonly key: string;
  /** The record on either side; null where it does not exist. */
  readonly before: StateRecord<V> | null;
  readonly after: StateRecord<V> | null;
  /** What turns one value into the other, a JSON Patch (RFC 6902); undefined where a side is absent, or bytes. */
  readonly patch: readonly { op: string; path: string; value?: AnyValue }[] | undefined;
}

/** How far the store is and how large. */
export interface Status {
  readonly publishedTs: bigint;
  readonly lastCommitTime: Date | undefined;
  readonly openTransactions: bigint;
  readonly diskUsedBytes: bigint;
  readonly diskFreeBytes: bigint;
  /** Empty while writes are accepted, else why not. */
  readonly writesRefused: string;
  /** False: acknowledged without fsync, or kept in memory. */
  readonly durable: boolean;
  readonly storeId: string;
  readonly formatVersion: number;
  readonly epoch: string;
  readonly epochBeganTs: bigint;
  readonly principal: string;
  /** Connections that carry many requests in one stream, and the requests that they are at. */
  readonly sessions: bigint;
  readonly sessionRequests: bigint;
  /** Of a daemon that keeps its store with others. */
  readonly cluster: ClusterStatus | undefined;
}

/** What a daemon knows of those that it keeps a store with. */
export interface ClusterStatus {
  readonly role: "follower" | "candidate" | "leader" | "learner" | "unknown";
  readonly id: bigint;
  /** Where clients reach the one that leads; empty: it is not known. */
  readonly leaderAddress: string;
  readonly term: bigint;
  /** How many there are. */
  readonly members: number;
}

/** How often the daemon refused something in the last hour. What is not known is empty. */
export interface Refusal {
  readonly namespace: string;
  /** What was in the way, of a conflict. */
  readonly agentId: string;
  readonly key: string;
  readonly lease: string;
  /** Who asked, for what. */
  readonly principal: string;
  readonly method: string;
  /** As errors have it: `"CONFLICT"`. */
  readonly code: string;
  /** The limit that was reached, if it has a name. */
  readonly limit: string;
  readonly count: bigint;
  /** To the minute. */
  readonly firstTime: Date;
  readonly lastTime: Date;
}

/** A watch, replay or session that the daemon has open. */
export interface OpenStream {
  readonly kind: "watch" | "replay" | "session" | "unknown";
  readonly namespace: string;
  /** Empty: all agents of the namespace. */
  readonly agentId: string;
  readonly keyPrefix: string;
  /** Of a watch of a lease, or of what is due. */
  readonly lease: string;
  readonly due: boolean;
  readonly principal: string;
  /** The address that it comes from, for who may administer all. */
  readonly peer: string;
  readonly beginTime: Date;
  /** How far it has looked, and how many commits there are after that. */
  readonly cursor: bigint;
  readonly lag: bigint;
}

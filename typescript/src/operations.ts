/**
 * What a commit is made of: the operations of `transact`, and its conditions.
 *
 * What a daemon *evaluates* (append, increment, merge, a write `ifAbsent`, and what works on many keys)
 * needs no read before it: what is there is looked at when the commit's turn comes, so two of them never
 * conflict. The log holds what came out.
 */

import type { Integer } from "./check.js";
import type { JsonObject } from "./json.js";
import type { Point } from "./times.js";

/** What may be written: a JSON object, or bytes. */
export type Writable = JsonObject | Uint8Array;

/** How a value is kept. */
export interface ContentOptions {
  /** Of bytes: a media type, such as `"image/png"`. */
  contentType?: string;
  /**
   * Milliseconds after the commit at which the daemon deletes the record, unless it is written again or
   * refreshed; by default it stays.
   */
  ttlMs?: number;
  /** In another namespace than the client's. */
  namespace?: string;
}

/** How a record is written. */
export interface WriteOptions extends ContentOptions {
  /** The version the key must be at before the commit; 0: it must not exist. */
  expectedVersion?: Integer;
  /** When the record becomes due, so that a worker can claim it: a time, or a span after the commit. */
  dueAt?: Date | string;
  dueInMs?: number;
}

/** How a number is added to. */
export interface IncrementOptions {
  /** Bounds of the sum. */
  minimum?: number | bigint;
  maximum?: number | bigint;
  expectedVersion?: Integer;
  namespace?: string;
}

type Named = { agentId: string; namespace?: string | undefined };

/** An operation of `transact`, as the functions of {@link op} make it. */
export type AnyOperation =
  | ({ type: "write"; key: string; value: Writable; ifAbsent?: boolean } & Named & WriteOptions)
  | ({ type: "delete"; key: string; expectedVersion?: Integer | undefined } & Named)
  | ({ type: "append"; prefix: string; value: Writable } & Named & ContentOptions)
  | ({ type: "increment"; key: string; pointer: string; delta: number | bigint } & Named &
      IncrementOptions)
  | ({
      type: "merge";
      key: string;
      patch: JsonObject;
      expectedVersion?: Integer | undefined;
    } & Named)
  | ({ type: "deletePrefix"; prefix: string } & Named)
  | ({ type: "deleteAgent" } & Named)
  | ({ type: "restore"; at: Point; prefix: string } & Named)
  | ({ type: "fork"; to: string; at?: Point | undefined } & Named)
  | ({ type: "acquireLease"; name: string; ttlMs: number; holder: string } & Named)
  | ({ type: "releaseLease"; name: string; token: Integer } & Named)
  | ({ type: "claimDue"; prefix: string; limit: number; ttlMs: number; holder: string } & Omit<
      Named,
      "agentId"
    > & { agentId: string | null })
  | ({ type: "completeDue"; key: string; token: Integer } & Named);

/** Where an operation is, and what version its key must be at. */
export interface Expecting {
  expectedVersion?: Integer;
  namespace?: string;
}

/** In which namespace an operation is. */
export interface Within {
  namespace?: string;
}

/** Makes operations of `transact`. */
export const op = {
  write: (
    agentId: string,
    key: string,
    value: Writable,
    options: WriteOptions = {},
  ): AnyOperation => ({
    ...options,
    type: "write",
    agentId,
    key,
    value,
  }),
  delete: (agentId: string, key: string, options: Expecting = {}): AnyOperation => ({
    ...options,
    type: "delete",
    agentId,
    key,
  }),
  /**
   * Writes the next record of a sequence: its key is the prefix and a number of 16 digits, which the
   * daemon gives once and never again.
   */
  append: (
    agentId: string,
    prefix: string,
    value: Writable,
    options: ContentOptions = {},
  ): AnyOperation => ({
    ...options,
    type: "append",
    agentId,
    prefix,
    value,
  }),
  /** Adds to the number at a JSON Pointer in a record's value, exactly. What is not there counts as 0. */
  increment: (
    agentId: string,
    key: string,
    pointer: string,
    delta: number | bigint = 1,
    options: IncrementOptions = {},
  ): AnyOperation => ({ ...options, type: "increment", agentId, key, pointer, delta }),
  /**
   * Merges a JSON Merge Patch (RFC 7396) into a record: what the patch names is replaced, null takes it
   * away, objects are merged. A record that does not exist counts as empty.
   */
  merge: (
    agentId: string,
    key: string,
    patch: JsonObject,
    options: Expecting = {},
  ): AnyOperation => ({
    ...options,
    type: "merge",
    agentId,
    key,
    patch,
  }),
  /** Writes nothing if the key exists. */
  putIfAbsent: (
    agentId: string,
    key: string,
    value: Writable,
    options: ContentOptions = {},
  ): AnyOperation => ({
    ...options,
    type: "write",
    agentId,
    key,
    value,
    ifAbsent: true,
  }),
  deletePrefix: (agentId: string, prefix: string, options: Within = {}): AnyOperation => ({
    ...options,
    type: "deletePrefix",
    agentId,
    prefix,
  }),
  deleteAgent: (agentId: string, options: Within = {}): AnyOperation => ({
    ...options,
    type: "deleteAgent",
    agentId,
  }),
  /** Gives every key of an agent that starts with `prefix` the state it had at a point. */
  restore: (
    agentId: string,
    at: Point,
    options: Within & { prefix?: string } = {},
  ): AnyOperation => ({
    prefix: "",
    ...options,
    type: "restore",
    agentId,
    at,
  }),
  /** Begins the agent `to`, which must not have a commit yet, with the state of an agent at a point. */
  fork: (agentId: string, to: string, options: Within & { at?: Point } = {}): AnyOperation => ({
    ...options,
    type: "fork",
    agentId,
    to,
  }),
  /** Acquires a lease. `client.lease` does that and renews it. */
  acquireLease: (
    agentId: string,
    name: string,
    options: Within & { ttlMs?: number; holder?: string } = {},
  ): AnyOperation => ({
    ttlMs: 30_000,
    holder: "",
    ...options,
    type: "acquireLease",
    agentId,
    name,
  }),
  releaseLease: (
    agentId: string,
    name: string,
    token: Integer,
    options: Within = {},
  ): AnyOperation => ({
    ...options,
    type: "releaseLease",
    agentId,
    name,
    token,
  }),
  /**
   * Takes due records that no worker holds, at most `limit`, those due longest first, and acquires a lease
   * on each; null: of all agents of the namespace. `client.claim` does that and renews them.
   */
  claimDue: (
    agentId: string | null,
    options: Within & { prefix?: string; limit?: number; ttlMs?: number; holder?: string } = {},
  ): AnyOperation => ({
    prefix: "",
    limit: 1,
    ttlMs: 30_000,
    holder: "",
    ...options,
    type: "claimDue",
    agentId,
  }),
  /** Ends a claim, by its token: the record is no longer due. One that has lapsed is refused. */
  completeDue: (
    agentId: string,
    key: string,
    token: Integer,
    options: Within = {},
  ): AnyOperation => ({
    ...options,
    type: "completeDue",
    agentId,
    key,
    token,
  }),
} as const;

/** A condition of a commit, as the functions of {@link when} make it. */
export type Precondition =
  | ({ type: "key"; key: string; expectedVersion: Integer } & Named)
  | ({ type: "head"; expectedHead: Integer } & Named)
  | ({ type: "lease"; name: string; token: Integer } & Named);

/** Makes conditions of commits. */
export const when = {
  /** Holds when the key is at this version; 0: when it does not exist. */
  key: (
    agentId: string,
    key: string,
    expectedVersion: Integer,
    options: Within = {},
  ): Precondition => ({
    ...options,
    type: "key",
    agentId,
    key,
    expectedVersion,
  }),
  /**
   * Holds when the agent's last commit is this one; 0: when it has none. Commits that the daemon makes
   * by itself do not count.
   */
  head: (agentId: string, expectedHead: Integer, options: Within = {}): Precondition => ({
    ...options,
    type: "head",
    agentId,
    expectedHead,
  }),
  /** Holds while a lease is held under this token, wherever it was acquired. */
  lease: (agentId: string, name: string, token: Integer, options: Within = {}): Precondition => ({
    ...options,
    type: "lease",
    agentId,
    name,
    token,
  }),
} as const;

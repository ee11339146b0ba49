/**
 * Statehouse for TypeScript: durable, versioned, replayable state for agents, with transactions.
 *
 * @packageDocumentation
 */

export type { BehaviourOptions } from "./behaviour.js";
export type { CallOptions } from "./calls.js";
export type { Integer } from "./check.js";
export type { Claim, ClaimOptions } from "./claims.js";
export { type ClientOptions, Statehouse } from "./client.js";
export type { LookOptions } from "./daemon.js";
export type { EndpointOptions } from "./endpoint.js";
export {
  ConflictError,
  ConnectionError,
  DataLoss,
  DeadlineExceeded,
  DiskFull,
  EpochChanged,
  Erased,
  EvaluationFailed,
  InternalError,
  InvalidArgument,
  LeaseHeld,
  LeaseLost,
  NotFoundError,
  OutcomeUnknown,
  OutOfRange,
  Overloaded,
  PermissionDenied,
  PreconditionFailed,
  ResourceExhausted,
  StatehouseError,
  TransactionAborted,
  TransactionCommitted,
  TransactionError,
  TransactionExpired,
  TransactionIDReused,
  TransactionNotFound,
  TransactionTooOld,
  Unauthenticated,
  Unimplemented,
  UsageError,
} from "./errors.js";
export { Condition, F, not, type Place } from "./filters.js";
export type { DiffOptions, FindOptions } from "./finding.js";
export type { HeldTransaction, HeldWriteOptions } from "./held.js";
export type { Json, JsonObject } from "./json.js";
export type { Lease } from "./leases.js";
export type {
  EventsOptions,
  HistoryOptions,
  PageOptions,
  ReplayOptions,
  WatchOptions,
} from "./logreads.js";
export type { LeaseOptions } from "./obtaining.js";
export {
  type AnyOperation,
  type ContentOptions,
  type IncrementOptions,
  op,
  type Precondition,
  type Writable,
  type WriteOptions,
  when,
} from "./operations.js";
export type { KeysOptions, ListOptions, ReadOptions } from "./reads.js";
export type { Point } from "./times.js";
export type { Pending, Transaction, TxnOptions } from "./txn.js";
export { newTxnId } from "./txnids.js";
export type * from "./types.js";
export { VERSION } from "./version.js";
export type { CommitOptions, LeaseLike } from "./writes.js";

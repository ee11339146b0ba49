/** Reads messages of the contract into what calls return. */

import * as check from "./check.js";
import { broken } from "./errors.js";
import { fromJson, parse } from "./json.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import { date, moment } from "./times.js";
import type {
  Agent,
  AnyValue,
  Commit,
  CommitEvent,
  DueRecord,
  HistoryEntry,
  KeyDiff,
  LeaseInfo,
  Operation,
  OperationResult,
  StateRecord,
} from "./types.js";

/** As values were written. */
export const NATIVE = pb.ValueEncoding.NATIVE;

/** Returns how values are asked for; by default they are. */
export function encoding(values: boolean | undefined): pb.ValueEncoding {
  return values === undefined || check.flag("values", values) ? NATIVE : pb.ValueEncoding.NONE;
}

/** Whose record it is. */
export interface Named {
  readonly agentId: string;
  readonly key: string;
  readonly namespace: string;
}

type Carrier = { valueJson: Uint8Array; valueBytes?: Uint8Array | undefined };

/** Reads the value of an answer; undefined: it has none. */
export function valueIn(message: Carrier): AnyValue {
  // A copy: what was received is a view of the whole message, which it would keep.
  if (message.valueBytes !== undefined) return new Uint8Array(message.valueBytes);
  return message.valueJson.length > 0 ? fromJson(message.valueJson) : undefined;
}

type State = pb.GetStateResponse | pb.GetStateAtVersionResponse | pb.StateEntry;

/** Makes a record of an answer that has one. */
export function existing(
  of: Named,
  message: State,
  readTs: bigint,
  metadata?: { [key: string]: string },
): StateRecord {
  const erased = "erased" in message && message.erased;
  const pruned = "pruned" in message && message.pruned;
  const value: AnyValue = erased || pruned ? {} : valueIn(message);
  return {
    key: of.key,
    value,
    version: message.version,
    commitTs: message.commitTs,
    // What the transaction has written that asks for it has no time yet.
    timestamp: message.version === 0n ? new Date(0) : date(message.commitTime),
    agentId: of.agentId,
    namespace: of.namespace,
    readTs,
    erased,
    pruned,
    contentType: message.contentType,
    expiresAt: "expiresAt" in message ? moment(message.expiresAt) : undefined,
    dueAt: "dueAt" in message ? moment(message.dueAt) : undefined,
    metadata,
  };
}

/** Makes a record of an answer; null when it does not exist. */
export function record(
  of: Named,
  message: pb.GetStateResponse | pb.GetStateAtVersionResponse,
  readTs: bigint,
): StateRecord | null {
  return message.exists ? existing(of, message, readTs) : null;
}

/** Reads a lease that is held. */
export function leaseOf(message: pb.Lease): LeaseInfo {
  return {
    agentId: message.agentId,
    name: message.name,
    namespace: message.namespace,
    token: message.token,
    holder: message.holder,
    ttlMs: Number(message.ttlMs),
    deadline: date(message.deadline),
    acquiredTs: message.acquiredTs,
    acquiredAt: date(message.acquiredAt),
  };
}

function resultOf(message: pb.OperationResult): OperationResult {
  return {
    key: message.key,
    version: message.version,
    value: valueIn(message),
    contentType: message.contentType,
    existed: message.existed,
    keys: Number(message.keys),
    lease: message.lease && leaseOf(message.lease),
    claimed: message.claimed.map(dueOf),
  };
}

function dueOf(message: pb.DueRecord): DueRecord {
  const { record, lease } = message;
  if (!record || !lease) throw broken("a claim without its record and lease");
  return {
    record: existing(record, record, 0n),
    dueAt: date(message.dueAt),
    lease: leaseOf(lease),
  };
}

/**
 * Makes a commit of an answer that names versions in the order of the operations. `byAgent`: each
 * agent's together, as those of transactions are.
 */
export function transacted(
  request: pb.TransactRequest,
  response: pb.TransactResponse,
  byAgent: boolean,
): Commit {
  const { operations } = request;
  const results = response.results.map(resultOf);
  const told = results.length > 0 ? results.length : response.versions.length;
  if (told !== operations.length) {
    throw broken(`${told} versions or results for ${operations.length} operations`);
  }
  const versions = operations.map((op, at) => ({
    agentId: op.agentId,
    key: results[at]?.key || op.key,
    version: results[at]?.version ?? (response.versions[at] as bigint),
    namespace: op.namespace,
  }));
  if (byAgent) {
    versions.sort(
      (a, b) => compareBytes(a.namespace, b.namespace) || compareBytes(a.agentId, b.agentId),
    );
  }
  return {
    txnId: request.txnId,
    commitTs: response.commitTs,
    timestamp: byAgent && versions.length === 0 ? undefined : moment(response.commitTime),
    version: versions[0]?.version ?? 0n,
    versions,
    results,
    keys: results.reduce((sum, result) => sum + result.keys, 0),
  };
}

/** Makes a commit of an answer that names its keys. */
export function committed(
  txnId: string,
  message: pb.GetTransactionResponse | pb.CommitResponse,
): Commit {
  const versions = message.versions.map(({ agentId, key, version, namespace }) => ({
    agentId,
    key,
    version,
    namespace,
  }));
  return {
    txnId,
    commitTs: message.commitTs,
    timestamp: moment(message.commitTime),
    version: versions[0]?.version ?? 0n,
    versions,
    results: [],
    keys: 0,
  };
}

/** Reads an event. */
export function eventOf(message: pb.ReplayEvent, epoch: string): CommitEvent {
  return {
    commitTs: message.commitTs,
    timestamp: date(message.commitTime),
    txnId: message.txnId,
    operations: message.operations.map(operationOf),
    metadata: { ...message.metadata },
    principal: message.principal,
    traceId: message.traceId,
    epoch,
    cause: message.cause,
  };
}

const ACTS = {
  [pb.RangeAct_Kind.DELETED]: "deleted",
  [pb.RangeAct_Kind.RESTORED]: "restored",
  [pb.RangeAct_Kind.FORKED]: "forked",
  [pb.RangeAct_Kind.KIND_UNSPECIFIED]: "unknown",
} as const;

function operationOf(op: pb.Operation): Operation {
  const kind = op.lease
    ? "LEASE"
    : op.due
      ? "DUE"
      : op.act
        ? "ACT"
        : op.deleted
          ? "DELETE"
          : "WRITE";
  return {
    kind,
    key: op.key,
    value: valueIn(op),
    version: op.version,
    deleted: op.deleted,
    agentId: op.agentId,
    namespace: op.namespace,
    erased: op.erased,
    pruned: op.pruned,
    contentType: op.contentType,
    lease: op.lease && { holder: op.lease.holder, ttlMs: Number(op.lease.ttlMs) },
    due: op.due,
    act: op.act && {
      kind: ACTS[op.act.kind] ?? "unknown",
      agentId: op.act.agentId,
      namespace: op.act.namespace,
      commitTs: op.act.commitTs,
    },
  };
}

/** Reads one version of a key. */
export function historyOf(of: Named, entry: pb.HistoryEntry): HistoryEntry {
  return {
    ...of,
    value: valueIn(entry),
    version: entry.version,
    commitTs: entry.commitTs,
    timestamp: date(entry.commitTime),
    txnId: entry.txnId,
    metadata: { ...entry.metadata },
    deleted: entry.deleted,
    principal: entry.principal,
    traceId: entry.traceId,
    erased: entry.erased,
    pruned: entry.pruned,
    contentType: entry.contentType,
    cause: entry.cause,
  };
}

/** Reads an agent. */
export function agentOf(message: pb.Agent): Agent {
  return {
    agentId: message.agentId,
    namespace: message.namespace,
    firstTs: message.firstTs,
    headTs: message.headTs,
    headTime: moment(message.headTime),
  };
}

/** Reads a key whose state differs; `sides`: whose state it is before and after. */
export function diffOf(
  sides: readonly [Omit<Named, "key">, Omit<Named, "key">],
  diff: pb.KeyDiff,
  response: pb.DiffResponse,
): KeyDiff {
  const side = (of: Omit<Named, "key">, state: pb.GetStateResponse | undefined, readTs: bigint) =>
    state?.exists ? existing({ ...of, key: diff.key }, state, readTs) : null;
  const patch =
    diff.patchJson.length > 0 ? parse(Buffer.from(diff.patchJson).toString()) : undefined;
  return {
    key: diff.key,
    before: side(sides[0], diff.before, response.fromTs),
    after: side(sides[1], diff.after, response.toTs),
    patch: patch as KeyDiff["patch"],
  };
}

/** Compares names as the daemon does, by the bytes of their UTF-8. */
export function compareBytes(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}

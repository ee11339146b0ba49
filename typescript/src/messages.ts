/** Operations and conditions of a commit as messages of the contract. */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Caller } from "./calls.js";
import * as check from "./check.js";
import * as json from "./json.js";
import type {
  AnyOperation,
  ContentOptions,
  Precondition,
  Writable,
  WriteOptions,
} from "./operations.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import { at, instant } from "./times.js";

type OperationInit = MessageInitShape<typeof pb.TransactOperationSchema>;

/** Of bytes, unless their writer says otherwise. */
export const DEFAULT_CONTENT_TYPE = "application/octet-stream";

/** Makes the fields that a message carries a value in. */
export function content(value: Writable, contentType: string | undefined) {
  if (value instanceof Uint8Array) {
    const kind = contentType === undefined ? "" : check.text("contentType", contentType);
    // A copy: what is staged is not changed by what its user does to the buffer later.
    return { valueBytes: Uint8Array.from(value), contentType: kind };
  }
  if (contentType !== undefined) {
    throw check.refused("contentType", "contentType is of bytes, and the value is an object");
  }
  return { valueJson: json.toJson(value) };
}

/** Options that an operation of each type may have, beside its namespace. */
const FIELDS: { readonly [T in AnyOperation["type"]]: readonly string[] } = {
  write: [
    "key",
    "value",
    "expectedVersion",
    "contentType",
    "ttlMs",
    "dueAt",
    "dueInMs",
    "ifAbsent",
  ],
  delete: ["key", "expectedVersion"],
  append: ["prefix", "value", "contentType", "ttlMs"],
  increment: ["key", "pointer", "delta", "minimum", "maximum", "expectedVersion"],
  merge: ["key", "patch", "expectedVersion"],
  deletePrefix: ["prefix"],
  deleteAgent: [],
  restore: ["at", "prefix"],
  fork: ["to", "at"],
  acquireLease: ["name", "ttlMs", "holder"],
  releaseLease: ["name", "token"],
  claimDue: ["prefix", "limit", "ttlMs", "holder"],
  completeDue: ["key", "token"],
};

/**
 * Makes the message of an operation. `staged`: names are checked as the daemon does, which hears of them
 * at the commit only.
 */
export function operation(
  caller: Caller,
  given: AnyOperation,
  staged = false,
): pb.TransactOperation {
  const type: unknown = given?.type;
  if (typeof type !== "string" || !Object.hasOwn(FIELDS, type)) {
    throw check.refused(
      "operations",
      `operations are what op.write(…), op.delete(…) and the like make, not ${check.brief(given)}`,
    );
  }
  check.options(given, "type", "agentId", "namespace", ...FIELDS[given.type]);
  const message = create(pb.TransactOperationSchema, {
    namespace: caller.namespace(given.namespace),
    agentId: given.agentId === null ? "" : check.text("agentId", given.agentId),
    ...body(caller, given),
  });
  if (staged) checkNames(given, message);
  return message;
}

function checkNames(given: AnyOperation, message: pb.TransactOperation): void {
  check.name("namespace", message.namespace);
  check.name("agentId", message.agentId);
  const may = given.type === "deleteAgent" || given.type === "restore" || given.type === "fork";
  if (!may || message.key !== "") check.name("key", message.key);
}

function body(caller: Caller, given: AnyOperation): OperationInit {
  switch (given.type) {
    case "write":
      return write(given);
    case "delete":
      return { key: check.text("key", given.key), delete: true, ...expecting(given) };
    case "append":
      return {
        key: check.text("prefix", given.prefix),
        put: { ...content(given.value, given.contentType), ...ttl(given), append: true },
      };
    case "increment":
      return {
        key: check.text("key", given.key),
        increment: {
          pointer: check.text("pointer", given.pointer),
          delta: number("delta", given.delta),
          min: given.minimum === undefined ? "" : number("minimum", given.minimum),
          max: given.maximum === undefined ? "" : number("maximum", given.maximum),
        },
        ...expecting(given),
      };
    case "merge":
      return {
        key: check.text("key", given.key),
        mergeJson: json.toJson(given.patch),
        ...expecting(given),
      };
    case "deletePrefix":
      return { key: check.text("prefix", given.prefix), deletePrefix: true };
    case "deleteAgent":
      return { deleteAgent: true };
    case "restore":
      return restore(given.prefix, given.at);
    case "fork":
      return {
        agentId: check.text("to", given.to),
        fork: {
          namespace: caller.namespace(given.namespace),
          agentId: check.text("agentId", given.agentId),
          at: at(given.at, "at"),
        },
      };
    case "acquireLease":
      return {
        key: check.text("name", given.name),
        acquire: {
          holder: check.text("holder", given.holder),
          ttlMs: check.wholeMilliseconds("ttlMs", given.ttlMs),
        },
      };
    case "releaseLease":
      return {
        key: check.text("name", given.name),
        release: { token: check.count("token", given.token) },
      };
    case "claimDue":
      return {
        key: check.text("prefix", given.prefix),
        claim: {
          holder: check.text("holder", given.holder),
          ttlMs: check.wholeMilliseconds("ttlMs", given.ttlMs),
          limit: claimed(given.limit),
          allAgents: given.agentId === null,
        },
      };
    case "completeDue":
      return {
        key: check.text("key", given.key),
        complete: { token: check.count("token", given.token) },
      };
  }
}

function claimed(limit: unknown): number {
  const count = check.count("limit", limit);
  if (count < 1n || count >= 2n ** 32n) {
    throw check.refused("limit", `limit must be 1 or more, not ${limit}`);
  }
  return Number(count);
}

function write(given: AnyOperation & { type: "write" }): OperationInit {
  const value = content(given.value, given.contentType);
  const init: OperationInit = { key: check.text("key", given.key), ...expecting(given) };
  const more = { ...ttl(given), ...due(given), ifAbsent: check.flag("ifAbsent", given.ifAbsent) };
  if ("valueJson" in value && !more.ifAbsent && Object.keys(more).length === 1) {
    return { ...init, valueJson: value.valueJson };
  }
  return { ...init, put: { ...value, ...more } };
}

function restore(prefix: string, point: unknown): OperationInit {
  if (point === undefined) {
    throw check.refused("at", "at is undefined: say which moment's state is to come back");
  }
  return { key: check.text("prefix", prefix), restore: { at: at(point as bigint, "at") } };
}

function expecting(given: { expectedVersion?: check.Integer | undefined }) {
  if (given.expectedVersion === undefined) return {};
  return { expectedVersion: check.count("expectedVersion", given.expectedVersion) };
}

function ttl(given: ContentOptions) {
  return given.ttlMs === undefined ? {} : { ttlMs: check.wholeMilliseconds("ttlMs", given.ttlMs) };
}

function due(given: WriteOptions) {
  if (given.dueInMs !== undefined) {
    if (given.dueAt !== undefined) {
      throw check.refused("dueInMs", "dueAt and dueInMs say the same: leave out one");
    }
    const now = given.dueInMs === 0;
    return { dueInMs: now ? 0n : check.wholeMilliseconds("dueInMs", given.dueInMs) };
  }
  return given.dueAt === undefined ? {} : { dueAt: instant(given.dueAt, "dueAt").first };
}

/** Writes a number that is to be added exactly. */
function number(field: string, value: unknown): string {
  if (typeof value !== "bigint" && (typeof value !== "number" || !Number.isFinite(value))) {
    throw check.refused(field, `${field} must be a finite number, not ${check.brief(value)}`);
  }
  return String(value);
}

const CONDITIONS = {
  key: ["key", "expectedVersion"],
  head: ["expectedHead"],
  lease: ["name", "token"],
};

/** Makes the messages for a commit's preconditions. */
export function conditions(caller: Caller, given: readonly Precondition[]) {
  const keyPreconditions: pb.KeyPrecondition[] = [];
  const headPreconditions: pb.HeadPrecondition[] = [];
  for (const condition of given) {
    const type: unknown = condition?.type;
    if (typeof type !== "string" || !Object.hasOwn(CONDITIONS, type)) {
      throw check.refused(
        "preconditions",
        `preconditions are what when.key(…), when.head(…) and when.lease(…) make, not ${check.brief(condition)}`,
      );
    }
    check.options(condition, "type", "agentId", "namespace", ...CONDITIONS[condition.type]);
    const of = {
      namespace: caller.namespace(condition.namespace),
      agentId: check.name("agentId", condition.agentId),
    };
    if (condition.type === "head") {
      const expectedHead = check.count("expectedHead", condition.expectedHead);
      headPreconditions.push(create(pb.HeadPreconditionSchema, { ...of, expectedHead }));
    } else {
      keyPreconditions.push(
        create(pb.KeyPreconditionSchema, { ...of, ...keyCondition(condition) }),
      );
    }
  }
  return { keyPreconditions, headPreconditions };
}

function keyCondition(condition: Precondition & { type: "key" | "lease" }) {
  if (condition.type === "lease") {
    return {
      lease: check.text("name", condition.name),
      expectedVersion: check.count("token", condition.token),
    };
  }
  return {
    key: check.name("key", condition.key),
    expectedVersion: check.count("expectedVersion", condition.expectedVersion),
  };
}

/** Reports whether what comes of an operation is known at its commit only. */
export function isEvaluated(operation: pb.TransactOperation): boolean {
  if (operation.put) return operation.put.append || operation.put.ifAbsent;
  return !operation.delete && operation.valueJson.length === 0;
}

/** Operations that are commits of their own, and what came of them. */

import * as check from "./check.js";
import { broken } from "./errors.js";
import { fromJson } from "./json.js";
import { content, DEFAULT_CONTENT_TYPE } from "./messages.js";
import type { AnyOperation } from "./operations.js";
import type { Commit, StateRecord } from "./types.js";
import { COMMIT, type CommitOptions } from "./writes.js";

/** Splits the options of an operation from those of its commit. */
export function split<T extends object>(
  options: (T & CommitOptions) | undefined,
): [T, CommitOptions] {
  check.options(options, ...Object.keys(options ?? {}));
  const of: { [name: string]: unknown } = {};
  const commit: { [name: string]: unknown } = {};
  for (const [name, value] of Object.entries(options ?? {})) {
    (COMMIT.includes(name) ? commit : of)[name] = value;
  }
  return [of as T, commit];
}

/** Makes the record that came of an operation. What was written is as it was given. */
export function outcome(commit: Commit, operation: AnyOperation): StateRecord {
  const [result] = commit.results;
  const [version] = commit.versions;
  if (!result || !version || !commit.timestamp) {
    throw broken("no result of an operation that is evaluated");
  }
  let { value, contentType } = result;
  if (operation.type === "append" || operation.type === "write") {
    const fields = content(operation.value, operation.contentType);
    const bytes = "valueBytes" in fields;
    value = bytes ? fields.valueBytes : fromJson(fields.valueJson);
    contentType = bytes ? fields.contentType || DEFAULT_CONTENT_TYPE : "";
  }
  return {
    key: version.key,
    value,
    version: version.version,
    commitTs: commit.commitTs,
    timestamp: commit.timestamp,
    agentId: version.agentId,
    namespace: version.namespace,
    readTs: 0n,
    erased: false,
    pruned: false,
    contentType,
    expiresAt: undefined,
    dueAt: undefined,
    metadata: undefined,
  };
}

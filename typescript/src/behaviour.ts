/** How a client behaves, by its options. */

import type { Options } from "./calls.js";
import * as check from "./check.js";

/** How a client behaves. */
export interface BehaviourOptions {
  /** In which what is named without one is; by default `STATEHOUSE_NAMESPACE`, else `"default"`. */
  namespace?: string;
  /** For a call with all its tries; by default 30,000. `Infinity`: no bound. */
  timeoutMs?: number;
  /** For one try; by default 10,000. */
  attemptTimeoutMs?: number;
  /** Do not wait for a daemon that does not listen. */
  failFast?: boolean;
  /** How many items a page of a list has; by default 1,000. */
  pageSize?: number;
}

/** The names of the options. */
export const BEHAVIOUR = ["namespace", "timeoutMs", "attemptTimeoutMs", "failFast", "pageSize"];
/** What a client does that is told how, and how it does what it is not told. */
export function behaviourOf(given: BehaviourOptions, now: Options): Options {
  const ms = (field: "timeoutMs" | "attemptTimeoutMs") => {
    const value = given[field];
    if (value === undefined) return now[field];
    return value === Number.POSITIVE_INFINITY ? value : check.milliseconds(field, value);
  };
  const pageSize = given.pageSize === undefined ? now.pageSize : check.limit(given.pageSize);
  if (pageSize < 1) throw check.refused("pageSize", "pageSize must be 1 or more");
  return {
    namespace: given.namespace === undefined ? now.namespace : check.namespace(given.namespace),
    timeoutMs: ms("timeoutMs"),
    attemptTimeoutMs: ms("attemptTimeoutMs"),
    failFast: given.failFast === undefined ? now.failFast : check.flag("failFast", given.failFast),
    pageSize,
  };
}

/**
 * Checks of arguments, which JavaScript passes on whatever they are.
 *
 * Rules of the contract (names that are too long, control characters, …) are the daemon's to check,
 * but for what a transaction stages, of which the daemon hears at the commit: {@link name} checks that.
 */

import { inspect } from "node:util";
import { InvalidArgument } from "./errors.js";

/** A whole number from 0 to 2^64 - 1: a version, a commitTs, a token. Answers are always bigint. */
export type Integer = bigint | number;

/** Makes the error. */
export function refused(field: string, message: string): InvalidArgument {
  return new InvalidArgument(message, { details: { field } });
}

/** Shows any value in a few words. */
export function brief(value: unknown): string {
  const text = inspect(value, {
    depth: 1,
    breakLength: Number.POSITIVE_INFINITY,
    maxArrayLength: 5,
  });
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Refuses options that there are not: a misspelt one would be ignored. */
export function options(given: unknown, ...known: readonly string[]): void {
  if (given === undefined) return;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw refused(
      "options",
      `options are an object, such as { namespace: "…" }, not ${brief(given)}`,
    );
  }
  for (const option of Object.keys(given)) {
    if (!known.includes(option)) {
      const list = known.length > 0 ? `: there are ${known.join(", ")}` : "";
      throw refused(option, `there is no option ${option}${list}`);
    }
  }
}

/** Accepts text that can be sent. */
export function text(field: string, value: unknown): string {
  if (typeof value !== "string") {
    throw refused(field, `${field} must be a string, not ${brief(value)}`);
  }
  if (!isWellFormed(value)) {
    throw refused(field, `${field} has half a surrogate pair, which is no text`);
  }
  return value;
}

/** Reports whether text has no lone surrogate, which UTF-8 cannot carry. */
export function isWellFormed(value: string): boolean {
  return !/\p{Surrogate}/u.test(value);
}

/** Bytes that names may have. */
const LONGEST = { namespace: 128, agentId: 256, key: 1024 } as const;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const CONTROL = /[\0-\x1f]/;

/** Accepts what the daemon accepts as a namespace, agentId or key, and says what it says. */
export function name(field: keyof typeof LONGEST, value: unknown): string {
  const given = text(field, value);
  const size = Buffer.byteLength(given);
  if (size === 0) throw refused(field, `${field} is empty`);
  if (size > LONGEST[field]) {
    throw refused(field, `${field} is ${size} bytes long, more than ${LONGEST[field]}`);
  }
  const at = given.search(CONTROL);
  if (at >= 0) {
    const code = given.charCodeAt(at).toString(16).toUpperCase().padStart(4, "0");
    throw refused(
      field,
      `${field} has the control character U+${code} at byte ${Buffer.byteLength(given.slice(0, at))}`,
    );
  }
  return given;
}

/**
 * Accepts the name of a namespace. On the wire an empty one means `default`. Here it is refused, for
 * it is more likely a variable that was never set.
 */
export function namespace(value: unknown): string {
  if (text("namespace", value) === "") {
    throw refused(
      "namespace",
      'namespace is empty: leave it out for the client\'s own, or write "default"',
    );
  }
  return value as string;
}

const MOST = 2n ** 64n - 1n;

/** Accepts what fits an unsigned integer of 64 bits. */
export function count(field: string, value: unknown): bigint {
  if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw refused(field, `${field} is past 2^53, where numbers are not exact: write a bigint`);
  }
  if (typeof value === "number" ? !Number.isInteger(value) : typeof value !== "bigint") {
    throw refused(field, `${field} must be a whole number or a bigint, not ${brief(value)}`);
  }
  const counted = BigInt(value as Integer);
  if (counted < 0n || counted > MOST) {
    throw refused(field, `${field} must be from 0 to 2^64 - 1, not ${counted}`);
  }
  return counted;
}

/** Accepts undefined as well. */
export function optionalCount(field: string, value: unknown): bigint | undefined {
  return value === undefined ? undefined : count(field, value);
}

/** Accepts how many things may be handed out; undefined: all. */
export function limit(value: unknown): number {
  if (value === undefined) return Number.POSITIVE_INFINITY;
  return Number(count("limit", value));
}

/** Accepts a boolean. Text such as `"false"` would be true. */
export function flag(field: string, value: unknown): boolean {
  if (value === undefined) return false;
  if (typeof value !== "boolean") {
    throw refused(field, `${field} must be true or false, not ${brief(value)}`);
  }
  return value;
}

const CENTURY = 100 * 366 * 86_400_000;

/** Accepts a span of time in milliseconds above 0. */
export function milliseconds(field: string, value: unknown): number {
  if (typeof value !== "number" || !(value > 0) || value > CENTURY) {
    throw refused(
      field,
      `${field} must be a number of milliseconds above 0, at most ${CENTURY}, not ${brief(value)}`,
    );
  }
  return value;
}

/** Accepts one that the daemon counts. */
export function wholeMilliseconds(field: string, value: unknown): bigint {
  return BigInt(Math.max(1, Math.round(milliseconds(field, value))));
}

/** Accepts what can be iterated over, except text. */
export function items<T>(field: string, value: Iterable<T>): T[] {
  const iterable = typeof value === "object" && value !== null && Symbol.iterator in value;
  if (!iterable || value instanceof Uint8Array) {
    throw refused(field, `${field} must be an array, not ${brief(value)}`);
  }
  return [...value];
}

/** Accepts an object from text to text. */
export function textMap(field: string, value: unknown): { [key: string]: string } {
  if (value === undefined) return {};
  const proto =
    typeof value === "object" && value !== null ? Object.getPrototypeOf(value) : undefined;
  if (proto !== Object.prototype && proto !== null) {
    throw refused(field, `${field} must be an object from string to string, not ${brief(value)}`);
  }
  const out: { [key: string]: string } = Object.create(null);
  for (const [key, item] of Object.entries(value as object)) {
    if (typeof item !== "string") {
      throw refused(
        field,
        `${field} maps strings to strings, but has ${brief(key)}: ${brief(item)}: use String() or JSON.stringify()`,
      );
    }
    out[text(field, key)] = text(field, item);
  }
  return out;
}

/** Accepts a signal. */
export function signal(value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  throw refused("signal", `signal must be an AbortSignal, not ${brief(value)}`);
}

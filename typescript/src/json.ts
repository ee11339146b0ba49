/**
 * Conversion of values to JSON text and back, exactly or not at all. What the platform's JSON would
 * change in silence (NaN, dates, class instances) is refused with its place, and whole numbers past
 * 2^53, which it would round, are bigints.
 */

import * as check from "./check.js";
import { broken, type InvalidArgument } from "./errors.js";

/** What JSON has. A bigint is a whole number that no JavaScript number carries. */
export type Json = string | number | bigint | boolean | null | readonly Json[] | JsonObject;

/** A JSON object. Members that are undefined are left out. */
export type JsonObject = { readonly [key: string]: Json | undefined };

/** Levels of objects and arrays in each other. */
const DEEPEST = 28;
/** The least integer that rounds to infinity as a double, which the daemon refuses. */
const OVERFLOW = 2n ** 1024n - 2n ** 970n;

/** Writes a value as JSON text, in which nothing is changed or left out but undefined members. */
export function toJson(value: unknown): Uint8Array {
  if (!isPlain(value)) {
    throw problem(
      `a value is an object, or bytes, not ${named(value)}: put it under a key, as in { value: … }`,
    );
  }
  return Buffer.from(write(value, "value", 1));
}

/** Writes what conditions compare with: any JSON. */
export function anyJson(field: string, value: unknown): string {
  return write(value, field, 1);
}

function write(node: unknown, path: string, depth: number): string {
  switch (typeof node) {
    case "string":
      if (!check.isWellFormed(node)) {
        throw problem(`${path} is text with half a surrogate pair, which is no Unicode`);
      }
      return JSON.stringify(node);
    case "number":
      if (!Number.isFinite(node)) {
        throw problem(`${path} is ${node}, which JSON cannot carry: use null, or a string`);
      }
      return JSON.stringify(node);
    case "bigint":
      if (node >= OVERFLOW || node <= -OVERFLOW) {
        throw problem(
          `${path} is an integer beyond 1.8e308, where the daemon's numbers end: write it as a string`,
        );
      }
      return node.toString();
    case "boolean":
      return node ? "true" : "false";
    case "object":
      break;
    default:
      throw problem(`${path} is ${named(node)}, which is not JSON: ${wayOut(node)}`);
  }
  if (node === null) return "null";
  if (depth > DEEPEST) {
    throw problem(
      `the value is nested too deep, or contains itself: the daemon takes ${DEEPEST} levels`,
    );
  }
  if (Array.isArray(node)) {
    const parts = [];
    for (let at = 0; at < node.length; at++)
      parts.push(write(node[at], `${path}[${at}]`, depth + 1));
    return `[${parts.join(",")}]`;
  }
  if (!isPlain(node))
    throw problem(`${path} is ${named(node)}, which is not JSON: ${wayOut(node)}`);
  const parts = [];
  for (const [key, item] of Object.entries(node)) {
    if (item === undefined) continue;
    if (!check.isWellFormed(key)) {
      throw problem(`a key of ${path} is text with half a surrogate pair, which is no Unicode`);
    }
    parts.push(
      `${JSON.stringify(key)}:${write(item, `${path}[${JSON.stringify(key)}]`, depth + 1)}`,
    );
  }
  return `{${parts.join(",")}}`;
}

function isPlain(node: unknown): node is { [key: string]: unknown } {
  if (typeof node !== "object" || node === null) return false;
  const proto = Object.getPrototypeOf(node);
  // Objects of another realm, such as a test runner's sandbox, have another Object.prototype.
  return proto === null || Object.getPrototypeOf(proto) === null;
}

function wayOut(node: unknown): string {
  if (node instanceof Date) return "write .toISOString()";
  if (node instanceof Uint8Array || node instanceof ArrayBuffer) {
    return "write it as base64 text, or as a record of its own: a value may be bytes";
  }
  if (node instanceof Map) return "write Object.fromEntries() of it";
  if (node instanceof Set) return "use an array (sorted, so that it is the same each time)";
  if (node instanceof Promise) return "await it";
  if (typeof node === "object") return "write { ...it }, or what of it belongs into the store";
  return "use objects, arrays, strings, numbers, bigints, booleans and null";
}

function named(node: unknown): string {
  if (node === null || node === undefined) return String(node);
  if (typeof node !== "object") return `a ${typeof node}`;
  const name: unknown = node.constructor?.name;
  return Array.isArray(node)
    ? "an array"
    : `a ${typeof name === "string" && name ? name : "object"}`;
}

function problem(message: string): InvalidArgument {
  return check.refused("value", message);
}

/** Digits that a number past 2^53 has. A run of them in a string only costs the slower parser. */
const LONG = /\d{16}/;

/** Reads the JSON object that the daemon sent. */
export function fromJson(bytes: Uint8Array): { [key: string]: Json } {
  const value = parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw broken(`a value that is ${named(value)}, not a JSON object`);
  }
  return value as { [key: string]: Json };
}

/** Reads any JSON that the daemon sent. */
export function parse(text: string): Json {
  try {
    return LONG.test(text) ? new Exact(text).value() : (JSON.parse(text) as Json);
  } catch (error) {
    throw broken(`a value that is not JSON: ${error}`);
  }
}

/** A token of JSON: what stands between, strings, numbers, words. */
const TOKEN =
  /[\s]*(?:([{}[\],:])|("(?:[^"\\]|\\.)*")|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null))/y;

/** Parses JSON whose long integers are to be bigints, which JSON.parse would round. */
class Exact {
  #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): Json {
    const value = this.#read(this.#next());
    if (this.#text.slice(this.#at).trim() !== "") throw new SyntaxError("more after the value");
    return value;
  }

  #next(): string {
    TOKEN.lastIndex = this.#at;
    const found = TOKEN.exec(this.#text);
    if (!found) throw new SyntaxError(`no token at ${this.#at}`);
    this.#at = TOKEN.lastIndex;
    return (found[1] ?? found[2] ?? found[3] ?? found[4]) as string;
  }

  #read(token: string): Json {
    if (token === "{") return this.#object();
    if (token === "[") return this.#array();
    if (/^-?\d/.test(token)) return exactNumber(token);
    return JSON.parse(token) as Json;
  }

  #array(): Json[] {
    const out: Json[] = [];
    for (let token = this.#next(); token !== "]"; token = this.#next()) {
      if (out.length > 0) {
        if (token !== ",") throw new SyntaxError(`${token} in an array`);
        token = this.#next();
      }
      out.push(this.#read(token));
    }
    return out;
  }

  #object(): JsonObject {
    const out: { [key: string]: Json } = {};
    let first = true;
    for (let token = this.#next(); token !== "}"; token = this.#next()) {
      if (!first) {
        if (token !== ",") throw new SyntaxError(`${token} in an object`);
        token = this.#next();
      }
      first = false;
      const key: unknown = JSON.parse(token);
      if (typeof key !== "string" || this.#next() !== ":") throw new SyntaxError("no member");
      const value = this.#read(this.#next());
      // As JSON.parse does: a member of that name is no prototype.
      Object.defineProperty(out, key, {
        value,
        enumerable: true,
        writable: true,
        configurable: true,
      });
    }
    return out;
  }
}

function exactNumber(token: string): number | bigint {
  const number = Number(token);
  return /^-?\d+$/.test(token) && !Number.isSafeInteger(number) ? BigInt(token) : number;
}

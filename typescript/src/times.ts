/**
 * Conversion of points in time: dates and ISO text to timestamps of the contract, and back.
 *
 * The daemon's clock counts nanoseconds, a Date milliseconds. So a Date stands for the whole
 * millisecond it names: read as of a record's own `timestamp`, the record is there.
 */

import { create } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import * as check from "./check.js";
import { broken } from "./errors.js";
import { type At, AtSchema } from "./proto/statehouse/v1/statehouse_pb.js";

/**
 * A point of the total order: a commitTs (the state after that commit), a Date, or a time as ISO 8601
 * text with a zone, `"2026-02-07T10:00:00Z"`. A time means the state after the last commit whose
 * timestamp is not later.
 */
export type Point = bigint | number | Date | string;

const ISO =
  /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(Z|z|[+-]\d\d(?::?\d\d)?)?$/;

/** Reads a time that a user gave: the first and the last moment that it may mean. */
export function instant(
  point: Date | string,
  field: string,
): { first: Timestamp; last: Timestamp } {
  if (point instanceof Date) {
    const ms = point.getTime();
    if (Number.isNaN(ms)) throw refused(field, "an invalid Date");
    const seconds = Math.floor(ms / 1000);
    const nanos = (ms - seconds * 1000) * 1_000_000;
    return range(seconds, nanos, 999_999);
  }
  return fromText(point, field);
}

function range(seconds: number, nanos: number, unsaid: number) {
  const at = BigInt(seconds);
  return {
    first: create(TimestampSchema, { seconds: at, nanos }),
    last: create(TimestampSchema, { seconds: at, nanos: nanos + unsaid }),
  };
}

function fromText(text: string, field: string) {
  const match = ISO.exec(text.trim());
  if (!match) {
    throw refused(
      field,
      `${check.brief(text)} is not a time in ISO 8601, such as 2026-02-07T10:00:00Z`,
    );
  }
  const [, date, minutes, seconds = "00", fraction = "", given] = match;
  if (given === undefined) {
    throw refused(field, `${check.brief(text)} has no time zone: append Z when it is UTC`);
  }
  let zone = given.toUpperCase();
  if (zone !== "Z" && !zone.includes(":")) zone = `${zone.slice(0, 3)}:${zone.slice(3) || "00"}`;
  const ms = Date.parse(`${date}T${minutes}:${seconds}${zone}`);
  if (Number.isNaN(ms)) throw refused(field, `${check.brief(text)} is not a time`);
  // What a Date of the same text would stand for; more digits are meant as they are.
  const unsaid = fraction.length <= 3 ? 999_999 : fraction.length <= 6 ? 999 : 0;
  return range(ms / 1000, Number(fraction.padEnd(9, "0")), unsaid);
}

/** Makes the contract's At of a point; undefined: now. */
export function at(point: Point | undefined, field: string): At | undefined {
  if (point === undefined) return undefined;
  if (point instanceof Date || typeof point === "string") {
    return create(AtSchema, { point: { case: "time", value: instant(point, field).last } });
  }
  return create(AtSchema, { point: { case: "commitTs", value: commitTs(point, field) } });
}

/** Checks a commitTs. */
export function commitTs(point: unknown, field: string): bigint {
  if (typeof point !== "bigint" && typeof point !== "number") {
    throw refused(
      field,
      `a point is a commitTs (a bigint), a Date or ISO 8601 text, not ${check.brief(point)}`,
    );
  }
  return check.count(field, point);
}

/** Reads a timestamp that may be absent. */
export function moment(message: Timestamp | undefined): Date | undefined {
  return (
    message && new Date(Number(message.seconds) * 1000 + Math.floor(message.nanos / 1_000_000))
  );
}

/** Reads one that may not. */
export function date(message: Timestamp | undefined): Date {
  const found = moment(message);
  if (found === undefined) throw broken("a time is missing");
  return found;
}

function refused(field: string, message: string) {
  return check.refused(field, `${field}: ${message}`);
}

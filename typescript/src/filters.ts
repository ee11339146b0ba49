/**
 * Conditions of `find`.
 *
 * A place is a JSON Pointer (RFC 6901) into a record's value, or a key of the metadata of its last commit.
 * Where there is nothing at the place, a condition does not hold, also not `ne`; {@link not} is the exact
 * opposite of what it is given, and so holds there. Values of different types are not equal, and neither
 * before nor after each other; numbers compare exactly, text by its bytes. A value that is bytes, or was
 * erased, meets no condition on values, nor the opposite of one.
 */

import * as check from "./check.js";
import { anyJson, type Json } from "./json.js";
import { Comparison } from "./proto/statehouse/v1/statehouse_pb.js";

/** A condition of `find`, as a {@link Place} makes it. */
export class Condition {
  /** @internal */
  constructor(
    /** @internal */ readonly pointer: string,
    /** @internal */ readonly metadata: string,
    /** @internal */ readonly comparison: Comparison,
    /** @internal */ readonly value = "",
    /** @internal */ readonly negate = false,
  ) {}
}

/** Makes the opposite of a condition. */
export function not(condition: Condition): Condition {
  if (!(condition instanceof Condition)) {
    throw check.refused("where", `not() takes a condition, not ${check.brief(condition)}`);
  }
  const { pointer, metadata, comparison, value, negate } = condition;
  return new Condition(pointer, metadata, comparison, value, !negate);
}

/** A place in a record. */
export class Place {
  readonly #pointer: string;
  readonly #metadata: string;

  /** @internal */
  constructor(pointer: string, metadata: string) {
    this.#pointer = pointer;
    this.#metadata = metadata;
  }

  /** What is there is equal to a value. */
  eq(value: Json): Condition {
    return this.#compared(Comparison.EQUAL, value);
  }
  /** There is something, and it is not equal to a value. */
  ne(value: Json): Condition {
    return this.#compared(Comparison.NOT_EQUAL, value);
  }
  lt(value: number | bigint | string): Condition {
    return this.#compared(Comparison.LESS, value);
  }
  le(value: number | bigint | string): Condition {
    return this.#compared(Comparison.LESS_OR_EQUAL, value);
  }
  gt(value: number | bigint | string): Condition {
    return this.#compared(Comparison.GREATER, value);
  }
  ge(value: number | bigint | string): Condition {
    return this.#compared(Comparison.GREATER_OR_EQUAL, value);
  }
  /** What is there is equal to one of the values. */
  in(values: Iterable<Json>): Condition {
    return this.#compared(Comparison.IN, check.items("values", values));
  }
  /** There is something, if only null. */
  exists(): Condition {
    return new Condition(this.#pointer, this.#metadata, Comparison.EXISTS);
  }

  #compared(comparison: Comparison, value: Json): Condition {
    return new Condition(this.#pointer, this.#metadata, comparison, anyJson("value", value));
  }
}

/** Names a place in a record's value, by a JSON Pointer such as `"/tokens/used"`; empty: the value itself. */
export function F(pointer: string): Place {
  const given = check.text("pointer", pointer);
  if (given !== "" && !given.startsWith("/")) {
    throw check.refused(
      "pointer",
      `${JSON.stringify(given)} is no JSON Pointer, which begins with /: write ${JSON.stringify(`/${given}`)}`,
    );
  }
  return new Place(given, "");
}

/** Names a key of the metadata of the record's last commit, whose values are text. */
F.meta = (key: string): Place => {
  if (check.text("key", key) === "") throw check.refused("key", "the key is empty");
  return new Place("", key);
};

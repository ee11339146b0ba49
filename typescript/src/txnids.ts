/** Ids of transactions. */

import { randomFillSync } from "node:crypto";

/**
 * Makes a UUID of version 7 (RFC 9562): the time in milliseconds, then randomness.
 *
 * The daemon decides by the time whether it still keeps the outcome of an id, so the clock should be
 * right to the day.
 */
export function newTxnId(): string {
  const bytes = randomFillSync(Buffer.alloc(16));
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = 0x70 | ((bytes[6] as number) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f);
  const hex = bytes.toString("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}

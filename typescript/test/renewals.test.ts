/** Renewals, without a daemon. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import type { Caller } from "../src/calls.js";
import type { Lease } from "../src/leases.js";
import {
  type RenewLeasesRequest,
  RenewLeasesResponseSchema,
} from "../src/proto/statehouse/v1/statehouse_pb.js";
import { Renewals } from "../src/renewals.js";

/** Renewals by a daemon that answers but for the lease `slow`, and what they say has happened. */
function stage() {
  const asked = new AbortController();
  const renewed = new AbortController();
  const caller = {
    options: { attemptTimeoutMs: 1000 },
    within: () => caller,
    with: () => caller,
    call(_: string, { leases }: RenewLeasesRequest) {
      if (leases.some(({ lease }) => lease === "slow")) {
        asked.abort();
        return new Promise(() => {}); // for ever
      }
      const each = leases.map(() => ({ lost: false, deadline: timestampNow() }));
      return Promise.resolve(create(RenewLeasesResponseSchema, { leases: each }));
    },
  };
  const lease = (name: string, ttlMs: number): Lease => {
    const made = {
      ...{ namespace: "default", agentId: "a", name, token: 1n, ttlMs, sent: performance.now() },
      left: () => made.sent + ttlMs - performance.now(),
      lapse() {},
      renewed: () => renewed.abort(),
      lose: () => assert.fail("nothing is lost"),
    };
    return made as unknown as Lease;
  };
  const renewals = new Renewals(caller as unknown as Caller);
  return { renewals, lease, asked: asked.signal, renewed: renewed.signal };
}

/** Keeps the process going, for timers of renewals do not. */
async function meanwhile(work: () => Promise<unknown>) {
  const running = setInterval(() => {}, 1000);
  await work().finally(() => clearInterval(running));
}

test(
  "a lease whose renewal is not answered keeps no other from being renewed",
  {
    timeout: 20_000,
  },
  () =>
    meanwhile(async () => {
      const { renewals, lease, asked, renewed } = stage();
      renewals.add(lease("slow", 30));
      await once(asked, "abort");
      renewals.add(lease("other", 30));
      await once(renewed, "abort");
    }),
);

test("what is due first is renewed first", { timeout: 20_000 }, () =>
  meanwhile(async () => {
    const { renewals, lease, renewed } = stage();
    renewals.add(lease("long", 3_600_000));
    renewals.add(lease("short", 30));
    await once(renewed, "abort");
  }),
);

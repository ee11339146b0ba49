/** Addresses, TLS, tokens, and what is said when there is no connection. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse, target } from "../src/addresses.js";
import * as sh from "../src/index.js";
import { Daemon } from "../src/testing.js";

const folder = mkdtempSync(join(tmpdir(), "statehouse-"));
const file = (name: string) => join(folder, name);
let secured: Daemon;

/** Makes a certificate of its own authority, for this machine. */
function certificate(name: string, host = "localhost") {
  const names = host === "localhost" ? "DNS:localhost,IP:127.0.0.1" : `DNS:${host}`;
  const made = [file(`${name}.key`), file(`${name}.pem`)] as const;
  const asked = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const of = ["-subj", `/CN=${host}`, "-addext", `subjectAltName=${names}`, "-days", "2"];
  execFileSync("openssl", ["req", ...asked, ...of, "-keyout", made[0], "-out", made[1]], {
    stdio: "ignore",
  });
  return made;
}

before(async () => {
  const [key, cert] = certificate("here");
  certificate("other");
  const flags = [`--tls-cert=${cert}`, `--tls-key=${key}`, "--token=s3cret"];
  secured = await Daemon.start({ flags, client: { caFile: cert } });
});
after(async () => {
  await secured.stop();
  rmSync(folder, { recursive: true });
});

test("addresses are read as every client of Statehouse reads them", () => {
  const path = process.env.STATEHOUSE_ADDRESSES ?? "../client/testdata/addresses.json";
  const cases = JSON.parse(readFileSync(path, "utf8")) as {
    address: string;
    target?: string;
    tls?: boolean;
    error?: string;
  }[];
  assert.ok(cases.length > 50);
  for (const { address, target: wanted, tls, error } of cases) {
    if (error === undefined) {
      const read = parse("address", address);
      assert.deepEqual([target(read), read.tls], [wanted, tls], address);
    } else {
      assert.throws(
        () => parse("address", address),
        (e: Error) => e.message.includes(error),
        address,
      );
    }
  }
});

test("TLS with an authority of one's own, and a token", async () => {
  const client = secured.client({ token: "s3cret" });
  await client.write("a", "k", { n: 1 });
  assert.deepEqual((await client.getState("a", "k"))?.value, { n: 1 });
  await assert.rejects(secured.client().getState("a", "k"), sh.Unauthenticated);
  await assert.rejects(secured.client({ token: "wrong" }).write("a", "k", {}), sh.Unauthenticated);
});

test("what waiting cannot help is said at once: certificates, TLS on one side, an unknown host", async () => {
  const refused = async (options: sh.ClientOptions, said: RegExp) => {
    await using client = new sh.Statehouse({
      address: secured.address,
      token: "s3cret",
      ...options,
    });
    const begun = performance.now();
    await assert.rejects(client.getState("a", "k"), (error: sh.ConnectionError) => {
      assert.ok(error instanceof sh.ConnectionError, String(error));
      assert.match(error.message, said);
      return !error.answered;
    });
    assert.ok(performance.now() - begun < 20_000);
  };
  await refused({ caFile: file("other.pem") }, /is not trusted/);
  await refused({ tls: true }, /is not trusted/);
  await refused({}, /wants TLS, and this client speaks plain text/);
  await using plain = await Daemon.start();
  await refused({ address: plain.address, caFile: file("here.pem") }, /does not speak TLS/);
  await refused(
    { address: "no-such-host.invalid", plaintextToken: true },
    /unknown host "no-such-host.invalid"/,
  );
});

test("a daemon that is not there is waited for until the timeout, or not at all", async () => {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as { port: number };
  listener.close();
  await once(listener, "close");
  await using client = new sh.Statehouse({ address: `127.0.0.1:${port}`, timeoutMs: 300 });
  const begun = performance.now();
  await assert.rejects(client.write("a", "k", {}), (error: sh.DeadlineExceeded) => {
    assert.ok(error instanceof sh.DeadlineExceeded && !(error instanceof sh.OutcomeUnknown));
    return /connection refused|no connection/.test(error.message);
  });
  assert.ok(performance.now() - begun > 200);
  const hasty = client.withOptions({ failFast: true, timeoutMs: 60_000 });
  await assert.rejects(hasty.getState("a", "k"), /cannot be reached: connection refused/);
  await assert.rejects(client.beginTransaction(), sh.DeadlineExceeded);
});

test("a client of a daemon that starts later finds it", async () => {
  await using daemon = await Daemon.start({ onDisk: true });
  await daemon.crash();
  const client = daemon.client();
  const writing = client.write("a", "k", {});
  await daemon.restart();
  assert.equal((await writing).version, 1n);
});

test("somebody who accepts and does not answer is no daemon", async () => {
  const kept: { destroy(): void }[] = [];
  const listener = createServer((socket) => kept.push(socket)).listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as { port: number };
  await using client = new sh.Statehouse({ address: `127.0.0.1:${port}`, timeoutMs: 300 });
  // Not OutcomeUnknown: nothing was sent.
  await assert.rejects(client.write("a", "k", {}), sh.ConnectionError);
  for (const socket of kept) socket.destroy();
  listener.close();
});

test("configurations that cannot work are refused when the client is made", () => {
  writeFileSync(file("empty.pem"), "");
  const refused = (options: unknown, said: RegExp) =>
    assert.throws(
      () => new sh.Statehouse(options as never),
      (error: sh.InvalidArgument) => {
        assert.ok(error instanceof sh.InvalidArgument, String(error));
        return said.test(error.message);
      },
    );
  refused({ address: "http://localhost", tls: true }, /http:\/\/ is without TLS/);
  refused({ address: "https://localhost", tls: false }, /turns off what https:\/\/ asks for/);
  refused({ address: "db.example.com", token: "t" }, /in plain text/);
  refused({ token: "t\n" }, /\.trim\(\) it/);
  refused({ token: "" }, /it is empty/);
  refused({ token: "t", headers: { Authorization: "x" } }, /both say authorization/);
  refused({ headers: { "grpc-x": "y" } }, /no name of a header/);
  refused({ caFile: file("nowhere.pem") }, /caFile cannot be read/);
  refused({ caFile: file("empty.pem") }, /nothing in PEM form/);
  refused({ certFile: file("here.pem") }, /go together/);
  refused(
    { certFile: file("here.pem"), keyFile: file("other.key") },
    /no certificate with its own key/,
  );
  refused({ url: "localhost" }, /there is no option url: there are address/);
  refused({ namespace: "" }, /namespace is empty/);
  refused({ timeoutMs: "10" }, /timeoutMs must be a number of milliseconds/);
  refused({ pageSize: 0 }, /pageSize must be 1 or more/);
  new sh.Statehouse({ address: "db.example.com", token: "t", plaintextToken: true }).close();
});

test("settings of the environment are followed, and what is given goes before", async () => {
  const kept = { ...process.env };
  try {
    process.env.STATEHOUSE_ADDRESS = `https://localhost:${secured.port}`;
    process.env.STATEHOUSE_TOKEN = "s3cret";
    process.env.STATEHOUSE_NAMESPACE = "from-env";
    const client = new sh.Statehouse({ caFile: file("here.pem") });
    await client.write("a", "k", {});
    assert.equal((await client.getState("a", "k"))?.namespace, "from-env");
    assert.equal(await client.withOptions({ namespace: "given" }).getState("a", "k"), null);
    client.close();
    process.env.STATEHOUSE_ADDRESS = "not an address";
    assert.throws(() => new sh.Statehouse(), /STATEHOUSE_ADDRESS "not an address" is no address/);
  } finally {
    process.env = kept;
  }
});

/** How to talk to the daemon: its address, TLS, the key, gRPC's options. */

import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { type ChannelCredentials, type ChannelOptions, credentials, Metadata } from "@grpc/grpc-js";
import { type Address, DEFAULT_PORT, isLoopback, parse, target } from "./addresses.js";
import * as check from "./check.js";
import { VERSION } from "./version.js";

/** How a client is told to reach the daemon. */
export interface EndpointOptions {
  /**
   * `host:port`, `host`, or either after `http://` or `https://`. By default `STATEHOUSE_ADDRESS`, else
   * `localhost:50051`.
   */
  address?: string;
  /**
   * In place of `address`: those of daemons that keep one store between them, as they call themselves. Calls go to
   * the one that leads, those that fail are repeated at another, and reads that may be stale (`maxStalenessMs`)
   * go to all in turn.
   */
  addresses?: readonly string[];
  /** A key or the shared token; by default `STATEHOUSE_TOKEN`. */
  token?: string;
  /** Speak TLS, trusting the system's authorities. */
  tls?: boolean;
  /** Files in PEM form: authorities to trust, and a certificate to show, with its key. */
  caFile?: string;
  certFile?: string;
  keyFile?: string;
  /** Further headers of every request. */
  headers?: { readonly [name: string]: string };
  /** The network itself is trusted: send the token without TLS. */
  plaintextToken?: boolean;
  /**
   * Reads that are under way at once share a stream, where the daemon knows that, which costs a fraction of a
   * call each. By default true; false: each request is a call of its own.
   */
  sessions?: boolean;
}

/** A daemon and how to talk to it. */
export interface Endpoint {
  readonly address: Address;
  readonly target: string;
  readonly secure: boolean;
  readonly ca: Buffer | undefined;
  readonly credentials: ChannelCredentials;
  readonly headers: Metadata;
  readonly options: ChannelOptions;
  /** A proxy of the environment's may stand between. */
  readonly proxied: boolean;
  /** There has been a connection. */
  met: boolean;
  /** Reads that are under way at once may share a stream. */
  sessions: boolean;
  /**
   * One that the store had when it was asked, or later; undefined: it was not asked. What a
   * transaction reads that begins now is of that epoch, or of one that began since.
   */
  epoch: string | undefined;
}

const FIELDS = ["caFile", "certFile", "keyFile"] as const;
const SECRET = ["authorization", "proxy-authorization", "cookie"];

/** Checks how a client is told to reach the daemon, or several. */
export function endpoints({ addresses, ...given }: EndpointOptions): Endpoint[] {
  if (addresses === undefined) return [endpoint(given)];
  const all = typeof addresses === "string" ? [] : check.items("addresses", addresses);
  if (all.length === 0) {
    throw check.refused("addresses", "addresses are those of one daemon at least, in an array");
  }
  if (given.address !== undefined) {
    throw check.refused("addresses", "address and addresses say the same: leave out one");
  }
  return all.map((address) => endpoint({ ...given, address }));
}

function endpoint(given: EndpointOptions): Endpoint {
  const address = addressOf(given.address);
  const secure = isSecure(address, given);
  const headers = headersOf(given.headers);
  const token = given.token ?? setting("STATEHOUSE_TOKEN");
  if (token !== undefined) {
    checkToken(token);
    if (headers.get("authorization").length > 0) {
      throw check.refused("token", "token and headers both say authorization: leave out one");
    }
    headers.set("authorization", `Bearer ${token}`);
  }
  const secret = SECRET.some((name) => headers.get(name).length > 0);
  const trusted =
    secure || isLoopback(address) || check.flag("plaintextToken", given.plaintextToken);
  if (secret && !trusted) {
    throw check.refused(
      token === undefined ? "headers" : "token",
      `the token would go to ${target(address)} in plain text: turn TLS on with tls or caFile, or give plaintextToken if the network itself is trusted`,
    );
  }
  // A proxy can reach no loopback address of this machine, and reads what is in plain text: who
  // trusts a network with a token has not said so of a proxy.
  const direct = isLoopback(address) || (secret && !secure);
  const [ca, key, cert] = secure ? files(given) : [];
  return {
    address,
    target: target(address),
    secure,
    ca,
    credentials: secure
      ? credentials.createSsl(ca ?? null, key ?? null, cert ?? null)
      : credentials.createInsecure(),
    headers,
    options: channelOptions(direct),
    proxied:
      !direct && ["grpc_proxy", "https_proxy", "http_proxy"].some((name) => process.env[name]),
    met: false,
    sessions: given.sessions === undefined || check.flag("sessions", given.sessions),
    epoch: undefined,
  };
}

function channelOptions(direct: boolean): ChannelOptions {
  return {
    "grpc.primary_user_agent": `statehouse-typescript/${VERSION}`,
    // Two clients share no connection, so closing or losing one does not affect the other.
    "grpc.use_local_subchannel_pool": 1,
    // What may be repeated is decided in calls.ts.
    "grpc.enable_retries": 0,
    // A daemon that restarts is found again within a second, not gRPC's two minutes.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    // A watch notices that the other machine is gone.
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 10_000,
    // The largest answer.
    "grpc.max_receive_message_length": (4 << 20) + (64 << 10),
    "grpc.max_send_message_length": -1, // the daemon says what is too much
    "grpc.enable_http_proxy": direct ? 0 : 1,
  };
}

/** Reads a setting of the environment. One that is set to nothing counts as not set. */
export function setting(name: string): string | undefined {
  return process.env[name] || undefined;
}

function addressOf(given: string | undefined): Address {
  if (given !== undefined) return parse("address", check.text("address", given));
  for (const name of ["STATEHOUSE_ADDRESS", "STATEHOUSE_ADDR", "STATEHOUSE_URL"]) {
    const found = setting(name);
    if (found !== undefined) return parse(name, found);
  }
  return { host: "localhost", port: DEFAULT_PORT };
}

/** Decides whether TLS is spoken; all that says so must say the same. */
function isSecure(address: Address, given: EndpointOptions): boolean {
  const named: string[] = FIELDS.filter((field) => given[field] !== undefined);
  const off = given.tls === false;
  if (check.flag("tls", given.tls)) named.push("tls");
  if (address.tls === false && named.length > 0) {
    throw check.refused(
      "address",
      `http:// is without TLS, and ${named[0]} asks for it: write https://`,
    );
  }
  if (off && (address.tls || named.length > 0)) {
    const what = address.tls ? "https://" : named[0];
    throw check.refused("tls", `tls: false turns off what ${what} asks for: leave out one`);
  }
  if ((given.certFile === undefined) !== (given.keyFile === undefined)) {
    throw check.refused("keyFile", "certFile and keyFile go together");
  }
  return Boolean(address.tls) || named.length > 0;
}

/** Reads the files of TLS. gRPC takes whatever they hold, and then never connects. */
function files(given: EndpointOptions): (Buffer | undefined)[] {
  const [ca, cert, key] = FIELDS.map((field) => pem(field, given[field]));
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw check.refused(
      "certFile",
      `certFile and keyFile are no certificate with its own key, without a password: ${(error as Error).message}`,
    );
  }
  try {
    createSecureContext({ ca });
  } catch (error) {
    throw check.refused("caFile", `caFile holds no certificate: ${(error as Error).message}`);
  }
  return [ca, key, cert];
}

function pem(field: string, path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  let data: Buffer;
  try {
    data = readFileSync(check.text(field, path));
  } catch (error) {
    throw check.refused(field, `${field} cannot be read: ${(error as Error).message}`);
  }
  if (!data.includes("-----BEGIN ")) {
    throw check.refused(field, `${field} ${JSON.stringify(path)} holds nothing in PEM form`);
  }
  return data;
}

function headersOf(given: EndpointOptions["headers"]): Metadata {
  const headers = new Metadata();
  for (const [key, value] of Object.entries(check.textMap("headers", given))) {
    const name = key.toLowerCase();
    if (!/^[0-9a-z_.-]+$/.test(name) || name.startsWith("grpc-") || name.endsWith("-bin")) {
      throw check.refused(
        "headers",
        `headers: ${JSON.stringify(name)} is no name of a header of text: those are letters, digits, - _ and dots, not beginning with grpc- nor ending in -bin`,
      );
    }
    if (!/^[ -~]*$/.test(value)) {
      throw check.refused(
        "headers",
        `the value of header ${JSON.stringify(name)} must be printable ASCII`,
      );
    }
    headers.set(name, value);
  }
  return headers;
}

/** Refuses what no header can carry, and says where it probably comes from. */
function checkToken(token: string): void {
  let why = "";
  if (check.text("token", token) === "") why = "it is empty";
  else if (/^[\ufeff\ufffe]/.test(token)) why = "it begins with a byte order mark";
  else if (token.trim() !== token) {
    why = "it begins or ends with white space, as what is read from a file does: .trim() it";
  } else if (!/^[!-~]*$/.test(token)) {
    const at = token.search(/[^!-~]/);
    why = `its character ${at + 1} is ${JSON.stringify(token[at])}`;
  }
  if (why) {
    throw check.refused(
      "token",
      `no header can carry the token: ${why}. A token is printable ASCII without spaces`,
    );
  }
}

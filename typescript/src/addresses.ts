/**
 * The grammar of addresses. It is one for all clients of Statehouse: the cases that each of them must
 * agree on are in `client/testdata/addresses.json`.
 *
 * An address is `host:port`, `host`, or either after `http://` or `https://`, which say whether TLS is
 * spoken. What gRPC would make of anything else (a name of another scheme, a path passed over) is not
 * what its writer meant, so it is refused.
 */

import { isIP, isIPv6 } from "node:net";
import * as check from "./check.js";
import type { InvalidArgument } from "./errors.js";

export const DEFAULT_PORT = 50051;

/** Where a daemon listens. */
export interface Address {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** undefined: the address does not say. */
  readonly tls?: boolean;
}

/** The name that gRPC connects to. */
export function target(address: Address): string {
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Reports whether it is certainly on this machine. */
export function isLoopback(address: Address): boolean {
  const host = address.host.toLowerCase();
  if (host === "localhost") return true;
  if (isIP(host) === 4) return host.startsWith("127.");
  return isIPv6(host) && /^(0*:)*:?0*1$/.test(host);
}

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//;
const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?$/;

/** Reads an address; `field` names where it was given. */
export function parse(field: string, address: string): Address {
  const problem = (what: string, shown = true): InvalidArgument =>
    check.refused(
      field,
      `${field}${shown ? ` ${JSON.stringify(address)}` : ""} is no address: ${what}. Write host:port, such as localhost:50051`,
    );
  if (address === "") throw problem("it is empty");
  if (/\s/.test(address)) throw problem("it has white space in it");
  let tls: boolean | undefined;
  let rest = address;
  const scheme = SCHEME.exec(address);
  if (scheme) {
    const name = (scheme[1] as string).toLowerCase();
    if (name !== "http" && name !== "https") {
      throw problem(`the scheme ${name}:// is not known, only http:// and https://`);
    }
    tls = name === "https";
    rest = address.slice(scheme[0].length).replace(/\/$/, "");
  }
  if (rest.includes("@")) {
    throw problem("it has a user or password in it; a token is given by token", false);
  }
  if (/[/?#]/.test(rest)) throw problem("it has a path, and a daemon has none");
  const { host, port } = split(problem, rest);
  return tls === undefined ? { host, port } : { host, port, tls };
}

type Problem = (what: string, shown?: boolean) => InvalidArgument;

function split(problem: Problem, rest: string): { host: string; port: number } {
  if (rest.startsWith("[")) {
    const closed = rest.indexOf("]");
    if (closed < 0) throw problem("the brackets are not closed");
    const [inside, after] = [rest.slice(1, closed), rest.slice(closed + 1)];
    if (!inside) throw problem("it names no host");
    if (!isIPv6(inside) || inside.includes("%")) {
      throw problem("the brackets are for an IPv6 address, without a zone");
    }
    if (after && !after.startsWith(":")) {
      throw problem("a colon belongs between the brackets and the port");
    }
    return { host: inside, port: portOf(problem, after ? after.slice(1) : undefined) };
  }
  if (looksLikeIPv6(rest)) {
    throw problem("an IPv6 address is written in brackets, as in [::1]:50051");
  }
  const colon = rest.indexOf(":");
  const host = colon < 0 ? rest : rest.slice(0, colon);
  checkHost(problem, host);
  return { host, port: portOf(problem, colon < 0 ? undefined : rest.slice(colon + 1)) };
}

/** Reports whether text is an IPv6 address, or one with a port after it. */
function looksLikeIPv6(text: string): boolean {
  if (text.split(":").length < 3) return false;
  const bare = (candidate: string) => isIPv6(candidate.replace(/%.*$/, ""));
  return bare(text) || bare(text.slice(0, text.lastIndexOf(":")));
}

function checkHost(problem: Problem, host: string): void {
  if (!host) throw problem("it names no host");
  const labels = host.split(".");
  if (host.length > 253 || !labels.every((label) => LABEL.test(label))) {
    throw problem(
      "its host is no name: those are letters, digits, - and _ in parts of up to 63 characters with dots between them",
    );
  }
  if (labels.some((label) => label.length > 63)) {
    throw problem("its host has a part of more than 63 characters");
  }
}

function portOf(problem: Problem, port: string | undefined): number {
  if (port === undefined) return DEFAULT_PORT;
  if (!/^[1-9][0-9]{0,4}$/.test(port) || Number(port) > 65535) {
    throw problem(`the port ${JSON.stringify(port)} is not a number from 1 to 65535`);
  }
  return Number(port);
}

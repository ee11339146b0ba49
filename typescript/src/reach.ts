/** Saying why there is no connection. */

import { lookup } from "node:dns/promises";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Deadline } from "./deadline.js";
import type { Endpoint } from "./endpoint.js";
import { ConnectionError } from "./errors.js";

/** Milliseconds that looking for the cause may take. */
const LOOK = 1000;

/** Makes the error for a connection that gRPC says has failed. Nothing was sent on it. */
export async function explain(endpoint: Endpoint, deadline: Deadline): Promise<ConnectionError> {
  const within = Math.max(10, Math.min(LOOK, deadline.left()));
  const cause = endpoint.proxied
    ? undefined // it is the proxy that connects, or fails to
    : await look(endpoint, within);
  const { sentence, lasting } = cause ?? {
    sentence: `${endpoint.target} cannot be reached: the connection failed`,
    lasting: false,
  };
  return new ConnectionError(sentence, lasting ? { lasting, advice: "" } : {});
}

interface Cause {
  sentence: string;
  /** Trying again will not help. */
  lasting: boolean;
}

/** Connects as gRPC does, to see where that fails. undefined: it does not fail. */
async function look(endpoint: Endpoint, ms: number): Promise<Cause | undefined> {
  const { host, port } = endpoint.address;
  let found: { address: string }[];
  try {
    found = await lookup(host, { all: true });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    // A name that was resolved before will be again; one that never was is misspelt.
    return { sentence: `unknown host ${JSON.stringify(host)}: ${code}`, lasting: !endpoint.met };
  }
  let last: Cause | undefined;
  for (const { address } of found) {
    last = await lookAt(endpoint, address, port, ms / found.length);
    if (last === undefined || last.lasting) return last;
  }
  return last;
}

async function lookAt(
  endpoint: Endpoint,
  host: string,
  port: number,
  ms: number,
): Promise<Cause | undefined> {
  const failed = await outcome(connect({ host, port }), "connect", ms);
  if (failed) {
    const why = { ECONNREFUSED: "connection refused", ETIMEDOUT: "timed out" }[failed.code ?? ""];
    return {
      sentence: `${endpoint.target} cannot be reached: ${why ?? failed.message}`,
      lasting: false,
    };
  }
  return endpoint.secure
    ? handshake(endpoint, host, port, ms)
    : speaksTls(endpoint, host, port, ms);
}

async function handshake(endpoint: Endpoint, host: string, port: number, ms: number) {
  const { target, ca } = endpoint;
  const servername = /^[\d.]+$|:/.test(endpoint.address.host) ? "" : endpoint.address.host;
  const failed = await outcome(
    connectTls({ host, port, ca, servername, ALPNProtocols: ["h2"] }),
    "secureConnect",
    ms,
  );
  if (!failed) return undefined;
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/i.test(failed.code ?? failed.message)) {
    return {
      sentence: `${target} does not speak TLS, and this client does: wrong version number. Start the daemon with --tls-cert and --tls-key, or leave out tls, caFile and https://`,
      lasting: true,
    };
  }
  if (/CERT|SELF_SIGNED|ALTNAME|ISSUER|SIGNATURE/i.test(failed.code ?? "")) {
    return {
      sentence: `the certificate of ${target} is not trusted: certificate verify failed: ${failed.message.replace(/\.$/, "")}. Give its authority by caFile, and the name that it is for in the address`,
      lasting: true,
    };
  }
  return undefined;
}

async function speaksTls(endpoint: Endpoint, host: string, port: number, ms: number) {
  const socket = connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
  if (await outcome(socket, "secureConnect", ms)) return undefined;
  return {
    sentence: `${endpoint.target} wants TLS, and this client speaks plain text: give it caFile or tls, or an address that begins with https://`,
    lasting: true,
  };
}

/** Waits for a socket's event, and closes it. undefined: the event came. */
function outcome(
  socket: Socket,
  event: string,
  ms: number,
): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(
      () => end(Object.assign(new Error("timed out"), { code: "ETIMEDOUT" })),
      ms,
    );
    const end = (failed?: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(failed);
    };
    socket.on("error", end);
    socket.once("close", () => end(new Error("the connection was closed")));
    socket.once(event, () => end());
  });
}

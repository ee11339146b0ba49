/**
 * Reads that are under way at once share a stream, the contract's Session: a call of its own costs several
 * times what it says. It gains where requests share frames both ways, so it is not used for a few at a time,
 * nor for commits, whose answers come one by one.
 *
 * What a request means is the same either way. The rules are those of the Python SDK.
 */

import { create, fromBinary } from "@bufbuild/protobuf";
import { type ClientDuplexStream, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import {
  type SessionAnswers,
  type SessionRequest,
  SessionRequestSchema,
  type SessionRequests,
  SessionRequestsSchema,
} from "./proto/statehouse/v1/statehouse_pb.js";
import { StatusSchema } from "./proto/status_pb.js";
import { DETAILS } from "./status.js";

/** Calls under way from which on sharing gains. */
export const BUSY = 4;
/** Bytes of a request that is sent in a session, and requests of a frame: 1 MiB together. */
export const LARGEST = 16 << 10;
const FRAME = 64;
/** Requests under way in a session, until the daemon says how many it wants. */
const WINDOW = 256;
/** Milliseconds without a request after which a session ends: until then it keeps the process alive. */
const IDLE = 1000;

/** The request was not sent, or the daemon knows no sessions. */
export class Unsent extends Error {}

interface Waiting {
  sent: boolean;
  readonly resolve: (answer: Uint8Array) => void;
  readonly reject: (failed: ServiceError | Unsent) => void;
  late?: NodeJS.Timeout;
}

/** What is waited for, and how it is given up. */
export interface Asked {
  readonly answer: Promise<Uint8Array>;
  /** Reports whether it was sent. The answer never comes then. */
  giveUp(): boolean;
}

/** One stream. */
export class Session {
  readonly #stream: ClientDuplexStream<SessionRequests, SessionAnswers>;
  readonly #waiting = new Map<bigint, Waiting>();
  readonly #queue: SessionRequest[] = [];
  #ids = 0n;
  /** Sent, and waited for. */
  #underWay = 0;
  #window = WINDOW;
  #used = performance.now();
  #scheduled = false;
  readonly #timer: NodeJS.Timeout;
  /** It takes no more requests. */
  over = false;
  /** The daemon has answered something in it. */
  worked = false;
  /** The daemon does not know what a session is. */
  unknown = false;

  constructor(stream: ClientDuplexStream<SessionRequests, SessionAnswers>) {
    this.#stream = stream;
    stream.on("data", (frame: SessionAnswers) => this.#read(frame));
    stream.on("error", (failed: ServiceError) => this.#end(failed.code, failed.details));
    stream.on("end", () => this.#end(status.UNAVAILABLE, "it was closed"));
    this.#timer = setInterval(() => {
      if (this.#waiting.size > 0 || performance.now() - this.#used < IDLE) return;
      this.over = true;
      clearInterval(this.#timer);
      stream.end();
    }, IDLE / 2);
  }

  /** Makes a call. Its answer rejects with {@link Unsent}, or with what a call of its own fails with. */
  ask(method: string, request: Uint8Array, ms: number): Asked {
    if (this.over) return { answer: Promise.reject(new Unsent()), giveUp: () => false };
    const id = ++this.#ids;
    const timeoutUs = Number.isFinite(ms) ? BigInt(Math.max(1, Math.floor(ms * 1000))) : 0n;
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      const waiting: Waiting = { sent: false, resolve, reject };
      if (Number.isFinite(ms)) {
        waiting.late = setTimeout(() => {
          this.#giveUp(id);
          reject(refused(status.DEADLINE_EXCEEDED, "Deadline exceeded"));
        }, ms);
      }
      this.#waiting.set(id, waiting);
    });
    this.#queue.push(create(SessionRequestSchema, { id, method, request, timeoutUs }));
    this.#schedule();
    return { answer, giveUp: () => this.#giveUp(id) };
  }

  /** Ends the stream, and what is under way on it. */
  cancel(): void {
    this.#stream.cancel();
  }

  #giveUp(id: bigint): boolean {
    const waiting = this.#taken(id);
    if (!waiting?.sent) return false;
    this.#underWay -= 1;
    this.#queue.unshift(create(SessionRequestSchema, { id, cancel: true }));
    this.#schedule();
    return true;
  }

  #taken(id: bigint): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.late);
    return waiting;
  }

  /** Sends what is asked until the program waits, in as few frames as can be. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (;;) {
        const requests = this.over ? [] : this.#frame();
        if (requests.length === 0) return;
        this.#used = performance.now();
        this.#stream.write(create(SessionRequestsSchema, { requests }));
      }
    });
  }

  /** Takes what may be sent now. What was given up comes first: that makes room. */
  #frame(): SessionRequest[] {
    const frame: SessionRequest[] = [];
    while (this.#queue.length > 0 && frame.length < FRAME) {
      const [next] = this.#queue as [SessionRequest];
      const waiting = this.#waiting.get(next.id);
      if (waiting && this.#underWay >= this.#window) break; // until there is an answer
      this.#queue.shift();
      if (waiting) {
        waiting.sent = true;
        this.#underWay += 1;
      } else if (!next.cancel) {
        continue; // given up before it was sent
      }
      frame.push(next);
    }
    return frame;
  }

  #read(frame: SessionAnswers): void {
    this.worked = true;
    this.#window = frame.window || this.#window;
    for (const { id, answer, status: failed } of frame.answers) {
      const waiting = this.#taken(id);
      if (!waiting) continue;
      this.#underWay -= 1;
      if (failed.length === 0) {
        waiting.resolve(answer);
        continue;
      }
      const { code, message } = fromBinary(StatusSchema, failed);
      waiting.reject(refused(code, message, failed));
    }
    if (this.#queue.length > 0) this.#schedule();
  }

  /** Ends what is under way: of what was sent nobody knows what became. */
  #end(code: number, message: string): void {
    if (this.over && this.#waiting.size === 0) return;
    this.over = true;
    this.unknown = code === status.UNIMPLEMENTED && !this.worked;
    clearInterval(this.#timer);
    for (const id of [...this.#waiting.keys()]) {
      const { sent, reject } = this.#taken(id) as Waiting;
      const lost = sent && !this.unknown;
      reject(lost ? refused(status.UNAVAILABLE, `the session ended: ${message}`) : new Unsent());
    }
  }
}

/** How a request in a session ended, in the shape of a call's error. */
function refused(code: number, details: string, packed?: Uint8Array): ServiceError {
  const metadata = new Metadata();
  if (packed) metadata.set(DETAILS, Buffer.from(packed));
  return Object.assign(new Error(details), { code, details, metadata });
}

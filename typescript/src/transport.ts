/** One connection to the daemon, and calls on it. What may be repeated is decided in calls.ts. */

import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type ClientReadableStream,
  connectivityState,
  Client as GrpcClient,
  type ServiceError,
} from "@grpc/grpc-js";
import type { Deadline } from "./deadline.js";
import type { Endpoint } from "./endpoint.js";
import * as errors from "./errors.js";
import type * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import { StatehouseService } from "./proto/statehouse/v1/statehouse_pb.js";
import { explain } from "./reach.js";
import { BUSY, LARGEST, Session, Unsent } from "./session.js";
import { fromStatus } from "./status.js";

type Methods = typeof StatehouseService.method;
/** The names of methods that answer once, and of those that answer in a stream. */
export type UnaryName = {
  [M in keyof Methods]: Methods[M]["methodKind"] extends "unary" ? M : never;
}[keyof Methods];
export type StreamName = "replayBatches" | "watch";
export type Request<M extends keyof Methods> = MessageShape<Methods[M]["input"]>;
export type Answer<M extends keyof Methods> = MessageShape<Methods[M]["output"]>;

const path = (method: DescMethod) => `/${StatehouseService.typeName}/${method.name}`;
const encode = (schema: DescMessage) => (message: unknown) =>
  Buffer.from(toBinary(schema, message as MessageShape<DescMessage>));
const decode = (schema: DescMessage) => (bytes: Buffer) => fromBinary(schema, bytes);

/** A way to a store. Several clients may use one. */
export interface Connection {
  readonly endpoint: Endpoint;
  /** Ends when there is a connection. When it rejects nothing was sent. */
  reach(deadline: Deadline, signal: AbortSignal | undefined): Promise<void>;
  /** Makes a call, once there is a connection. */
  ask<M extends UnaryName>(
    name: M,
    request: Request<M>,
    deadline: Deadline,
    signal: AbortSignal | undefined,
  ): Promise<Answer<M>>;
  /** Opens a stream, once there is a connection, and yields its messages. */
  open<M extends StreamName>(
    name: M,
    request: Request<M>,
    deadline: Deadline,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Answer<M>, void, undefined>;
  close(): void;
}

/** What may share a stream. */
const SHARED: ReadonlySet<string> = new Set<UnaryName>([
  "getState",
  "getStateAtVersion",
  "batchGetState",
  "listKeys",
  "scanPrefix",
  "getTransaction",
]);
/** Milliseconds without another session after one in which nothing was answered. */
const NO_SESSION = 10_000;

/** A connection to one daemon. */
export class Transport implements Connection {
  readonly endpoint: Endpoint;
  readonly #grpc: GrpcClient;
  /** Calls under way, which closing ends: gRPC would let them go on. */
  readonly #calls = new Set<{ cancel(): void }>();
  /** Unary calls under way. */
  #asking = 0;
  #session: Session | undefined;
  #noSessionBefore = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
    this.#grpc = new GrpcClient(endpoint.target, endpoint.credentials, endpoint.options);
  }

  /**
   * Ends when there is a connection. When it rejects nothing was sent: gRPC accepts a request while it
   * still tries to connect, and when it cannot, its error may be that of one that was lost on the way.
   */
  async reach(deadline: Deadline, signal: AbortSignal | undefined): Promise<void> {
    const { endpoint } = this;
    const channel = this.#grpc.getChannel();
    for (;;) {
      if (this.#closed) throw this.#closedMeanwhile(false);
      signal?.throwIfAborted();
      if (deadline.over()) {
        throw new errors.DeadlineExceeded(
          endpoint.met
            ? `no time was left to send anything to ${endpoint.target}`
            : `no connection to ${endpoint.target} within ${deadline.ms} ms: nothing there accepts it, or refuses it`,
        );
      }
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) {
        endpoint.met = true;
        return;
      }
      if (state === connectivityState.TRANSIENT_FAILURE) throw await explain(endpoint, deadline);
      await new Promise<void>((resolve) => {
        const end = () => {
          signal?.removeEventListener("abort", end);
          resolve();
        };
        signal?.addEventListener("abort", end);
        channel.watchConnectivityState(state, deadline.date(), end);
      });
    }
  }

  async ask<M extends UnaryName>(
    name: M,
    request: Request<M>,
    deadline: Deadline,
    signal: AbortSignal | undefined,
  ): Promise<Answer<M>> {
    await this.reach(deadline, signal);
    this.#asking += 1;
    try {
      const session = SHARED.has(name) && this.#asking > BUSY ? this.#shared() : undefined;
      const shared = session && this.#share(session, name, request, deadline, signal);
      return (await shared) ?? (await this.#call(name, request, deadline, signal));
    } finally {
      this.#asking -= 1;
    }
  }

  /** The session that a read may go in. */
  #shared(): Session | undefined {
    if (!this.endpoint.sessions || this.#closed) return undefined;
    const last = this.#session;
    if (last && !last.over) return last;
    if (last && !last.worked) {
      if (last.unknown) this.endpoint.sessions = false;
      this.#noSessionBefore = performance.now() + NO_SESSION;
    }
    this.#session = undefined;
    if (performance.now() < this.#noSessionBefore) return undefined;
    const { input, output } = StatehouseService.method.session;
    const stream = this.#grpc.makeBidiStreamRequest(
      path(StatehouseService.method.session),
      encode(input),
      decode(output) as (bytes: Buffer) => pb.SessionAnswers,
      this.endpoint.headers,
    );
    const session = new Session(stream);
    this.#calls.add(session);
    stream.on("close", () => this.#calls.delete(session));
    this.#session = session;
    return session;
  }

  /** Makes a call in a session; undefined: it was not sent, and is to be a call of its own. */
  async #share<M extends UnaryName>(
    session: Session,
    name: M,
    request: Request<M>,
    deadline: Deadline,
    signal: AbortSignal | undefined,
  ): Promise<Answer<M> | undefined> {
    const method: DescMethod = StatehouseService.method[name];
    const encoded = toBinary(method.input, request as MessageShape<DescMessage>);
    if (encoded.length > LARGEST) return undefined;
    if (signal?.aborted) throw new Aborted(signal.reason, false);
    const { answer, giveUp } = session.ask(method.name, encoded, deadline.left());
    let stop = () => {};
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(new Aborted(signal?.reason, giveUp()));
      signal?.addEventListener("abort", stop, { once: true });
    });
    try {
      const bytes = await (signal ? Promise.race([answer, aborted]) : answer);
      return fromBinary(method.output, bytes) as unknown as Answer<M>;
    } catch (failed) {
      if (failed instanceof Unsent) return undefined;
      throw failed instanceof Aborted ? failed : this.#failed(failed as ServiceError, deadline);
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  async *open<M extends StreamName>(
    name: M,
    request: Request<M>,
    deadline: Deadline,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Answer<M>, void, undefined> {
    await this.reach(deadline, signal);
    yield* this.#stream(name, request, deadline, signal);
  }

  /** Makes a call on a connection that stands. */
  #call<M extends UnaryName>(
    name: M,
    request: Request<M>,
    deadline: Deadline,
    signal: AbortSignal | undefined,
  ): Promise<Answer<M>> {
    const method: DescMethod = StatehouseService.method[name];
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closedMeanwhile(false));
      if (signal?.aborted) return reject(new Aborted(signal.reason, false));
      const call = this.#grpc.makeUnaryRequest(
        path(method),
        encode(method.input),
        decode(method.output),
        request,
        this.endpoint.headers,
        { deadline: deadline.date() },
        (failed, answer) => {
          signal?.removeEventListener("abort", stop);
          this.#calls.delete(call);
          if (signal?.aborted && failed) reject(new Aborted(signal.reason, true));
          else if (failed) reject(this.#failed(failed, deadline));
          else resolve((answer ?? create(method.output)) as Answer<M>);
        },
      );
      this.#calls.add(call);
      const stop = () => call.cancel();
      signal?.addEventListener("abort", stop, { once: true });
    });
  }

  /** Opens a stream on a connection that stands, and yields its messages. */
  async *#stream<M extends StreamName>(
    name: M,
    request: Request<M>,
    deadline: Deadline,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Answer<M>, void, undefined> {
    const method: DescMethod = StatehouseService.method[name];
    if (this.#closed) throw this.#closedMeanwhile(false);
    signal?.throwIfAborted();
    const call: ClientReadableStream<unknown> = this.#grpc.makeServerStreamRequest(
      path(method),
      encode(method.input),
      decode(method.output),
      request,
      this.endpoint.headers,
      { deadline: deadline.date() },
    );
    this.#calls.add(call);
    const stop = () => call.cancel();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      for await (const message of call) yield message as Answer<M>;
    } catch (failed) {
      if (signal?.aborted) throw signal.reason;
      throw this.#failed(failed as ServiceError, deadline);
    } finally {
      signal?.removeEventListener("abort", stop);
      this.#calls.delete(call);
      call.on("error", () => {}); // that it was cancelled here is no news
      call.cancel();
    }
  }

  close(): void {
    this.#closed = true;
    for (const call of this.#calls) call.cancel();
    this.#grpc.close();
  }

  #failed(failed: ServiceError, deadline: Deadline): errors.StatehouseError {
    if (typeof failed.code !== "number") throw failed; // not gRPC's: a mistake of ours
    const error = fromStatus(failed);
    if (error.answered) return error;
    if (this.#closed) return this.#closedMeanwhile(true);
    // gRPC and proxies report a call that ended at its deadline in several ways, of which CANCELLED
    // is one.
    if (deadline.over() && !(error instanceof errors.DeadlineExceeded)) {
      return new errors.DeadlineExceeded(error.reason, { sent: true });
    }
    return error;
  }

  /** A request that was sent by then may still be applied. */
  #closedMeanwhile(sent: boolean): errors.UsageError {
    return new errors.UsageError("the client was closed: make a new one", { sent, lasting: true });
  }
}

/** A call that its user gave up. */
export class Aborted extends Error {
  readonly reason: unknown;
  readonly sent: boolean;

  constructor(reason: unknown, sent: boolean) {
    super("aborted");
    this.reason = reason;
    this.sent = sent;
  }
}

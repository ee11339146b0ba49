/**
 * What stands between a client and the real daemon in tests: it passes requests and answers on as they
 * are, and loses, refuses, delays or cuts what it is told to.
 */

import { EventEmitter, once } from "node:events";
import type { DescMethod } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { StatehouseService } from "../src/proto/statehouse/v1/statehouse_pb.js";

/** What becomes of a request. */
export type Fate =
  /** It is answered in place of the daemon, which never sees it. */
  | { refuse: Partial<grpc.StatusObject> }
  /** The daemon carries it out, and the answer is lost. */
  | "lose the answer"
  /** The daemon never sees it, and no answer comes, or no message of a stream. */
  | "hang"
  /** It is passed on after something else has happened. */
  | { after: () => Promise<unknown> }
  /** A stream: breaks after so many messages. */
  | { cutAfter: number };

const same = (bytes: Buffer) => bytes;
const broken = { code: grpc.status.UNAVAILABLE, details: "the gateway cut it" };

export class Gateway {
  /** Requests that came, by their method. */
  readonly seen: string[] = [];
  /** The requests themselves. */
  readonly bodies: Buffer[] = [];
  readonly #fates = new Map<string, (Fate | undefined)[]>();
  readonly #arrivals = new EventEmitter();
  readonly #server = new grpc.Server();
  readonly #daemon: grpc.Client;
  #address = "";

  private constructor(daemon: string) {
    this.#daemon = new grpc.Client(daemon, grpc.credentials.createInsecure());
  }

  static async start(daemon: string): Promise<Gateway> {
    const gateway = new Gateway(daemon);
    await gateway.#listen();
    return gateway;
  }

  get address(): string {
    return this.#address;
  }

  /** Says what becomes of the next requests of a method; undefined: passed on. */
  next(method: string, ...fates: (Fate | undefined)[]): void {
    this.#fates.set(method, fates);
  }

  /** Ends when the next request of a method comes. */
  async came(method: string): Promise<void> {
    await once(this.#arrivals, method);
  }

  /** How often a method was asked. */
  count(method: string): number {
    return this.seen.filter((name) => name === method).length;
  }

  stop(): void {
    this.#server.forceShutdown();
    this.#daemon.close();
  }

  async #listen(): Promise<void> {
    const definition: { [name: string]: grpc.MethodDefinition<Buffer, Buffer> } = {};
    const handlers: grpc.UntypedServiceImplementation = {};
    for (const method of StatehouseService.methods) {
      if (method.methodKind === "bidi_streaming") continue;
      const path = `/${StatehouseService.typeName}/${method.name}`;
      const streams = method.methodKind === "server_streaming";
      definition[method.name] = {
        path,
        requestStream: false,
        responseStream: streams,
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      };
      handlers[method.name] = streams ? this.#streamed(method, path) : this.#unary(method, path);
    }
    this.#server.addService(definition, handlers);
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(
        "127.0.0.1:0",
        grpc.ServerCredentials.createInsecure(),
        (failed, bound) => (failed ? reject(failed) : resolve(bound)),
      );
    });
    this.#address = `127.0.0.1:${port}`;
  }

  #fate(method: DescMethod, body: Buffer): Fate | undefined {
    this.seen.push(method.name);
    this.bodies.push(body);
    this.#arrivals.emit(method.name);
    return this.#fates.get(method.name)?.shift();
  }

  #unary(method: DescMethod, path: string): grpc.handleUnaryCall<Buffer, Buffer> {
    return async (call, answer) => {
      const fate = this.#fate(method, call.request);
      if (fate === "hang") return;
      if (typeof fate === "object" && "refuse" in fate) return answer(fate.refuse);
      if (typeof fate === "object" && "after" in fate) await fate.after();
      const { request, metadata } = call;
      this.#daemon.makeUnaryRequest(path, same, same, request, metadata, (failed, reply) => {
        if (fate === "lose the answer") answer(broken);
        else answer(failed, reply);
      });
    };
  }

  #streamed(method: DescMethod, path: string): grpc.handleServerStreamingCall<Buffer, Buffer> {
    return (call) => {
      const fate = this.#fate(method, call.request);
      if (fate === "hang") return;
      if (typeof fate === "object" && "refuse" in fate) return void call.emit("error", fate.refuse);
      let left =
        typeof fate === "object" && "cutAfter" in fate ? fate.cutAfter : Number.POSITIVE_INFINITY;
      const from = this.#daemon.makeServerStreamRequest(
        path,
        same,
        same,
        call.request,
        call.metadata,
      );
      call.on("cancelled", () => from.cancel());
      from.on("error", (failed) => call.emit("error", failed));
      from.on("end", () => call.end());
      from.on("data", (message: Buffer) => {
        if (left === 0) return;
        call.write(message);
        left -= 1;
        if (left === 0) {
          call.emit("error", broken);
          from.cancel();
        }
      });
    };
  }
}

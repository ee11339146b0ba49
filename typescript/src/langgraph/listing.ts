/** Listing checkpoints, the latest first, page by page. */

import { isDeepStrictEqual } from "node:util";
import type { RunnableConfig } from "@langchain/core/runnables";
import type { CheckpointListOptions, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import {
  type Body,
  isCheckpoint,
  type Saved,
  saved,
  type Thread,
  unquoted,
  valueKeys,
} from "./layout.js";
import { placeOf } from "./owning.js";
import type { Reading } from "./reading.js";

/** How many checkpoints are asked for at once: at first, and with a filter or where many are gone. */
const PAGE = 32;
const MANY = 1024;

/** Lists checkpoints. With a checkpoint_ns each page costs the same; without, all are read first. */
export async function* list(
  reading: Reading,
  config: RunnableConfig,
  options: CheckpointListOptions = {},
): AsyncGenerator<CheckpointTuple> {
  const wanted = new Wanted(config, options);
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  for await (const [thread, page] of pages(reading, config, wanted, left)) {
    const cut = page.slice(0, left);
    left -= cut.length;
    yield* await reading.load(thread, cut);
    if (left <= 0) return;
  }
}

type Page = [Thread, Saved[]];

/** Hands out pages of what is wanted, each with its thread. */
async function* pages(
  reading: Reading,
  config: RunnableConfig,
  wanted: Wanted,
  limit: number,
): AsyncGenerator<Page> {
  if (limit <= 0) return;
  const { thread_id, checkpoint_ns } = config.configurable ?? {};
  if (thread_id !== undefined && checkpoint_ns !== undefined) {
    yield* downwards(reading, config, reading.thread(thread_id, checkpoint_ns), wanted, limit);
    return;
  }
  const found: Page[] = [];
  for (const thread of await threads(reading, thread_id, checkpoint_ns)) {
    const scan = reading.client.scanPrefix<Body>(thread.agent, thread.checkpoints);
    for await (const record of scan) {
      const one = saved(record);
      if (isCheckpoint(record) && wanted.holds(one)) found.push([thread, [one]]);
    }
  }
  const idOf = ([, [one]]: Page) => (one as Saved).body.id;
  yield* found.sort((a, b) => (idOf(a) < idOf(b) ? 1 : idOf(a) > idOf(b) ? -1 : 0));
}

/** All namespaces of a thread, or of all threads; with a namespace only that. */
export async function threads(
  reading: Reading,
  threadId: unknown,
  namespace: unknown,
): Promise<Thread[]> {
  const ids =
    threadId === undefined
      ? (await reading.client.listAgents({ prefix: reading.prefix })).map((agent) =>
          agent.agentId.slice(reading.prefix.length),
        )
      : [threadId];
  const found: Thread[] = [];
  for (const id of ids) {
    const { agent } = reading.thread(id, "");
    const options = { prefix: "c/", delimiter: "/" };
    const names = (await reading.client.listKeys(agent, options)).map((folder) =>
      unquoted(folder.split("/")[1] as string),
    );
    for (const name of names) {
      if (namespace === undefined || name === namespace) found.push(reading.thread(id, name));
    }
  }
  return found;
}

/** Hands out pages by descending number, of which each is one request. */
async function* downwards(
  reading: Reading,
  config: RunnableConfig,
  thread: Thread,
  wanted: Wanted,
  limit: number,
): AsyncGenerator<Page> {
  const latest = await reading.latest(thread);
  if (!latest) return;
  reading.memory.hasRead(config, thread, placeOf(latest, valueKeys(thread, latest.body).values()));
  let { number } = latest;
  if (wanted.only) {
    number = (await reading.number(thread, wanted.only)) ?? 0;
  } else if (wanted.before) {
    const known = await reading.number(thread, wanted.before);
    // Of one that is not of this namespace the ids are compared.
    if (known !== undefined) {
      number = known - 1;
      wanted.before = "";
    }
  }
  let size = wanted.only ? 1 : wanted.filtered ? PAGE : Math.min(PAGE, limit);
  while (number > 0) {
    const keys = Array.from({ length: Math.min(size, number) }, (_, at) =>
      thread.checkpoint(number - at),
    );
    const records = await reading.records(thread, keys);
    const found = keys
      .flatMap((key) => records.get(key) ?? [])
      .filter(isCheckpoint)
      .map(saved);
    const page = found.filter((one) => wanted.holds(one));
    if (page.length > 0) yield [thread, page];
    if (wanted.only) return;
    number -= size;
    size = page.length > 0 ? PAGE : Math.min(size * 2, MANY);
  }
}

/** What a list is to have. */
class Wanted {
  readonly only: string;
  before: string;
  readonly #filter: [string, unknown][];

  constructor(config: RunnableConfig, options: CheckpointListOptions) {
    this.only = String(config.configurable?.checkpoint_id ?? "");
    this.before = String(options.before?.configurable?.checkpoint_id ?? "");
    this.#filter = Object.entries(options.filter ?? {}).filter(([, value]) => value !== undefined);
  }

  /** Whether there is a filter. */
  get filtered(): boolean {
    return this.#filter.length > 0;
  }

  /** Whether a checkpoint is to be in the list. */
  holds({ body }: Saved): boolean {
    if (this.only && body.id !== this.only) return false;
    if (this.before && body.id >= this.before) return false;
    return this.#filter.every(([key, value]) => isDeepStrictEqual(body.metadata[key], value));
  }
}

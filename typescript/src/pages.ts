/** Asking for page after page. */

import * as errors from "./errors.js";

/** Hands out what is on the pages of a list; at most `limit`. `ask` sends the request as it is then. */
export async function* pages<A extends { nextPageToken: string }, T>(
  size: number,
  request: { limit: number; pageToken: string },
  limit: number,
  ask: () => Promise<A>,
  items: (answer: A) => T[],
): AsyncGenerator<T, void, undefined> {
  let left = limit;
  while (left > 0) {
    request.limit = Math.min(size, left);
    const answer = await ask();
    const page = items(answer);
    yield* page;
    if (answer.nextPageToken === "") return;
    if (answer.nextPageToken === request.pageToken) {
      throw errors.broken("a page that names itself as the next");
    }
    request.pageToken = answer.nextPageToken;
    left -= page.length;
  }
}

/** Makes a list of all that is handed out. */
export async function collect<T>(feed: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of feed) out.push(item);
  return out;
}

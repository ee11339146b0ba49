// Calls of the daemon. All of them read.

export class Refusal extends Error {
  constructor(status, body) {
    super(body?.error?.message || body?.message || `the daemon answered ${status}`);
    this.status = status;
    this.code = body?.error?.code || body?.code;
    this.details = body?.error?.details || {};
  }
}

// unauthenticated is called when the daemon wants a key.
let unauthenticated = () => {};
export function onUnauthenticated(f) { unauthenticated = f; }

async function refusal(resp) {
  let body;
  try { body = await resp.json(); } catch { /* of a proxy, perhaps */ }
  if (resp.status === 401) unauthenticated();
  return new Refusal(resp.status, body);
}

// call calls a method.
export async function call(method, request, signal) {
  const resp = await fetch(`/statehouse.v1.StatehouseService/${method}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request || {}), signal,
  });
  if (!resp.ok) throw await refusal(resp);
  return resp.json();
}

function query(params) {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== "" && v !== false) q.set(k, v);
  return q;
}

// scope is whose events are meant: of an agent, or of all of a namespace.
function scope({ ns, agent, prefix }) {
  return { namespace: ns, agent_id: agent, all_agents: !agent, key_prefix: prefix, encoding: "native", all_operations: !prefix };
}

// replay reads events between two commits, both included, oldest first.
export async function replay(of, from, to, limit, signal) {
  const resp = await fetch("/v1/replay?" + query({ ...scope(of), start_ts: from, end_ts: to, limit }), { signal });
  if (!resp.ok) throw await refusal(resp);
  const events = [];
  for (const block of (await resp.text()).split("\n\n")) {
    const lines = block.split("\n");
    const data = lines.find((l) => l.startsWith("data: "));
    if (!data) continue;
    if (lines.includes("event: commit")) events.push(JSON.parse(data.slice(6)));
    if (lines.includes("event: problem")) throw new Refusal(200, JSON.parse(data.slice(6)));
  }
  return events;
}

// before reads the last n events up to a commit, oldest first. The log is read forward, so it looks
// at stretches further and further back: how many commits lie between an agent's is not known. It looks at
// so many commits at most, if reach says so; next is where to go on.
export async function before(of, ts, floor, n, signal, reach = Infinity) {
  const most = Math.max(2 * n, 20);
  let found = [], width = most, hi = ts;
  for (let round = 0; hi >= floor && hi > 0 && hi > ts - reach && found.length < n && round < 60; round++) {
    const lo = Math.max(floor, 1, hi - width + 1);
    let events;
    try {
      events = await replay(of, lo, hi, most, signal);
    } catch (err) {
      if (err.code !== "OUT_OF_RANGE" || !err.details.floor_ts) throw err;
      floor = Number(err.details.floor_ts); // what is older is no longer kept
      continue;
    }
    if (events.length >= most && hi - lo + 1 > most) { // there may be more, later than these
      width = Math.max(most, Math.floor(width / 4));
      continue;
    }
    found = events.concat(found);
    hi = lo - 1;
    width = Math.min(width * 4, Math.max(most, reach / 2));
  }
  const events = found.slice(-n);
  return { events, older: hi >= floor && hi > 0 || found.length > n, next: found.length > n ? Number(events[0].commitTs) - 1 : hi };
}

// after reads the next event after a commit; null: there is none.
export async function after(of, ts, signal) {
  return (await replay(of, ts + 1, undefined, 1, signal))[0] || null;
}

// watch follows the log after a commit until the function that it returns is called.
export function watch(of, ts, onEvent, onState) {
  const source = new EventSource("/v1/watch?" + query({ ...scope(of), after_ts: ts }));
  source.addEventListener("commit", (e) => onEvent(JSON.parse(e.data)));
  source.addEventListener("problem", () => onState(false));
  source.onopen = () => onState(true);
  source.onerror = () => onState(false);
  return () => source.close();
}

// signIn exchanges a key for a session that no script can read; signOut ends it.
export async function signIn(key) {
  const resp = await fetch("/ui/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key }) });
  if (!resp.ok) throw new Refusal(resp.status, await resp.json().catch(() => null));
}
export const signOut = () => fetch("/ui/session", { method: "DELETE" });

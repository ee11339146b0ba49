// What goes on: what was refused in the last hour, and who watches what. It is read again while it is shown.
import { h, table, empty, problem } from "./dom.js";
import { call } from "./api.js";
import { when } from "./times.js";
import { go, link } from "./app.js";

const every = 3000, shown = 200;
const quiet = (text) => h("span", { class: "quiet" }, text);
const kinds = { STREAM_KIND_WATCH: "watch", STREAM_KIND_REPLAY: "replay", STREAM_KIND_SESSION: "session" };

export async function activity(body, at) {
  const choice = h("select", { name: "of" }, [["all", "all that you may see"], ["ns", `namespace ${at.ns}`]].map(([value, text]) => h("option", { value, selected: (at.of || "all") === value }, text)));
  const conflicts = h("input", { type: "checkbox", name: "conflicts", value: "1", checked: at.conflicts });
  const form = h("form", { class: "filters", onchange: () => go({ view: "activity", ns: at.ns, ...Object.fromEntries(new FormData(form)) }) },
    h("label", { class: "field" }, h("span", null, "Of"), choice), h("label", { class: "switch" }, conflicts, " Only conflicts"));
  const refused = h("div"), open = h("div");
  body.append(h("h1", null, "Activity"), form,
    h("section", { class: "card", "aria-labelledby": "refused" }, h("h2", { id: "refused" }, "Refused in the last hour"), refused),
    h("section", { class: "card", "aria-labelledby": "open" }, h("h2", { id: "open" }, "Watching now"), open));

  const of = at.of === "ns" ? { namespace: at.ns } : { all: true };
  const read = async () => {
    const [r, s] = await Promise.all([call("ListRefusals", { ...of, conflicts: !!at.conflicts, limit: shown }), call("ListStreams", { ...of, limit: shown })]);
    renew(refused, JSON.stringify([r.refusals]), () => refusals(r));
    renew(open, JSON.stringify([s.streams, s.total]), () => streams(s));
  };
  await read();
  const timer = setInterval(() => read().catch((err) => { clearInterval(timer); body.append(problem(err)); }), every);
  return () => clearInterval(timer);
}

// renew shows something if it is not what is shown: a reader's place, and their focus, stay.
function renew(el, state, make) {
  if (el.dataset.state === state) return;
  el.dataset.state = state;
  el.replaceChildren(make());
}

// about is what was in the way, as a place to look at.
function about({ namespace, agentId, key, lease, limit }) {
  if (!agentId) return limit ? quiet(limit) : quiet("–");
  const to = { view: lease ? "leases" : "agent", ns: namespace, agent: agentId, key };
  return h("a", { class: "id", href: link(to) }, agentId, key && " " + key, lease && ` lease ${lease}`);
}

function refusals({ refusals: list, since }) {
  if (!list?.length) return empty(`Nothing since ${new Date(since).toLocaleTimeString()}.`);
  const row = (r) => h("tr", null, h("th", { scope: "row" }, when(r.lastTime)), h("td", { class: "number" }, r.count), h("td", { class: "id" }, r.code),
    h("td", null, r.principal || quiet("–")), h("td", null, r.method || quiet("others")), h("td", { class: "id" }, r.namespace || quiet("–")), h("td", { class: "wrap" }, about(r)));
  return table("Refusals", ["Last", "Times", "Code", "Who", "Method", "Namespace", "About"], list.map(row));
}

function streams({ streams: list, total }) {
  if (!list?.length) return empty("Nobody.");
  const what = (s) => {
    if (s.kind === "STREAM_KIND_SESSION") return quiet("–");
    const narrower = [s.keyPrefix && ` ${s.keyPrefix}…`, s.lease && ` lease ${s.lease}`, s.due && " what is due"];
    if (!s.agentId) return h("a", { class: "id", href: link({ view: "log", ns: s.namespace, prefix: s.keyPrefix }) }, "all agents", narrower);
    return h("a", { class: "id", href: link({ view: "agent", ns: s.namespace, agent: s.agentId }) }, s.agentId, narrower);
  };
  const row = (s) => h("tr", null, h("th", { scope: "row" }, kinds[s.kind] || s.kind), h("td", null, s.principal || quiet("–")), h("td", { class: "id" }, s.peer || quiet("–")), h("td", null, when(s.beginTime)),
    h("td", { class: "id" }, s.namespace || quiet("–")), h("td", { class: "wrap" }, what(s)), h("td", { class: "number" }, s.kind === "STREAM_KIND_SESSION" ? "" : s.lag || 0));
  const rest = Number(total) - list.length;
  return h("div", null, table("Streams", ["Kind", "Who", "From", "Since", "Namespace", "Of", "Commits behind"], list.map(row)), rest > 0 && empty(`and ${rest} more`));
}

// The leases that are held: who holds what, and until when.
import { h, table, field, empty, problem } from "./dom.js";
import { call } from "./api.js";
import { when } from "./times.js";
import { go, link } from "./app.js";

export async function leases(body, at) {
  const input = (name, placeholder) => h("input", { type: "search", name, value: at[name] || "", placeholder });
  const form = h("form", { class: "filters", role: "search", onsubmit: (e) => { e.preventDefault(); go({ view: "leases", ...Object.fromEntries(new FormData(form)) }); } },
    field("Namespace", input("ns", "default")), field("Agent", input("agent", "all")), h("button", { type: "submit" }, "Show"));
  body.append(h("h1", null, "Leases"), form);
  const get = (pageToken) => call("ListLeases", { namespace: at.ns, agentId: at.agent, limit: 100, pageToken });
  const row = (l) => h("tr", null, h("th", { scope: "row", class: "id" }, l.name),
    h("td", null, h("a", { class: "id", href: link({ view: "agent", ns: l.namespace, agent: l.agentId }) }, l.agentId)),
    h("td", null, l.holder || h("span", { class: "quiet" }, "–")), h("td", { class: "number" }, l.token), h("td", null, when(l.deadline, true)), h("td", null, when(l.acquiredAt)));
  const got = await get();
  if (!got.leases?.length) {
    body.append(empty("No lease is held."));
    return;
  }
  const shown = table("Leases", ["Lease", "Agent", "Holder", "Token", "Lapses", "Acquired"], got.leases.map(row));
  let next = got.nextPageToken;
  const more = h("button", { type: "button", hidden: !next, onclick: async () => {
    try {
      const later = await get(next);
      shown.querySelector("tbody").append(...(later.leases || []).map(row));
      next = later.nextPageToken;
      more.hidden = !next;
    } catch (err) { body.append(problem(err)); }
  } }, "More leases");
  body.append(shown, more);
}

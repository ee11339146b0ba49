// Namespaces, and the agents of one, with when they last did something.
import { h, table, field, empty, problem } from "./dom.js";
import { call } from "./api.js";
import { when } from "./times.js";
import { go, link } from "./app.js";

const pageSize = 100;

export async function agents(body, at) {
  const list = h("ul", { class: "namespaces" });
  const filter = h("input", { type: "search", value: at.prefix || "", placeholder: "beginning of a name" });
  const main = h("section", { class: "card grow", "aria-labelledby": "agents-of" });
  body.append(h("div", { class: "columns" },
    h("section", { class: "card narrow", "aria-labelledby": "namespaces" }, h("h2", { id: "namespaces" }, "Namespaces"), list), main));
  main.append(h("div", { class: "bar" }, h("h1", { id: "agents-of" }, "Agents of ", h("span", { class: "id" }, at.ns)),
    h("form", { role: "search", onsubmit: (e) => { e.preventDefault(); go({ ...at, prefix: filter.value }); } }, field("Filter", filter))));
  await Promise.all([namespaces(list, at), page(main, at)]);
}

async function namespaces(list, at, token) {
  const got = await call("ListNamespaces", { limit: pageSize, pageToken: token });
  for (const ns of got.namespaces || []) {
    list.append(h("li", null, h("a", { href: link({ ns }), "aria-current": ns === at.ns ? "true" : false }, ns)));
  }
  if (!list.children.length) list.append(h("li", { class: "quiet" }, "None yet."));
  if (got.nextPageToken) {
    const li = h("li", null, h("button", { type: "button", onclick: () => { li.remove(); namespaces(list, at, got.nextPageToken); } }, "More"));
    list.append(li);
  }
}

async function page(main, at) {
  const get = (token) => call("ListAgents", { namespace: at.ns, prefix: at.prefix, limit: pageSize, pageToken: token });
  const row = (a) => h("tr", null,
    h("th", { scope: "row" }, h("a", { class: "id", href: link({ view: "agent", ns: at.ns, agent: a.agentId }) }, a.agentId)),
    h("td", null, when(a.headTime, true)), h("td", { class: "number" }, a.headTs), h("td", { class: "number" }, a.firstTs));
  const got = await get();
  if (!got.agents?.length) {
    main.append(empty(at.prefix ? "No agent's name begins like that." : "No agent of this namespace has committed anything yet."));
    return;
  }
  const shown = table("Agents", ["Agent", "Last activity", "Last commit", "First commit"], got.agents.map(row));
  main.append(shown);
  const more = h("button", { type: "button" }, "More agents");
  let next = got.nextPageToken;
  more.addEventListener("click", async () => {
    try {
      const later = await get(next);
      shown.querySelector("tbody").append(...(later.agents || []).map(row));
      next = later.nextPageToken;
      if (!next) more.remove();
    } catch (err) { main.append(problem(err)); }
  });
  if (next) main.append(more);
}

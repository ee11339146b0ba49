// The log of a namespace or an agent: newest first, filtered, and live.
import { h, field, problem, empty, say } from "./dom.js";
import { call, before, watch } from "./api.js";
import { go } from "./app.js";
import { item } from "./events.js";

// A page is read in parts, which are shown as they come: a commit may have thousands of operations.
// A key may be in few of very many commits: between parts of so many the page says how far it has looked.
const pageSize = 50, part = 10, mostParts = 100, keptLive = 500, reach = 100_000;

export async function log(body, at) {
  const of = { ns: at.ns, agent: at.agent, prefix: at.prefix };
  const list = h("ol", { class: "commits wide", reversed: true });
  const input = (name, placeholder) => h("input", { type: "search", name, value: at[name] || "", placeholder });
  const live = h("input", { type: "checkbox", role: "switch" });
  const state = h("span", { class: "quiet" });
  const form = h("form", { class: "filters", role: "search", onsubmit: (e) => { e.preventDefault(); go({ view: "log", ...Object.fromEntries(new FormData(form)) }); } },
    field("Namespace", input("ns", "default")), field("Agent", input("agent", "all")), field("Key begins with", input("prefix", "any")),
    field("Contains", input("text", "in keys, metadata, principal")), h("button", { type: "submit" }, "Show"),
    h("label", { class: "switch" }, live, " Live"), state);
  const older = h("button", { type: "button" }, "Older commits");
  body.append(h("h1", null, "Log"), form, list, older);

  const matches = (e) => !at.text || JSON.stringify([e.metadata, e.principal, e.txnId, e.cause, (e.operations || []).map((o) => [o.key, o.agentId])]).toLowerCase().includes(at.text.toLowerCase());
  const status = await call("GetStatus");
  const head = Number(status.publishedTs || 0);
  let left = false;
  let last = at.at ? Number(at.at) : head;
  if (at.agent) { // whose last commit may be long ago
    const about = await call("GetAgent", { namespace: at.ns, agentId: at.agent });
    last = Math.min(last, Number(about.agent?.headTs || 0));
  }
  const page = async () => {
    older.disabled = true;
    for (let parts = 0, shown = 0; parts < mostParts && shown < pageSize && !left; parts++) { // a filter may let nothing through
      const got = await before(of, last, 1, part, undefined, reach);
      const rows = got.events.filter(matches).reverse().map((e) => item(e, at));
      list.append(...rows);
      shown += rows.length;
      last = got.next;
      if (!got.older) { older.hidden = true; break; }
      if (!got.events.length) state.textContent = `looked back to commit ${last}`;
    }
    state.textContent = "";
    older.disabled = false;
    if (!list.children.length) list.append(h("li", null, empty(older.hidden ? "No commit is like that." : `No commit after ${last} is like that.`)));
  };
  older.addEventListener("click", () => page().catch((err) => body.append(problem(err))));

  let stop = () => {}, seen = head;
  live.addEventListener("change", () => {
    stop();
    state.textContent = "";
    if (!live.checked) return;
    stop = watch(of, seen, (e) => {
      seen = Number(e.commitTs);
      if (!matches(e)) return;
      list.querySelector(".empty")?.parentElement.remove();
      list.prepend(item(e, at));
      while (list.children.length > keptLive) list.lastElementChild.remove();
      say("commit " + e.commitTs);
    }, (is) => { state.textContent = is ? "connected" : "connecting…"; });
  });
  page().catch((err) => body.append(problem(err)));
  return () => { left = true; stop(); };
}

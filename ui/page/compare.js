// Two moments of an agent, or two agents, beside each other.
import { h, field, empty, problem } from "./dom.js";
import { call } from "./api.js";
import { go, link } from "./app.js";
import { valueOf, diff } from "./values.js";

const pageSize = 100;

export async function compare(body, at) {
  const input = (name, placeholder, type = "search") => h("input", { type, name, value: at[name] || "", placeholder, min: 0 });
  const form = h("form", { class: "filters", onsubmit: (e) => { e.preventDefault(); go({ view: "compare", ...Object.fromEntries(new FormData(form)) }); } },
    h("fieldset", null, h("legend", null, "From"), field("Namespace", input("ns", "default")), field("Agent", input("agent", "")), field("After commit", input("from", "none", "number"))),
    h("fieldset", null, h("legend", null, "To"), field("Namespace", input("tons", "the same")), field("Agent", input("toagent", "the same")), field("After commit", input("to", "now", "number"))),
    field("Keys begin with", input("prefix", "any")), h("button", { type: "submit" }, "Compare"));
  body.append(h("h1", null, "Compare"), form);
  if (!at.agent) {
    body.append(empty("Name an agent, and a moment or another agent."));
    return;
  }
  const moment = (ts) => (ts ? { commitTs: ts } : undefined);
  const request = {
    namespace: at.ns, agentId: at.agent, from: moment(at.from), to: moment(at.to), toNamespace: at.tons, toAgentId: at.toagent,
    prefix: at.prefix, limit: pageSize, encoding: "VALUE_ENCODING_NATIVE",
  };
  if (at.toagent && !at.from) request.from = { commitTs: (await call("GetStatus")).publishedTs || "0" }; // two agents as they are now
  const list = h("ol", { class: "commits wide" });
  const head = h("p", { class: "quiet" });
  body.append(head, list);
  let token;
  const page = async () => {
    const got = await call("Diff", { ...request, pageToken: token });
    head.textContent = `From commit ${got.fromTs || 0} to commit ${got.toTs || 0}.`;
    for (const k of got.keys || []) list.append(key(k, at, got));
    if (!list.children.length) list.append(h("li", null, empty("Nothing differs.")));
    token = got.nextPageToken;
    more.hidden = !token;
  };
  const more = h("button", { type: "button", onclick: () => page().catch((err) => body.append(problem(err))) }, "More keys");
  body.append(more);
  await page();
}

function key(k, at, got) {
  const side = (s) => (s?.exists ? valueOf(s) : undefined);
  const what = !k.before?.exists ? "only after" : !k.after?.exists ? "only before" : `v${k.before.version} → v${k.after.version}`;
  return h("li", { class: "commit" },
    h("div", { class: "bar" }, h("a", { class: "id", href: link({ view: "agent", ns: at.tons || at.ns, agent: at.toagent || at.agent, key: k.key, at: got.toTs }) }, k.key), h("span", { class: "quiet" }, what)),
    diff(side(k.before), side(k.after)));
}

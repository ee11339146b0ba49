// A transaction by its id: what became of it, what it wrote, and where it came from.
import { h, table, field, empty } from "./dom.js";
import { call, replay } from "./api.js";
import { when } from "./times.js";
import { go, link } from "./app.js";
import { operations, provenance } from "./events.js";

const states = {
  TRANSACTION_STATE_OPEN: "It is open: nothing of it is to be seen yet.",
  TRANSACTION_STATE_ABORTED: "It was aborted.",
  TRANSACTION_STATE_EXPIRED: "It expired before it was committed.",
  TRANSACTION_STATE_NEVER_SEEN: "No transaction of this id has committed.",
  TRANSACTION_STATE_TOO_OLD: "Outcomes of that age are no longer kept. The log may have it.",
};

export async function transaction(body, at) {
  const id = h("input", { type: "search", name: "txn", value: at.txn || "", required: true, size: 40 });
  body.append(h("h1", null, "Transaction"),
    h("form", { class: "filters", role: "search", onsubmit: (e) => { e.preventDefault(); go({ view: "txn", ns: at.ns, txn: id.value.trim() }); } },
      field("Id", id), h("button", { type: "submit" }, "Look")));
  if (!at.txn) {
    body.append(empty("Name a transaction: every commit in the log links to its own."));
    return;
  }
  const got = await call("GetTransaction", { txnId: at.txn });
  if (got.state !== "TRANSACTION_STATE_COMMITTED") {
    body.append(empty(states[got.state] || "Nothing is known of it."));
    return;
  }
  body.append(h("div", { class: "card" },
    h("p", null, "Committed as ", h("strong", null, "commit ", got.commitTs), " at ", when(got.commitTime), "."),
    h("p", { class: "id quiet" }, at.txn)));
  const ts = Number(got.commitTs);
  for (const ns of new Set([...(got.versions || []).map((v) => v.namespace), at.ns])) { // what it says of itself stands in the log
    const [event] = await replay({ ns }, ts, ts, 1);
    if (!event) continue;
    body.append(h("section", { class: "card" }, h("h2", null, "In namespace ", h("span", { class: "id" }, ns)), provenance(event), operations(event, {}, 100)));
  }
  const row = (v) => h("tr", null, h("th", { scope: "row" }, h("a", { class: "id", href: link({ view: "agent", ns: v.namespace, agent: v.agentId, key: v.key, at: got.commitTs }) }, v.key)),
    h("td", { class: "id" }, v.agentId), h("td", { class: "id" }, v.namespace), h("td", { class: "number" }, v.version));
  if (got.versions?.length) body.append(table("Versions", ["Key", "Agent", "Namespace", "Version"], got.versions.slice(0, 500).map(row)));
}

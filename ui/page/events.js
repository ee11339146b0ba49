// Commits as they are shown in lists: what each did, who made it, and when.
import { h } from "./dom.js";
import { when } from "./times.js";
import { link } from "./app.js";
import { valueOf, preview } from "./values.js";

// verb says what an operation did.
export function verb(op) {
  if (op.act) return "act";
  if (op.lease) return "lease";
  if (op.due) return op.deleted ? "done" : "due";
  if (op.erased) return "erased";
  return op.deleted ? "delete" : "write";
}

export function operations(event, at, most = 6) {
  const ops = event.operations || [];
  return h("ul", { class: "ops" }, ops.slice(0, most).map((op) => {
    const v = verb(op), value = valueOf(op);
    return h("li", null, h("span", { class: "verb " + v }, v), " ",
      at.agent ? null : [h("a", { class: "id quiet", href: link({ view: "agent", ns: op.namespace, agent: op.agentId, at: event.commitTs }) }, op.agentId), " "],
      op.act || op.lease ? h("span", { class: "id" }, op.key || "everything")
        : h("a", { class: "id", href: link({ view: "agent", ns: op.namespace, agent: op.agentId, at: event.commitTs, key: op.key }) }, op.key),
      op.version && h("span", { class: "quiet" }, " v" + op.version),
      value !== undefined && h("span", { class: "quiet peek" }, " ", preview(value, 80)));
  }), ops.length > most && h("li", { class: "quiet" }, `and ${ops.length - most} more`));
}

// provenance says who made a commit, and what it says of itself.
export function provenance(c) {
  const pairs = [];
  if (c.cause) pairs.push(["by the daemon", c.cause]);
  if (c.principal) pairs.push(["by", c.principal]);
  for (const [k, v] of Object.entries(c.metadata || {})) pairs.push([k, v]);
  if (c.traceId) pairs.push(["trace", c.traceId]);
  if (!pairs.length) return null;
  return h("dl", { class: "meta" }, pairs.map(([k, v]) => h("div", null, h("dt", null, k), h("dd", null, v))));
}

// item is a commit in a list.
export function item(event, at, current) {
  const to = at.agent ? { view: "agent", ns: at.ns, agent: at.agent, key: at.key, at: event.commitTs } : { view: "txn", ns: at.ns, txn: event.txnId };
  return h("li", { class: current ? "commit current" : "commit", "data-ts": event.commitTs },
    h("div", { class: "bar" },
      h("a", { class: "ts", href: link(to), "aria-current": current ? "true" : false }, "commit " + event.commitTs), when(event.commitTime)),
    operations(event, at), provenance(event),
    at.agent && event.txnId && h("a", { class: "quiet small", href: link({ view: "txn", ns: at.ns, txn: event.txnId }) }, "transaction"));
}

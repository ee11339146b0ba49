// A record: its value at a moment, and its history, each version with what it changed.
import { h, empty } from "./dom.js";
import { call } from "./api.js";
import { when } from "./times.js";
import { link } from "./app.js";
import { valueOf, tree, diff, write } from "./values.js";
import { provenance } from "./events.js";

const pageSize = 25;

export async function record(section, at, ts, signal) {
  const name = { namespace: at.ns, agentId: at.agent, key: at.key }, moment = { commitTs: String(ts) };
  const get = call("GetState", { ...name, encoding: "VALUE_ENCODING_NATIVE", at: moment }, signal).catch((err) => {
    if (err.code === "ERASED" || err.code === "OUT_OF_RANGE") return { gone: err.message };
    throw err;
  });
  const [now, past] = await Promise.all([get, call("GetHistory", { ...name, encoding: "VALUE_ENCODING_NATIVE", limit: pageSize + 1, at: moment }, signal)]);
  if (signal?.aborted) return;
  const value = valueOf(now);
  const history = h("ol", { class: "versions" });
  section.replaceChildren(
    h("div", { class: "bar" }, h("h2", { class: "id" }, at.key),
      now.exists && h("span", { class: "quiet" }, "version ", now.version, " · commit ", now.commitTs,
        now.expiresAt && [" · expires ", when(now.expiresAt)])),
    now.gone ? empty(now.gone) : now.exists
      ? h("div", { class: "value", tabindex: 0, role: "region", "aria-label": "Value" }, tree(value))
      : empty("It does not exist at this moment."),
    now.exists && value !== undefined && h("button", { type: "button", class: "plain small", onclick: (e) => copy(e.target, write(value)) }, "Copy as JSON"),
    h("h3", null, "History"), history);
  versions(history, at, past, name, moment);
}

async function copy(button, text) {
  await navigator.clipboard.writeText(text);
  button.textContent = "Copied";
}

// versions lists them, newest first. The one after the last of a page is only what that differs from.
function versions(list, at, got, name, moment) {
  const entries = got.entries || [];
  if (!entries.length && !list.children.length) list.append(h("li", { class: "quiet" }, "Nothing before this moment."));
  const shown = entries.length > pageSize ? entries.slice(0, pageSize) : entries;
  shown.forEach((e, i) => list.append(entry(e, entries[i + 1], at)));
  if (entries.length <= pageSize) return;
  const last = shown.at(-1);
  const more = h("li", null, h("button", { type: "button", onclick: async () => {
    more.remove();
    const older = { commitTs: String(Number(last.commitTs) - 1) };
    versions(list, at, await call("GetHistory", { ...name, encoding: "VALUE_ENCODING_NATIVE", limit: pageSize + 1, at: older }), name, moment);
  } }, "Older versions"));
  list.append(more);
}

function entry(e, older, at) {
  const value = valueOf(e);
  const what = e.erased ? h("p", { class: "quiet" }, "The value was erased.") : e.pruned ? h("p", { class: "quiet" }, "The value is no longer kept.")
    : e.deleted ? h("p", { class: "del" }, "deleted") : diff(older && !older.deleted ? valueOf(older) : undefined, value);
  return h("li", null,
    h("div", { class: "bar" }, h("a", { href: link({ view: "agent", ns: at.ns, agent: at.agent, key: at.key, at: e.commitTs }) }, "v" + e.version), h("span", { class: "quiet" }, "commit ", e.commitTs), when(e.commitTime)),
    what, provenance(e), e.txnId && h("a", { class: "quiet small", href: link({ view: "txn", ns: at.ns, txn: e.txnId }) }, "transaction"));
}

// Values: their text, exactly, as something to look at, and what differs between two of them.
import { h } from "./dom.js";

// Exact is a number that no double is: shown as it was written.
class Exact {
  constructor(text) { this.text = text; }
}

// Bytes is a value that is bytes, and not JSON that looks like them.
class Bytes {
  constructor(type, base64) { Object.assign(this, { type, base64, size: atob(base64).length }); }
  toString() { return `${this.size} bytes, ${this.type}`; }
}

const decoder = new TextDecoder();

// textOf is the JSON text of a field valueJson, which is base64.
export function textOf(base64) {
  if (!base64) return undefined;
  return decoder.decode(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));
}

export function parse(text) {
  return JSON.parse(text, (_, v, context) => {
    const source = context?.source;
    return typeof v === "number" && source !== undefined && String(v) !== source && /^-?\d+$/.test(source) ? new Exact(source) : v;
  });
}

// valueOf is the value of a record as it is answered; undefined: there is none.
export function valueOf(record) {
  if (record?.contentType) return new Bytes(record.contentType, record.valueBytes || "");
  const text = textOf(record?.valueJson);
  return text === undefined ? undefined : parse(text);
}

const isTree = (v) => v !== null && typeof v === "object" && !(v instanceof Exact) && !(v instanceof Bytes);

function scalar(v) {
  if (v instanceof Exact) return h("span", { class: "v-number" }, v.text);
  if (v instanceof Bytes) return h("span", { class: "v-null" }, String(v));
  const kind = v === null ? "null" : typeof v;
  return h("span", { class: "v-" + kind }, kind === "string" ? JSON.stringify(v) : String(v));
}

// write is a value as JSON text again.
export function write(v) {
  if (v === undefined) return "";
  if (v instanceof Exact) return v.text;
  if (v instanceof Bytes) return JSON.stringify({ $bytes: v.base64, $content_type: v.type });
  if (Array.isArray(v)) return "[" + v.map(write).join(",") + "]";
  if (isTree(v)) return "{" + Object.entries(v).map(([k, w]) => JSON.stringify(k) + ":" + write(w)).join(",") + "}";
  return JSON.stringify(v);
}

// preview is the beginning of a value, on one line.
export function preview(v, most = 120) {
  const text = v instanceof Bytes ? String(v) : write(v);
  return text.length > most ? text.slice(0, most) + "…" : text;
}

const shownAtOnce = 200; // members of one object: more are shown when asked for

// tree shows a value as something to open and close.
export function tree(v, depth = 0) {
  if (!isTree(v)) return scalar(v);
  const list = Array.isArray(v), entries = Object.entries(v);
  if (!entries.length) return h("span", { class: "v-null" }, list ? "[]" : "{}");
  const body = h("ul", { class: "members" });
  let shown = 0;
  const more = () => {
    body.querySelector(".more")?.remove();
    for (const [k, w] of entries.slice(shown, (shown += shownAtOnce))) {
      body.append(h("li", null, h("span", { class: "name" }, list ? k : JSON.stringify(k)), ": ", tree(w, depth + 1)));
    }
    if (shown < entries.length) body.append(h("li", { class: "more" }, h("button", { type: "button", onclick: more }, `${entries.length - shown} more`)));
  };
  const box = h("details", { class: "json" }, h("summary", null, list ? `[ ${entries.length} ]` : `{ ${entries.length} }`,
    h("span", { class: "quiet peek" }, " ", preview(v, 60))), body);
  const open = () => { if (!shown && box.open) more(); };
  box.addEventListener("toggle", open);
  if (depth < 2 && entries.length <= 50) { box.open = true; open(); }
  return box;
}

// changes lists what differs between two values: [{path, before, after}], at most `most`.
export function changes(a, b, most = 100) {
  const found = [];
  const walk = (x, y, path) => {
    if (found.length >= most || write(x) === write(y)) return;
    if (isTree(x) && isTree(y) && Array.isArray(x) === Array.isArray(y)) {
      const of = (v, k) => Object.hasOwn(v, k) ? v[k] : undefined; // every object inherits a "constructor"
      for (const k of new Set([...Object.keys(x), ...Object.keys(y)])) walk(of(x, k), of(y, k), path + "/" + k.replace(/~/g, "~0").replace(/\//g, "~1"));
      return;
    }
    found.push({ path, before: x, after: y });
  };
  walk(a, b, "");
  return found;
}

// diff shows what differs.
export function diff(a, b) {
  const list = changes(a, b);
  if (!list.length) return h("p", { class: "quiet" }, "The same value.");
  return h("ul", { class: "diff" }, list.map((c) => h("li", null,
    c.path && h("code", { class: "path" }, c.path),
    c.before !== undefined && h("span", { class: "del" }, h("span", { class: "visually-hidden" }, "was "), preview(c.before, 300)),
    c.after !== undefined && h("span", { class: "ins" }, h("span", { class: "visually-hidden" }, "is "), preview(c.after, 300)))),
  list.length >= 100 && h("li", { class: "quiet" }, "More differs than is shown."));
}

// The state of an agent as a tree: folders are what keys have before a slash. A folder's content is
// read when it is opened, a page at a time, so that a million keys cost what is looked at.
import { h } from "./dom.js";
import { call } from "./api.js";
import { valueOf, preview } from "./values.js";

const pageSize = 100;

export class State {
  constructor(section, at, onSelect) {
    Object.assign(this, { section, at, onSelect, open: new Set(), levels: new Map(), pages: new Map(), changed: new Set() });
    this.root = h("div", { class: "level" });
    section.append(h("h2", { id: "state" }, "State"), this.root);
  }

  // show shows the state after a commit. The tree is made before it is put there, so that moving the
  // slider does not flicker.
  async show(ts, signal) {
    this.ts = ts;
    const focused = this.root.contains(document.activeElement) ? document.activeElement.dataset.path : undefined;
    // Open folders are asked for at once, and not each after the one that it is in.
    const levels = this.levels = new Map();
    for (const path of this.open) {
      const level = this.level(path, signal);
      level.catch(() => {}); // whoever waits for it is told
      levels.set(path, level);
    }
    const level = await this.level("", signal);
    levels.clear();
    if (signal?.aborted) return;
    this.root.replaceChildren(level);
    this.paint();
    if (focused !== undefined) this.root.querySelector(`[data-path="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  // level is what is right under a prefix.
  async level(prefix, signal) {
    const ul = h("ul", { class: "keys" });
    let token, pages = this.pages.get(prefix) || 1;
    for (let i = 0; i < pages && (i === 0 || token); i++) token = await this.page(ul, prefix, token, signal);
    if (!ul.children.length) ul.append(h("li", { class: "quiet" }, prefix ? "Nothing at this moment." : "No keys at this moment."));
    if (token) {
      const more = h("li", null, h("button", { type: "button", onclick: async () => {
        const at = token;
        this.pages.set(prefix, (this.pages.get(prefix) || 1) + 1);
        more.remove();
        token = await this.page(ul, prefix, at);
        if (token) ul.append(more);
        this.paint();
      } }, "More keys"));
      ul.append(more);
    }
    return ul;
  }

  async page(ul, prefix, pageToken, signal) {
    const { ns, agent } = this.at, at = { commitTs: String(this.ts) };
    const got = await call("ListKeys", { namespace: ns, agentId: agent, prefix, delimiter: "/", limit: pageSize, pageToken, ...(pageToken ? {} : { at }) }, signal);
    const keys = got.keys || [];
    const states = keys.length ? (await call("BatchGetState", { names: keys.map((key) => ({ namespace: ns, agentId: agent, key })), encoding: "VALUE_ENCODING_NATIVE", at }, signal)).states : [];
    const rows = keys.map((key, i) => [key, this.key(key, prefix, states[i])]);
    rows.push(...await Promise.all((got.folders || []).map(async (folder) => [folder, await this.folder(folder, prefix, signal)])));
    rows.sort(([a], [b]) => (a < b ? -1 : 1));
    ul.append(...rows.map(([, li]) => li));
    return got.nextPageToken;
  }

  key(key, prefix, state) {
    const value = valueOf(state);
    return h("li", null, h("button", { type: "button", class: "key", "data-path": key, onclick: () => this.onSelect(key) },
      h("span", { class: "id" }, key.slice(prefix.length) || key), h("span", { class: "quiet" }, " v" + (state?.version || "?")),
      h("span", { class: "quiet peek" }, " ", state?.erased ? "erased" : state?.pruned ? "no longer kept" : preview(value, 90))));
  }

  async folder(path, prefix, signal) {
    const box = h("details", { class: "folder" }, h("summary", { "data-path": path, class: "id" }, path.slice(prefix.length)));
    if (this.open.has(path)) {
      box.append(await (this.levels.get(path) || this.level(path, signal)));
      box.open = true;
    }
    box.addEventListener("toggle", async () => {
      if (box.open) this.open.add(path);
      else this.open.delete(path);
      if (box.open && box.children.length === 1) {
        box.append(await this.level(path));
        this.paint();
      }
    });
    return h("li", null, box);
  }

  // mark marks the keys that a commit changed, choose the one that is looked at.
  mark(changed) { this.changed = changed; this.paint(); }
  choose(key) { this.chosen = key; this.paint(); }

  paint() {
    const changed = [...this.changed];
    for (const el of this.root.querySelectorAll("[data-path]")) {
      const path = el.dataset.path, folder = el.tagName === "SUMMARY";
      el.classList.toggle("changed", folder ? changed.some((k) => k.startsWith(path)) : this.changed.has(path));
      if (!folder) el.setAttribute("aria-pressed", path === this.chosen);
    }
  }
}

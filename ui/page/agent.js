// An agent at a moment: its state as a tree, a slider through time, and what each commit changed.
import { h, field, problem, say, latest, empty } from "./dom.js";
import { call, before, after } from "./api.js";
import { clock, when } from "./times.js";
import { link, note } from "./app.js";
import { State } from "./state.js";
import { record } from "./record.js";
import { item } from "./events.js";

const commitsShown = 30;

// How often it looks whether there is more. A stream would take one of the six connections that a browser
// has for all pages of a daemon.
const lookEvery = 2000;

export async function agent(body, at) {
  const about = await call("GetAgent", { namespace: at.ns, agentId: at.agent });
  if (!about.agent) {
    body.append(empty(`There is no agent "${at.agent}" in namespace "${at.ns}", or nothing of it was committed.`));
    return;
  }
  const first = Number(about.agent.firstTs);
  const screen = new Screen(body, at, first, Number(about.agent.headTs));
  screen.draw(about);
  await screen.move(at.at ? Number(at.at) : screen.head);
  const look = () => document.hidden || screen.look().catch(() => {}); // tried again
  look();
  const looking = setInterval(look, lookEvery);
  return () => clearInterval(looking);
}

// reveal scrolls a box, and not the page, to what is in it.
function reveal(el, box) {
  const at = el.offsetTop - box.offsetTop;
  if (at < box.scrollTop || at + el.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = at - box.clientHeight / 3;
}

class Screen {
  constructor(body, at, first, head) {
    Object.assign(this, { body, at, first, head, of: { ns: at.ns, agent: at.agent }, ts: head, looked: head, events: [] });
    this.move = latest((signal, ts) => this.show(signal, ts));
    this.choose = latest((signal, key) => this.select(key, signal).catch((err) => {
      if (!signal.aborted && err.status !== 401) this.record.replaceChildren(problem(err));
    }));
  }

  draw(about) {
    const { at, first, head } = this;
    this.slider = h("input", { type: "range", min: first, max: head, step: 1, value: head, id: "moment" });
    this.slider.addEventListener("input", () => this.move(Number(this.slider.value)));
    this.slider.addEventListener("keydown", (e) => { // to the agent's commits, and past those of others
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[e.key];
      if (step) { e.preventDefault(); this.step(step); }
    });
    this.label = h("output", { class: "moment", for: "moment" });
    const time = h("input", { type: "datetime-local", step: "0.001" });
    const goTo = h("form", { class: "go", onsubmit: (e) => { e.preventDefault(); this.toTime(time.value); } }, field("At time", time), h("button", { type: "submit" }, "Go"));
    this.trouble = h("div");
    this.tree = h("section", { class: "card tree", "aria-labelledby": "state" });
    this.record = h("section", { class: "card record", "aria-label": "Record" });
    this.list = h("ol", { class: "commits", reversed: true });
    this.state = new State(this.tree, at, (key) => this.choose(key));
    const button = (text, label, f) => h("button", { type: "button", "aria-label": label, title: label, onclick: f }, text);
    const forked = about.forkedFrom;
    this.body.append(
      h("div", { class: "bar head" }, h("h1", null, h("a", { href: link({ ns: at.ns }), class: "quiet" }, at.ns), " / ", h("span", { class: "id" }, at.agent)),
        h("p", { class: "quiet" }, "last active ", when(about.agent.headTime, true), " · ", h("a", { href: link({ view: "log", ns: at.ns, agent: at.agent }) }, "log"),
          " · ", h("a", { href: link({ view: "leases", ns: at.ns, agent: at.agent }) }, "leases"),
          " · ", this.compare = h("a", null, "compare this moment with now"),
          forked && [" · forked from ", h("a", { class: "id", href: link({ view: "agent", ns: forked.namespace, agent: forked.agentId, at: forked.commitTs }) }, forked.agentId), ` at ${forked.commitTs}`],
          about.forks?.length ? [" · forks: ", about.forks.slice(0, 5).map((f) => [h("a", { class: "id", href: link({ view: "agent", ns: f.namespace, agent: f.agentId }) }, f.agentId), " "])] : null)),
      h("section", { class: "card time", "aria-label": "Time" },
        h("label", { for: "moment", class: "visually-hidden" }, "Moment, as a commit"),
        button("◀", "The commit before", () => this.step(-1)), this.slider, button("▶", "The next commit", () => this.step(1)),
        button("Now", "Now: the last commit", () => this.move(this.head)), this.label, goTo),
      this.trouble,
      h("div", { class: "columns" }, this.tree, this.record,
        h("section", { class: "card changes", "aria-labelledby": "changes" }, h("h2", { id: "changes" }, "What changed"), this.list)));
  }

  // show shows the state after a commit.
  async show(signal, ts) {
    ts = Math.min(Math.max(ts, this.first), this.head);
    this.slider.value = ts;
    try {
      const events = this.near(ts) ? Promise.resolve() : this.load(signal, ts);
      await Promise.all([this.state.show(ts, signal), events]);
      if (signal.aborted) return;
      this.ts = ts;
      this.trouble.replaceChildren();
      this.mark();
      await this.select(this.at.key, signal);
    } catch (err) {
      if (signal.aborted || err.status === 401) return;
      this.trouble.replaceChildren(problem(err));
    }
  }

  // look goes on with the agent, if its last commit is what is shown. It reads the log, for what the daemon does
  // by itself, as deleting what has expired, does not move an agent's head.
  async look() {
    if (this.looking) return;
    this.looking = true;
    try {
      const published = Number((await call("GetStatus")).publishedTs || 0);
      if (published <= this.looked) return;
      const { events } = await before(this.of, published, this.looked + 1, 1);
      this.looked = published;
      if (events.length) await this.goOn(Number(events[0].commitTs));
    } finally {
      this.looking = false;
    }
  }

  async goOn(head) {
    const follows = this.ts === this.head;
    this.head = this.slider.max = head;
    if (follows) await this.move(head);
  }

  // near reports whether the commits that are listed have the one of ts.
  near(ts) {
    return this.events.length && ts >= Number(this.events[0].commitTs) && ts <= this.until;
  }

  async load(signal, ts) {
    const got = await before(this.of, ts, this.first, commitsShown, signal);
    if (signal.aborted) return;
    this.events = got.events;
    this.until = ts;
    this.older = got.older;
    this.list.replaceChildren(...this.events.map((e) => item(e, this.at)).reverse());
  }

  // current is the agent's commit that the state is after.
  current() {
    return this.events.findLast((e) => Number(e.commitTs) <= this.ts);
  }

  mark() {
    const e = this.current();
    this.at = { ...this.at, at: this.ts === this.head ? undefined : String(this.ts) };
    note(this.at);
    const text = e ? `after commit ${e.commitTs}, ${clock(e.commitTime)}` : `at commit ${this.ts}`;
    this.label.replaceChildren(...(e ? [h("strong", null, "commit " + e.commitTs), h("span", { class: "quiet" }, " " + clock(e.commitTime))] : [text]));
    this.slider.setAttribute("aria-valuetext", text);
    say("State " + text);
    for (const li of this.list.children) {
      const is = li.dataset.ts === e?.commitTs;
      li.classList.toggle("current", is);
      if (is) reveal(li, this.list.parentElement);
    }
    this.state.mark(new Set((e?.operations || []).map((op) => op.key)));
    this.compare.setAttribute("href", link({ view: "compare", ns: this.at.ns, agent: this.at.agent, from: this.ts, to: this.head }));
  }

  // step goes to the agent's commit before or after.
  async step(by) {
    if (by < 0) {
      const i = this.events.indexOf(this.current());
      const to = i > 0 ? this.events[i - 1] : (await before(this.of, Number(this.current()?.commitTs || this.ts) - 1, this.first, 1)).events[0];
      if (to) await this.move(Number(to.commitTs));
      return;
    }
    const i = this.events.findIndex((e) => Number(e.commitTs) > this.ts);
    const to = i >= 0 ? this.events[i] : await after(this.of, this.ts);
    if (to) await this.move(Number(to.commitTs));
  }

  // toTime goes to the last commit that is not later than a time.
  async toTime(text) {
    if (!text) return;
    try {
      const got = await call("ListKeys", { namespace: this.at.ns, agentId: this.at.agent, limit: 1, at: { time: new Date(text).toISOString() } });
      await this.move(Number(got.readTs || this.first));
    } catch (err) {
      this.trouble.replaceChildren(problem(err));
    }
  }

  async select(key, signal) {
    if (key === undefined) {
      this.record.replaceChildren(empty("Choose a key to see its value and its history."));
      return;
    }
    const moved = this.at.key !== key;
    this.at = { ...this.at, key };
    if (moved) { note(this.at); }
    this.state.choose(key);
    await record(this.record, this.at, this.ts, signal);
  }
}

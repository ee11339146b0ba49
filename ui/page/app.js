// The shell: which screen an address names, what stands above all of them, and the key.
import { h, problem, say } from "./dom.js";
import { call, onUnauthenticated, signIn, signOut } from "./api.js";
import { agents } from "./agents.js";
import { agent } from "./agent.js";
import { log } from "./log.js";
import { compare } from "./compare.js";
import { activity } from "./activity.js";
import { leases } from "./leases.js";
import { transaction } from "./transaction.js";
import { daemon } from "./daemon.js";

const screens = { agents, agent, log, compare, leases, activity, txn: transaction, daemon };
const titles = { agents: "Agents", log: "Log", compare: "Compare", leases: "Leases", activity: "Activity", txn: "Transaction", daemon: "Daemon" };

const main = document.getElementById("main");
const header = document.getElementById("header");
let leave = () => {}; // of the screen that is shown
let shows = 0; // how many screens have been opened
let status = null;

// place is what the address names.
export function place() {
  const p = Object.fromEntries(new URLSearchParams(location.search));
  return { ...p, view: screens[p.view] ? p.view : "agents", ns: p.ns || "default" };
}

// link is the address of a place.
export function link(to) {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(to)) if (v !== undefined && v !== "" && v !== null) q.set(k, v);
  return "/ui/?" + q;
}

export function go(to, replace) {
  history[replace ? "replaceState" : "pushState"](null, "", link(to));
  show();
}

// note changes the address without showing anything anew: for a moment that moves.
export function note(to) {
  history.replaceState(null, "", link(to));
}

async function show() {
  leave();
  leave = () => {};
  const mine = ++shows;
  const at = place();
  draw(at);
  refresh(mine);
  const body = h("div", { class: "screen" });
  main.replaceChildren(body);
  document.title = [at.key, at.agent, titles[at.view] || "Agent", "Statehouse"].filter(Boolean).join(" · ");
  try {
    const left = (await screens[at.view](body, at)) || (() => {});
    if (mine === shows) leave = left;
    else left(); // another was opened meanwhile
  } catch (err) {
    if (mine === shows && err.status !== 401 && err.name !== "AbortError") body.append(problem(err));
  }
}

// refresh keeps the last commit that stands above the screens.
async function refresh(mine) {
  try {
    const now = await call("GetStatus");
    if (mine !== shows) return;
    status = now;
    header.querySelector(".commit-now").textContent = `commit ${now.publishedTs || 0}`;
  } catch { /* the screen says what is wrong */ }
}

function draw(at) {
  const tab = (view) => h("a", { href: link({ view, ns: at.ns }), "aria-current": at.view === view || view === "agents" && at.view === "agent" ? "page" : false }, titles[view]);
  header.replaceChildren(
    h("a", { class: "brand", href: link({ ns: at.ns }) }, h("img", { src: "icon.svg", alt: "", width: 24, height: 24 }), "Statehouse"),
    h("nav", { "aria-label": "Screens" }, Object.keys(titles).map(tab)),
    h("p", { class: "store quiet" }, status && [h("span", { class: "commit-now", title: "The last commit" }, `commit ${status.publishedTs || 0}`),
      status.principal && h("span", null, status.principal),
      status.principal && h("button", { type: "button", class: "plain", onclick: async () => { await signOut(); location.reload(); } }, "Sign out")]));
}

// askForKey shows the form for a key.
function askForKey() {
  if (document.getElementById("key")) return;
  status = null;
  draw(place());
  leave();
  leave = () => {};
  const why = h("div");
  const input = h("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true });
  const form = h("form", { class: "card sign-in" },
    h("h1", null, "This daemon wants a key"),
    h("p", { class: "quiet" }, "An access key (shk_…) or the shared token. The page does not keep it: it becomes a session of this browser, which can only read."),
    h("label", { for: "key" }, "Key"), input, h("button", { type: "submit", class: "primary" }, "Sign in"), why);
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    try {
      await signIn(input.value.trim());
      start();
    } catch (err) {
      why.replaceChildren(problem(err));
      input.select();
    }
  });
  main.replaceChildren(form);
  input.focus();
}

async function start() {
  try {
    status = await call("GetStatus");
  } catch (err) {
    if (err.status !== 401) main.replaceChildren(problem(err));
    return;
  }
  main.replaceChildren();
  await show();
  document.documentElement.dataset.ready = "true";
}

onUnauthenticated(askForKey);
addEventListener("popstate", show);
addEventListener("click", (e) => { // links of ours without loading the page again
  const a = e.target.closest?.("a[href^='/ui/']");
  if (!a || e.defaultPrevented || e.button || e.metaKey || e.ctrlKey || e.shiftKey) return;
  e.preventDefault();
  history.pushState(null, "", a.href);
  show();
  main.focus({ preventScroll: true });
  say(document.title);
});
start();

// Times, as they are shown.
import { h } from "./dom.js";

const pad = (n, w = 2) => String(n).padStart(w, "0");

// clock is a time of the daemon in the reader's time zone: 2026-11-30 10:42:00.853.
export function clock(iso) {
  if (!iso) return "";
  const t = new Date(iso);
  return `${t.getFullYear()}-${pad(t.getMonth() + 1)}-${pad(t.getDate())} ${pad(t.getHours())}:${pad(t.getMinutes())}:${pad(t.getSeconds())}.${pad(t.getMilliseconds(), 3)}`;
}

const units = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export function ago(iso) {
  const s = (Date.now() - new Date(iso)) / 1000;
  if (Math.abs(s) < 2) return "now";
  for (const [unit, length] of units) if (Math.abs(s) >= length) return words.format(-Math.round(s / length), unit);
  return "now";
}

export function when(iso, relative) {
  if (!iso) return h("span", { class: "quiet" }, "–");
  return h("time", { datetime: iso, title: iso }, relative ? ago(iso) : clock(iso));
}

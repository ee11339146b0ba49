// The daemon: how it fares, and what was refused in the last hour.
import { h, put, table, empty, problem } from "./dom.js";
import { call, admin } from "./api.js";
import { when } from "./times.js";

const hour = 3600_000, pageSize = 1000, mostPages = 20; // the audit log keeps 10,000 entries

const bytes = (n) => { // as disks are sold
  n = Number(n || 0);
  for (const unit of ["B", "kB", "MB", "GB", "TB"]) {
    if (n < 1000 || unit === "TB") return `${n < 10 && unit !== "B" ? n.toFixed(1) : Math.round(n)} ${unit}`;
    n /= 1000;
  }
};

export async function daemon(body) {
  const [st, version] = await Promise.all([call("GetStatus"), call("Version")]);
  const fact = (name, ...value) => h("div", null, h("dt", null, name), h("dd", null, value));
  put(body, h("h1", null, "Daemon"),
    st.writesRefused && problem({ code: "Writes are refused.", message: st.writesRefused }),
    h("dl", { class: "card facts" },
      fact("Version", version.version), fact("Store", h("span", { class: "id" }, st.storeId)), fact("Last commit", st.publishedTs || "none", " · ", when(st.lastCommitTime, true)),
      fact("Durable", st.durable ? "yes" : "no: in memory, or acknowledged before it is on disk"), fact("Open transactions", st.openTransactions || 0),
      fact("Sessions", `${st.sessions || 0}, ${st.sessionRequests || 0} requests under way`), fact("Disk", `${bytes(st.diskUsedBytes)} used, ${bytes(st.diskFreeBytes)} free`),
      st.archive && fact("Archive", st.archive.error || `up to commit ${st.archive.archivedTs || 0}`)));
  const section = h("section", { class: "card", "aria-labelledby": "refused" }, h("h2", { id: "refused" }, "Refused in the last hour"));
  body.append(section);
  try {
    section.append(await refusals());
  } catch (err) {
    if (err.code !== "PERMISSION_DENIED") throw err;
    section.append(empty("The audit log is for keys that may administer."));
  }
}

// refusals are those of the audit log, newest first: for a key that is missing or may not.
async function refusals() {
  let after = "0", found = [];
  for (let n = 0; n < mostPages; n++) { // it is read from its beginning
    const got = await admin("ListAudit", { after, limit: pageSize });
    const entries = got.entries || [];
    found.push(...entries.filter((e) => e.refused && Date.now() - new Date(e.time) < hour));
    if (!got.more || !entries.length) break;
    after = entries.at(-1).number;
  }
  if (!found.length) return empty("Nothing. Conflicts are for whoever asked, and are not kept.");
  const row = (e) => h("tr", null, h("th", { scope: "row" }, when(e.time)), h("td", null, e.principal || h("span", { class: "quiet" }, "unknown")), h("td", null, e.action),
    h("td", null, e.details?.count || "1"), h("td", { class: "wrap" }, e.refused));
  return table("Refusals", ["Time", "Who", "Method", "Times", "Why"], found.reverse().slice(0, 200).map(row));
}

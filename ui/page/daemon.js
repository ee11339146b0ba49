// The daemon: how it fares.
import { h, put, problem } from "./dom.js";
import { call } from "./api.js";
import { when } from "./times.js";

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
}

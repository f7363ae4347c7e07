// Runs: what was run, with which settings, how it went over time, and what changed.
"use strict";

(() => {
  const h = tcpspec.element;
  const { KINDS } = tcpspec;
  const SHOWN = 400;

  const row = (column) => {
    const tally = Object.keys(KINDS).filter((kind) => column.counts[kind]).map((kind) => [kind, column.counts[kind]]);
    return h("tr", {}, h("th", { scope: "row" }, column.name, h("div", { class: "quiet" }, column.stack)),
      h("td", {}, h("time", { datetime: column.started }, column.started || "not known"), h("div", { class: "quiet" }, column.run)),
      h("td", { class: "number" }, `${column.wall} s`), h("td", { class: "number" }, column.total.toLocaleString("en")),
      h("td", { class: "wide" }, tcpspec.bar(tally, column.total, tally.map(([kind, count]) => `${count} ${KINDS[kind].words}`).join(", "))),
      ["deviates", "known", "conforms"].map((kind) => h("td", { class: "number" }, (column.counts[kind] ?? 0).toLocaleString("en"))));
  };

  const changes = (core, latest, older) => {
    const was = new Map(core.all.filter((one) => one.column === older).map((one) => [tcpspec.subject(one), one]));
    return core.all.filter((one) => one.column === latest && was.has(tcpspec.subject(one)) && was.get(tcpspec.subject(one)).kind !== one.kind)
      .map((one) => [was.get(tcpspec.subject(one)), one]);
  };

  const changed = (core, older) => {
    const latest = core.columns[older.latest];
    const found = changes(core, latest, older);
    return h("section", { class: "panel" },
      h("h2", {}, `${latest.name}: ${tcpspec.counted(found.length, "change")} since ${older.run}`),
      found.length ? tcpspec.table(["claim", "before", "now", "observed", "testcase"], found.slice(0, SHOWN).map(([before, now]) => h("tr", {},
        h("th", { scope: "row" }, h("a", { class: "id", href: tcpspec.address("claim", { id: now.claim.id }) }, now.claim.id)),
        h("td", {}, tcpspec.mark(before.kind), h("div", { class: "mono" }, before.observed)), h("td", {}, tcpspec.mark(now.kind)),
        h("td", {}, tcpspec.observed(now)), h("td", {}, tcpspec.stories([now])))), { caption: "Changes" }) : null,
      found.length > SHOWN ? h("p", {}, h("a", { href: tcpspec.address("matrix", { changed: older.run, targets: latest.name }) }, "all of them in the matrix")) : null);
  };

  tcpspec.views.runs = {
    label: "Runs",
    show: () => {
      const core = tcpspec.core;
      const ordered = [...core.columns].sort((one, other) => one.latest - other.latest || one.started.localeCompare(other.started));
      return [h("h1", {}, "Runs"),
        tcpspec.table(["target", "run", ["took"], ["verdicts"], "share", ...["deviates", "known", "conforms"].map((kind) => [tcpspec.mark(kind)])], ordered.map(row), { caption: "Targets of the runs, over time" }),
        ...core.columns.filter((one) => one.older).map((one) => changed(core, one)),
        h("section", { class: "panel" }, h("h2", {}, "Settings"), core.latest.map((column) => h("details", {}, h("summary", {}, `${column.name} (${tcpspec.counted(Object.keys(column.sysctls).length, "sysctl")})`),
          tcpspec.table(["sysctl", "value"], Object.entries(column.sysctls).map(([key, value]) => h("tr", {}, h("th", { scope: "row", class: "mono" }, key), h("td", { class: "mono" }, value))), { caption: `Settings of ${column.name}` }))))];
    },
  };
})();

// Matrix: claims down, targets across, filters above.
"use strict";

(() => {
  const h = tcpspec.element;
  const { KINDS } = tcpspec;
  const FIRST = 40;
  const PAUSE = 30;

  const cards = (core, parameters) => h("section", { class: "cards", "aria-label": "Targets" },
    core.latest.map((column) => {
      const tally = Object.keys(KINDS).filter((kind) => column.counts[kind]).map((kind) => [kind, column.counts[kind]]);
      const failing = column.counts.deviates ?? 0;
    const words = tally.map(([kind, count]) => `${count} ${KINDS[kind].words}`).join(", ");
      return h("article", { class: `card ${failing ? "failing" : ""}` },
        h("h2", {}, column.name),
        h("p", { class: "quiet" }, column.stack),
        tcpspec.bar(tally, column.total, words),
        h("p", { class: "figures" }, ["deviates", "known", "conforms"].map((kind) =>
          h("a", { class: `mark ${kind}`, title: KINDS[kind].words,
            href: tcpspec.address("matrix", { ...parameters, verdict: kind, targets: column.name }) },
          h("span", { class: "sign", "aria-hidden": "true" }, KINDS[kind].sign), ` ${(column.counts[kind] ?? 0).toLocaleString("en")}`,
          h("span", { class: "unseen" }, ` ${KINDS[kind].words}`)))));
    }));

  // What a verdict was in an older run: undefined where it was not judged.
  const before = (core, run) => {
    const was = new Map();
    for (const one of core.all) if (one.column.older && one.column.run === run) was.set(tcpspec.subject(one), one.kind);
    return was;
  };

  const filtered = (core, p) => {
    const wanted = (p.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const named = new Set((p.targets ?? "").split(",").filter(Boolean));
    const columns = named.size ? core.latest.filter((one) => named.has(one.name)) : core.latest;
    const was = p.changed ? before(core, p.changed) : null;
    const rows = [];
    for (const claim of core.ordered) {
      if (p.document && claim.document !== p.document) continue;
      if (p.topic && claim.topic !== p.topic) continue;
      const text = `${claim.id} ${claim.says} ${Object.keys(claim.expects).join(" ")}`.toLowerCase();
      if (!wanted.every((word) => text.includes(word))) continue;
      let verdicts = claim.verdicts.filter((one) => columns.includes(one.column));
      if (p.binding) verdicts = verdicts.filter((one) => one.binding);
      if (was) verdicts = verdicts.filter((one) => was.has(tcpspec.subject(one)) && was.get(tcpspec.subject(one)) !== one.kind);
      if (p.verdict && !verdicts.some((one) => one.kind === p.verdict)) continue;
      if (!verdicts.length && !(p.all && !p.binding && !was && !p.verdict)) continue;
      const cells = columns.map((column) => verdicts.filter((one) => one.column === column));
      if (p.differ) {
        const worst = new Set(cells.map(tcpspec.worst).filter(Boolean));
        if (worst.size < 2) continue;
      }
      rows.push({ claim, cells });
    }
    return { columns, rows };
  };

  const cell = (claim, column, verdicts) => {
    if (!verdicts.length) return h("td", { class: "cell none" }, h("span", { class: "unseen" }, "not judged"));
    const tally = tcpspec.tally(verdicts);
    const [worst, count] = tally[0];
    const share = tally.length > 1 ? `${count}/${verdicts.length}` : "";
    const words = tally.map(([kind, number]) => (verdicts.length > 1 ? `${number} ${KINDS[kind].words}` : KINDS[kind].words)).join(", ");
    return h("td", { class: "cell" }, h("a", {
      class: `verdict ${worst}`, href: tcpspec.address("claim", { id: claim.id, at: `on-${column.name}` }),
      title: `${column.name}: ${words}`,
    }, h("span", { class: "sign", "aria-hidden": "true" }, KINDS[worst].sign),
    share ? h("small", { "aria-hidden": "true" }, share) : null,
    h("span", { class: "unseen" }, `${claim.id} on ${column.name}: ${words}`)));
  };

  const group = (core, columns, id, members) => h("tbody", {},
    h("tr", { class: "document" }, h("th", { scope: "rowgroup", colspan: columns.length + 1 },
      core.documentOf.get(id)?.title ?? id, h("span", { class: "quiet" }, ` ${id} · ${tcpspec.counted(members.length, "claim")}`))),
    members.map(({ claim, cells }) => h("tr", {},
      h("th", { scope: "row" },
        h("a", { class: "id", href: tcpspec.address("claim", { id: claim.id }) }, claim.id),
        claim.strength && claim.strength !== "says" ? h("span", { class: "strength" }, claim.strength) : null,
        h("span", { class: "says", title: claim.says }, claim.says)),
      cells.map((verdicts, place) => cell(claim, columns[place], verdicts)))));

  // What is seen at once is drawn at once; the rest follows, and the frame is busy until then.
  // It follows in one piece: a table is laid out anew with each.
  const body = (core, { columns, rows }, current) => {
    if (!rows.length) return [h("p", { class: "notice" }, "No claim fits these filters.")];
    const groups = [...tcpspec.group(rows, (row) => row.claim.document)];
    const table = h("table", { class: "matrix", style: `--targets:${columns.length}` },
      h("caption", { class: "unseen" }, "Claims of documents, and what each target does"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, tcpspec.counted(rows.length, "claim")),
        columns.map((column) => h("th", { scope: "col", class: "target", title: column.stack }, h("span", {}, column.name))))));
    const frame = h("div", { class: "scroll matrix-frame", tabindex: "0", role: "region", "aria-label": "Matrix of claims and targets" }, table);
    const slice = (most) => {
      const some = [];
      for (let count = 0; groups.length && count < most;) {
        const [id, members] = groups.shift();
        some.push(group(core, columns, id, members));
        count += members.length;
      }
      table.append(...some);
      if (groups.length) {
        frame.setAttribute("aria-busy", "true");
        setTimeout(() => { if (current()) slice(Infinity); }, PAUSE);
      } else frame.removeAttribute("aria-busy");
    };
    slice(FIRST);
    return [frame];
  };

  const filters = (core, parameters, change) => {
    const topics = [...new Set(core.claims.map((one) => one.topic).filter(Boolean))].sort();
    const documents = core.documents.filter((one) => core.claims.some((claim) => claim.document === one.id));
    const runs = [...new Set(core.columns.filter((one) => one.older).map((one) => one.run))];
    const pick = (key) => (value) => change({ [key]: value });
    return h("form", { class: "filters", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
      tcpspec.finder("Find", parameters.q, pick("q")),
      tcpspec.chooser("Document", [["", "all"], ...documents.map((one) => [one.id, one.title.length > 44 ? `${one.title.slice(0, 43)}…` : one.title])], parameters.document ?? "", pick("document")),
      tcpspec.chooser("Topic", [["", "all"], ...topics.map((one) => [one, one])], parameters.topic ?? "", pick("topic")),
      tcpspec.chooser("Verdict", [["", "all"], ...Object.entries(KINDS).map(([kind, { sign, words }]) => [kind, `${sign} ${words}`])], parameters.verdict ?? "", pick("verdict")),
      runs.length ? tcpspec.chooser("Changed since", [["", "any run"], ...runs.map((run) => [run, run])], parameters.changed ?? "", pick("changed")) : null,
      tcpspec.tick("binding", Boolean(parameters.binding), pick("binding")),
      core.latest.length > 1 ? tcpspec.tick("targets differ", Boolean(parameters.differ), pick("differ")) : null,
      tcpspec.tick("also not judged", Boolean(parameters.all), pick("all")),
      core.latest.length > 1 ? h("details", { class: "pick", open: Boolean(parameters.targets) || null }, h("summary", {}, "Targets"),
        core.latest.map((column) => {
          const named = (parameters.targets ?? "").split(",").filter(Boolean);
          return tcpspec.tick(column.name, !named.length || named.includes(column.name), (on) => {
            const now = (tcpspec.here().parameters.targets ?? "").split(",").filter(Boolean);
            const shown = new Set(now.length ? now : core.latest.map((one) => one.name));
            if (on) shown.add(column.name); else shown.delete(column.name);
            change({ targets: shown.size === core.latest.length ? "" : [...shown].join(",") });
          });
        })) : null);
  };

  const legend = () => h("ul", { class: "legend", "aria-label": "Signs" },
    Object.entries(KINDS).map(([kind, { about }]) => h("li", { title: about }, tcpspec.mark(kind))));

  tcpspec.views.matrix = {
    label: "Matrix",
    of: ["claim"],
    show: (given) => {
      const core = tcpspec.core;
      let parameters = { ...given };
      const place = h("div", { "aria-live": "off" });
      const count = h("p", { class: "unseen", role: "status" });
      let later = 0;
      let turn = 0;
      const fill = () => {
        const found = filtered(core, parameters);
        const mine = ++turn;
        place.replaceChildren(...body(core, found, () => mine === turn));
        fit();
        count.textContent = tcpspec.counted(found.rows.length, "claim");
      };
      // A filter changes the address and the rows, and leaves the field that has the focus.
      // A table that is wider than its place scrolls in a frame; else the page scrolls, under its head.
      const fit = () => {
        const frame = place.querySelector(".matrix-frame");
        if (frame) frame.classList.toggle("narrow", frame.firstChild.scrollWidth > place.clientWidth);
      };
      new ResizeObserver(fit).observe(place);
      const change = (changes) => {
        parameters = { ...parameters, ...changes };
        history.replaceState(null, "", tcpspec.address("matrix", parameters));
        clearTimeout(later);
        later = setTimeout(fill, "q" in changes ? 120 : 0);
      };
      fill();
      return [h("h1", { class: "unseen" }, "Matrix"), cards(core, {}), filters(core, parameters, change), legend(), count, place];
    },
  };
})();

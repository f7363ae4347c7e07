// Behaviours: every measure, and of each what all documents expect and all targets do.
"use strict";

(() => {
  const h = tcpspec.element;
  const { KINDS } = tcpspec;

  const marks = (columns, verdicts) => columns.map((column) => {
    const worst = tcpspec.worst(verdicts.filter((one) => one.column === column));
    return h("td", { class: "cell" }, worst
      ? h("span", { class: `verdict ${worst}`, title: `${column.name}: ${KINDS[worst].words}` }, h("span", { class: "sign", "aria-hidden": "true" }, KINDS[worst].sign), h("span", { class: "unseen" }, KINDS[worst].words))
      : h("span", { class: "unseen" }, "not judged"));
  });

  tcpspec.views.behaviours = {
    label: "Behaviours",
    of: ["behaviour"],
    show: (given) => {
      const core = tcpspec.core;
      let parameters = { ...given };
      const place = h("div", {});
      const fill = () => {
        const words = (parameters.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
        const rows = core.measures.filter((one) => one.verdicts.length
          && (!parameters.topic || one.topic === parameters.topic)
          && (!parameters.pictures || core.pictures.includes(one.name))
          && words.every((word) => `${one.name} ${one.observes}`.toLowerCase().includes(word)));
        place.replaceChildren(tcpspec.table(["behaviour", ...core.latest.map((one) => one.name)],
          rows.map((one) => h("tr", {},
            h("th", { scope: "row" }, h("a", { class: "id", href: tcpspec.address("behaviour", { measure: one.name }) }, one.name),
              core.pictures.includes(one.name) ? h("span", { class: "strength" }, "on a time axis") : null,
              h("span", { class: "says" }, one.observes)),
            marks(core.latest, one.verdicts))), { class: "matrix", caption: "Behaviours" }));
      };
      const change = (changes) => {
        parameters = { ...parameters, ...changes };
        history.replaceState(null, "", tcpspec.address("behaviours", parameters));
        fill();
      };
      const topics = [...new Set(core.measures.filter((one) => one.verdicts.length).map((one) => one.topic).filter(Boolean))];
      fill();
      return [h("h1", {}, "Behaviours"),
        h("form", { class: "filters", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
          tcpspec.finder("Find", parameters.q, (q) => change({ q })),
          tcpspec.chooser("Topic", [["", "all"], ...topics.map((one) => [one, one])], parameters.topic ?? "", (topic) => change({ topic })),
          tcpspec.tick("on a time axis", Boolean(parameters.pictures), (pictures) => change({ pictures }))),
        place];
    },
  };

  tcpspec.views.behaviour = {
    show: async ({ measure: name }) => {
      const core = tcpspec.core;
      const of = core.measureOf.get(name);
      if (!of) throw new Error(`There is no behaviour ${name} in these runs.`);
      const scene = core.pictures.includes(name) ? (await tcpspec.load("pictures"))[name] : null;
      const claims = core.ordered.filter((claim) => name in claim.expects || of.verdicts.some((one) => one.claim === claim));
      const columns = core.latest.filter((column) => of.verdicts.some((one) => one.column === column));
      const seen = [...tcpspec.group(of.verdicts.filter((one) => one.observed), (one) =>
        [one.column.place, one.observed.replace(/\d+(\.\d+)?/g, "#")].join("\n")).values()];
      return [
        h("h1", {}, name), h("p", { class: "lead" }, of.observes),
        h("p", { class: "quiet" }, of.kind, of.topic ? [" · ", h("a", { href: tcpspec.address("behaviours", { topic: of.topic }) }, of.topic)] : null),
        scene ? h("section", { class: "panel" }, tcpspec.draw(scene)) : null,
        h("section", { class: "panel" }, h("h2", {}, "What targets did"),
          seen.length ? tcpspec.table(["target", "observed", "testcase"], seen.map((members) => h("tr", {},
            h("th", { scope: "row" }, members[0].column.name), h("td", { class: "mono" }, members[0].observed),
            h("td", {}, tcpspec.stories([...tcpspec.group(members, (one) => one.testcase + one.family).values()].map(([one]) => one)))),
          ), { caption: "Observations" }) : h("p", { class: "quiet" }, "nothing was observed in these runs")),
        h("section", { class: "panel" }, h("h2", {}, "What documents expect"),
          tcpspec.table(["claim", "expected", ...columns.map((one) => one.name)], claims.map((claim) => {
            const mine = of.verdicts.filter((one) => one.claim === claim);
            const said = [...new Set(mine.map((one) => one.documented))].filter(Boolean);
            return h("tr", {},
              h("th", { scope: "row" }, h("a", { class: "id", href: tcpspec.address("claim", { id: claim.id }) }, claim.id),
                claim.strength && claim.strength !== "says" ? h("span", { class: "strength" }, claim.strength) : null,
                h("span", { class: "says", title: claim.says }, claim.says)),
              h("td", { class: "mono" }, (said.length ? said : [claim.expects[name] ?? ""]).map((text) => h("div", {}, text))),
              marks(columns, mine));
          }), { class: "matrix", caption: "Expectations" })),
      ];
    },
  };
})();

// Knowledge: where documents contradict each other, what is judged at all, and what is known.
"use strict";

(() => {
  const h = tcpspec.element;
  const claimLink = (id) => h("a", { class: "id", href: tcpspec.address("claim", { id }) }, id);
  const measureLink = (name) => h("a", { href: tcpspec.address("behaviour", { measure: name }) }, name);
  const kindOf = (position) => (position.verdict !== "deviates" ? position.verdict
    : position.known ? "known" : position.binding ? "deviates" : "informative");

  const contradiction = (one) => h("section", { class: "panel", id: `measure-${one.measure}` },
    h("h2", {}, measureLink(one.measure)), h("p", { class: "quiet" }, one.observes),
    one.observations.length
      ? tcpspec.table(["claim", "says", ...one.observations.map((seen) => h("span", {}, seen.target, h("span", { class: "mono plainly" }, seen.observed)))],
        one.claims.map((claim) => h("tr", {}, h("th", { scope: "row" }, claimLink(claim.claim ?? claim.id)), h("td", { class: "statement" }, claim.says),
          one.observations.map((seen) => {
            const position = seen.positions.find((each) => each.claim === (claim.claim ?? claim.id));
            return h("td", {}, position ? [tcpspec.mark(kindOf(position)), h("div", { class: "mono" }, position.documented)] : null);
          }))), { caption: `Positions on ${one.measure}` })
      : h("ul", {}, one.claims.map((claim) => h("li", {}, claimLink(claim.claim ?? claim.id), ` ${claim.says}`))));

  tcpspec.views.contradictions = {
    label: "Contradictions",
    show: async () => {
      const { contradictions: found } = await tcpspec.load("knowledge");
      return [h("h1", {}, "Contradictions"),
        h("p", { class: "lead" }, found.length ? `${tcpspec.counted(found.length, "behaviour")} of which documents cannot all be right, and whom each target bears out.` : "No documents contradict each other in what was observed."),
        ...found.map(contradiction)];
    },
  };

  tcpspec.views.coverage = {
    label: "Coverage",
    when: () => tcpspec.core.claims.some((one) => one.status),
    show: async (given) => {
      const { coverage } = await tcpspec.load("knowledge");
      const states = [...new Set(coverage.map((one) => one.status))];
      const order = tcpspec.core.documents.map((one) => one.id);
      const rows = [...tcpspec.group(coverage, (one) => one.document)].sort(([one], [other]) => order.indexOf(one) - order.indexOf(other));
      const fits = coverage.filter((one) => (!given.status || one.status === given.status) && (!given.document || one.document === given.document));
      const link = (parameters, number) => (number ? h("a", { href: tcpspec.address("coverage", parameters) }, number) : "");
      return [h("h1", {}, "Coverage"), h("p", { class: "lead" }, "Which claims a testcase judges, and why the others are not judged."),
        tcpspec.table(["document", ["claims"], ...states.map((one) => [one])], [...rows, ["", coverage]].map(([id, members]) => h("tr", {},
          h("th", { scope: "row" }, id ? tcpspec.core.documentOf.get(id)?.title ?? id : "all"), h("td", { class: "number" }, link({ document: id }, members.length)),
          states.map((status) => h("td", { class: "number" }, link({ document: id, status }, members.filter((one) => one.status === status).length))))), { caption: "Claims by document" }),
        given.status || given.document ? h("section", { class: "panel" },
          h("h2", {}, [given.document, given.status].filter(Boolean).join(": ")),
          tcpspec.table(["claim", "status", "testcases, or why there is none"], fits.map((one) => h("tr", {},
            h("th", { scope: "row" }, claimLink(one.claim)), h("td", {}, one.status),
            h("td", {}, one.why ? h("div", {}, one.why) : null,
              Object.entries(one.testcases).map(([measure, names]) => h("div", {}, measureLink(measure), ": ", names.map(tcpspec.short).join("; ")))))), { caption: "Claims" })) : null,
      ].filter(Boolean);
    },
  };

  tcpspec.views.ledger = {
    label: "Ledger",
    show: async (given) => {
      const { ledger } = await tcpspec.load("knowledge");
      const stacks = [...new Set(ledger.map((one) => one.stack))];
      const fits = ledger.filter((one) => (!given.stack || one.stack === given.stack) && (!given.seen || one.targets.length));
      const go = (changes) => { location.hash = tcpspec.address("ledger", { ...given, ...changes }); };
      return [h("h1", {}, "Ledger"), h("p", { class: "lead" }, "Deviations that are known, each with its reason and its reference, and where these runs show them."),
        h("form", { class: "filters", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
          tcpspec.chooser("Stack", [["", "all"], ...stacks.map((one) => [one, one])], given.stack ?? "", (stack) => go({ stack })),
          tcpspec.tick("seen in these runs", Boolean(given.seen), (seen) => go({ seen }))),
        ...[...tcpspec.group(fits, (one) => `${one.stack}\n${one.reason}`).values()].map((entries) => h("section", { class: "panel" },
          h("h2", {}, entries[0].reason), h("p", { class: "quiet" }, `${entries[0].stack} ${entries[0].versions} · ${entries[0].reference}`),
          h("ul", { class: "plain" }, entries.map((one) => h("li", {}, claimLink(one.claim), " ", measureLink(one.measure), " ",
            one.targets.length ? h("span", {}, tcpspec.mark("known", `seen on ${one.targets.join(", ")}`)) : h("span", { class: "quiet" }, "not seen in these runs"))))))];
    },
  };
})();

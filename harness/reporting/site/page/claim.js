// Claim: one statement of a document, what follows from it, and what every target did.
"use strict";

(() => {
  const h = tcpspec.element;

  // Families and testcases that show the same are one row.
  tcpspec.merged = (verdicts) => [...tcpspec.group(verdicts, (one) =>
    [one.column.place, one.claim.id, one.measure.name, one.kind, one.documented, one.reason, one.observed.replace(/\d+(\.\d+)?/g, "#")].join("\n")).values()];

  tcpspec.stories = (members) => {
    const links = members.map((one) => [tcpspec.storyAddress(one), one]).filter(([address]) => address);
    if (!links.length) return h("span", { class: "quiet" }, "no sequence");
    return h("ul", { class: "plain" }, [...tcpspec.group(links, ([, one]) => one.testcase)].map(([testcase, pairs]) =>
      h("li", {}, h("span", { class: "case" }, tcpspec.short(testcase)), " ", pairs.map(([address, one]) =>
        [h("a", { href: address, "aria-label": `${one.family || "sequence"}: ${tcpspec.short(testcase)} on ${one.column.name}` }, one.family || "sequence"), " "]))));
  };

  tcpspec.observed = (one) => [
    h("span", { class: "mono" }, one.observed || "—"),
    one.reason ? h("div", { class: "reason" }, one.reason) : null,
  ];

  const measure = (claim, name, verdicts, expectation, anchors) => {
    const of = tcpspec.core.measureOf.get(name);
    return h("section", { class: "panel" },
      h("h2", {}, h("a", { href: tcpspec.address("behaviour", { measure: name }) }, name)),
      h("p", { class: "quiet" }, of?.observes ?? ""),
      expectation ? h("p", {}, h("span", { class: "label" }, "expected"), " ", h("span", { class: "mono" }, expectation)) : null,
      verdicts.length ? tcpspec.table(["target", "verdict", "observed", "documented", "testcase"],
        tcpspec.merged(verdicts).map((members) => {
          const one = members[0];
          // A cell of the matrix leads to what it shows: the worst that a target did.
          const anchor = anchors.get(one.column) === one.kind;
          if (anchor) anchors.delete(one.column);
          return h("tr", { id: anchor ? `on-${one.column.name}` : null },
            h("th", { scope: "row" }, one.column.name), h("td", {}, tcpspec.mark(one.kind)),
            h("td", {}, tcpspec.observed(one)), h("td", { class: "mono" }, one.documented), h("td", {}, tcpspec.stories(members)));
        }), { caption: `Observations of ${name}` }) : h("p", { class: "quiet" }, "not judged in these runs"));
  };

  tcpspec.views.claim = {
    show: ({ id }) => {
      const claim = tcpspec.core.claimOf.get(id);
      if (!claim) throw new Error(`There is no claim ${id} in these runs.`);
      const document_ = tcpspec.core.documentOf.get(claim.document);
      const groups = tcpspec.group(claim.verdicts, (one) => one.measure.name);
      const anchors = new Map([...tcpspec.group(claim.verdicts, (one) => one.column)].map(([column, members]) => [column, tcpspec.worst(members)]));
      const names = [...new Set([...Object.keys(claim.expects), ...groups.keys()])];
      return [
        h("h1", {}, claim.id, " ", claim.strength ? h("span", { class: "strength" }, claim.strength) : null),
        h("blockquote", {}, claim.says),
        h("p", { class: "quiet" }, document_?.title ?? claim.document, claim.place ? `, ${claim.place}` : "", claim.url ? [" · ", tcpspec.outside(claim.url, "read it there")] : null,
          claim.topic ? [" · ", h("a", { href: tcpspec.address("matrix", { topic: claim.topic }) }, claim.topic)] : null),
        claim.why ? h("p", { class: "notice" }, `${claim.status}: ${claim.why}`) : null,
        names.map((name) => measure(claim, name, groups.get(name) ?? [], claim.expects[name], anchors)),
      ];
    },
  };
})();

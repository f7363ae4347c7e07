// Model: verdicts as objects, the words and signs for them, and cells of several.
"use strict";

(() => {
  const VERDICTS = ["conforms", "permitted", "deviates", "unsupported", "inconclusive"];
  const FAMILIES = ["", "ipv4", "ipv6"];
  const BINDING = 1;
  const KNOWN = 2;

  // From what says most against a target to what says nothing.
  const KINDS = {
    deviates: { sign: "✗", words: "deviates", about: "a binding document is not followed" },
    known: { sign: "◆", words: "known deviation", about: "the ledger has it, with a reason" },
    informative: { sign: "△", words: "informative deviation", about: "the document does not bind this target" },
    inconclusive: { sign: "?", words: "inconclusive", about: "it could not be measured well enough" },
    permitted: { sign: "○", words: "permitted", about: "a SHOULD not followed, a MAY declined" },
    conforms: { sign: "✓", words: "conforms", about: "as documented" },
    unsupported: { sign: "–", words: "unsupported", about: "the target or the run's settings lack what it needs" },
  };
  const RANK = Object.fromEntries(Object.keys(KINDS).map((kind, place) => [kind, place]));
  Object.assign(tcpspec, { KINDS, RANK, VERDICTS });

  const kindOf = (verdict, flags) => {
    if (verdict !== "deviates") return verdict;
    if (flags & KNOWN) return "known";
    return flags & BINDING ? "deviates" : "informative";
  };

  tcpspec.prepare = (core) => {
    const table = core.verdicts;
    core.claims = core.claims.map(([id, document, strength, topic, place, url, says, status, why, expects]) =>
      ({ id, document, strength, topic, place, url, says, status, why, expects, verdicts: [] }));
    core.measures = core.measures.map(([name, kind, topic, observes]) => ({ name, kind, topic, observes, verdicts: [] }));
    const order = new Map(core.documents.map((one, place) => [one.id, place]));
    core.ordered = [...core.claims].sort((one, other) => order.get(one.document) - order.get(other.document));
    core.claimOf = new Map(core.claims.map((one) => [one.id, one]));
    core.measureOf = new Map(core.measures.map((one) => [one.name, one]));
    core.documentOf = new Map(core.documents.map((one) => [one.id, one]));
    core.columns.forEach((column, place) => Object.assign(column, { place, counts: {}, total: 0 }));
    core.latest = core.columns.filter((one) => !one.older);
    core.all = (table.claim ?? []).map((claim, at) => {
      const verdict = VERDICTS[table.verdict[at]];
      const one = {
        claim: core.claims[claim], measure: core.measures[table.measure[at]],
        testcase: core.testcases[table.testcase[at]], column: core.columns[table.column[at]],
        family: FAMILIES[table.family[at]], verdict, binding: Boolean(table.flags[at] & BINDING),
        kind: kindOf(verdict, table.flags[at]), documented: core.texts[table.documented[at]],
        observed: core.texts[table.observed[at]], reason: core.texts[table.reason[at]],
        noise: table.noise[at], attempt: table.attempt[at],
      };
      one.column.counts[one.kind] = (one.column.counts[one.kind] ?? 0) + 1;
      one.column.total += 1;
      if (!one.column.older) {
        one.claim.verdicts.push(one);
        one.measure.verdicts.push(one);
      }
      return one;
    });
    return core;
  };

  // What a verdict is about, whoever the target and whichever the run.
  tcpspec.subject = (one) => [one.claim.id, one.measure.name, one.testcase, one.family, one.column.name].join("\n");

  tcpspec.worst = (verdicts) => verdicts.reduce((worst, one) =>
    worst === null || RANK[one.kind] < RANK[worst] ? one.kind : worst, null);

  tcpspec.tally = (verdicts) => {
    const counts = {};
    for (const one of verdicts) counts[one.kind] = (counts[one.kind] ?? 0) + 1;
    return Object.keys(KINDS).filter((kind) => counts[kind]).map((kind) => [kind, counts[kind]]);
  };

  tcpspec.mark = (kind, extra = "") => tcpspec.element("span", { class: `mark ${kind}` },
    tcpspec.element("span", { class: "sign", "aria-hidden": "true" }, KINDS[kind].sign), " ", extra || KINDS[kind].words);

  tcpspec.bar = (tally, total, label) => tcpspec.element("div", { class: "bar", role: "img", "aria-label": label },
    tally.map(([kind, count]) => tcpspec.element("span", {
      class: `part ${kind}`, style: `flex-grow:${count}`, title: `${KINDS[kind].words}: ${count}`,
    })));

  tcpspec.group = (things, key) => {
    const groups = new Map();
    for (const thing of things) {
      const name = key(thing);
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(thing);
    }
    return groups;
  };

  tcpspec.storyAddress = (one) => one.testcase in tcpspec.core.stories
    ? tcpspec.address("testcase", { name: one.testcase, show: `${one.column.name}${one.family ? `/${one.family}` : ""}` })
    : null;

  tcpspec.short = (testcase) => testcase.replace(/^.*::test_/, "").replaceAll("_", " ");
})();

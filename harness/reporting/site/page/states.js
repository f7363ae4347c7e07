// States: what each kind of segment does in each state, on every target.
"use strict";

(() => {
  const h = tcpspec.element;
  const KINDS = ["SYN", "SYN-ACK", "SYN-FIN", "ACK", "FIN", "FIN-ACK", "RST", "RST-ACK", "data", "no flags", "all flags"];

  const kindOf = (cell) => KINDS.filter((kind) => cell === kind || cell.startsWith(`${kind} `) || cell.startsWith(`${kind},`))
    .sort((one, other) => other.length - one.length)[0] ?? "other";
  // matrix_fin_wait_1_close is FIN-WAIT-1, by close().
  const wordsOf = (measure) => {
    const [, state, how] = /^matrix_(.*?)(?:_(active|passive|close|shutdown))?$/.exec(measure) ?? ["", measure, ""];
    const by = { active: ", active open", passive: ", passive open", close: ", close()", shutdown: ", shutdown()" };
    return `${state.toUpperCase().replaceAll("_", "-")}${by[how] ?? ""}`;
  };
  const flagsOf = (done) => (done.startsWith("nothing") ? "∅" : done.split(/[ ,]/)[0]);

  const overview = (data, column, chosen) => tcpspec.table(["state", ...KINDS],
    Object.entries(data.measures).map(([measure, cells]) => {
      const kinds = tcpspec.group(Object.entries(cells), ([cell]) => kindOf(cell));
      return h("tr", { class: measure === chosen.state ? "chosen" : null },
        h("th", { scope: "row" }, h("a", { href: tcpspec.address("states", { ...chosen, state: measure, kind: "" }) }, wordsOf(measure))),
        KINDS.map((kind) => {
          const members = kinds.get(kind) ?? [];
          const answers = new Set();
          let differ = false;
          for (const [, done] of members) {
            const texts = Object.entries(done);
            texts.filter(([key]) => Number(key.split(" ")[0]) === column.place).forEach(([, text]) => answers.add(flagsOf(data.texts[text])));
            const plain = new Set(texts.map(([, text]) => data.texts[text].replace(/\d+/g, "#").replace(/<.*?>/g, "")));
            differ ||= plain.size > 1;
          }
          const words = [...answers].join(" ");
          return h("td", { class: `answers ${differ ? "differ" : ""}` }, words
            ? h("a", { href: tcpspec.address("states", { ...chosen, state: measure, kind }), title: differ ? "targets, or families, differ" : "all the same" }, words, differ ? h("span", { class: "sign" }, " ≠") : null)
            : h("span", { class: "unseen" }, "not judged"));
        }));
    }), { class: "states", caption: "States and segments" });

  const detail = (data, measure, kind) => {
    const core = tcpspec.core;
    const cells = Object.entries(data.measures[measure]).filter(([cell]) => !kind || kindOf(cell) === kind);
    const columns = core.latest.filter((column) => cells.some(([, done]) => Object.keys(done).some((key) => Number(key.split(" ")[0]) === column.place)));
    const verdicts = core.measureOf.get(measure)?.verdicts ?? [];
    return h("section", { class: "panel", id: "detail" },
      h("h2", {}, `${wordsOf(measure)}${kind ? `: ${kind}` : ""}`),
      h("p", {}, h("a", { href: tcpspec.address("behaviour", { measure }) }, "what documents expect, and the sequences")),
      tcpspec.table(["segment", ...columns.map((one) => one.name)], cells.map(([cell, done]) => {
        const said = columns.map((column) => [...new Set(Object.entries(done).filter(([key]) => Number(key.split(" ")[0]) === column.place).map(([, text]) => data.texts[text]))]);
        const plain = new Set(said.flat().map((text) => text.replace(/<.*?>/g, "")));
        return h("tr", { class: plain.size > 1 ? "differ" : null }, h("th", { scope: "row" }, cell),
          said.map((texts) => h("td", { class: "mono" }, texts.map((text) => h("div", {}, text)))));
      }), { caption: `Cells of ${wordsOf(measure)}` }),
      h("ul", { class: "plain" }, tcpspec.merged(verdicts.filter((one) => one.kind === "deviates" || one.kind === "known")).map(([one]) =>
        h("li", {}, tcpspec.mark(one.kind), " ", h("a", { href: tcpspec.address("claim", { id: one.claim.id }) }, one.claim.id), ` on ${one.column.name}: `, tcpspec.observed(one)))));
  };

  tcpspec.views.states = {
    label: "States",
    when: () => tcpspec.core.measures.some((one) => one.kind === "cells" && one.verdicts.length),
    show: async (given) => {
      const core = tcpspec.core;
      const data = await tcpspec.load("states");
      const column = core.latest.find((one) => one.name === given.target) ?? core.latest[0];
      const chosen = { target: column.name, state: given.state in data.measures ? given.state : "", kind: given.kind ?? "" };
      return [
        h("h1", {}, "States and segments"),
        h("p", { class: "lead" }, "Each kind of segment in each state: the flags of what was answered at once, ∅ for nothing. ≠ marks what targets do differently."),
        h("form", { class: "filters", "aria-label": "Target", onsubmit: (event) => event.preventDefault() },
          tcpspec.chooser("Target", core.latest.map((one) => [one.name, one.name]), column.name, (target) => { location.hash = tcpspec.address("states", { ...chosen, target }); })),
        overview(data, column, chosen),
        chosen.state ? detail(data, chosen.state, chosen.kind) : null,
      ].filter(Boolean);
    },
  };
})();

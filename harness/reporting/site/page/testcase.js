// Testcase: one testcase as it went on one target, or on several beside each other.
"use strict";

(() => {
  const h = tcpspec.element;

  const one = (story, column, family, testcase) => {
    const verdicts = tcpspec.core.all.filter((each) => each.column === column && each.family === family && each.testcase === testcase);
    const name = `${column.name}${family ? ` (${family})` : ""}`;
    return h("section", { class: "panel story" },
      h("h2", {}, name, h("span", { class: "quiet" }, ` ${column.stack}`)),
      story.trouble ? h("p", { class: "notice" }, story.trouble) : null,
      story.scene ? tcpspec.draw(story.scene) : h("p", { class: "notice" }, "This run kept no timeline of it."),
      story.scene ? h("p", { class: "quiet caption" }, "Time runs downwards, in seconds. States follow from what passed; “is in” was seen in the state table.") : null,
      h("p", { class: "tools" }, story.pcap ? h("a", { class: "button", href: story.pcap, download: "" }, "Download the pcap") : h("span", { class: "quiet" }, "no pcap")),
      story.events ? h("details", {}, h("summary", {}, "As text"), h("pre", { tabindex: "0" },
        story.events.map(([at, direction, text]) => `${at.toFixed(4).padStart(12)} ${direction} ${text}`).join("\n"))) : null,
      tcpspec.table(["claim", "verdict", "observed", "documented", "measure"], verdicts.map((each) => h("tr", {},
        h("th", { scope: "row" }, h("a", { class: "id", href: tcpspec.address("claim", { id: each.claim.id }) }, each.claim.id)),
        h("td", {}, tcpspec.mark(each.kind)), h("td", {}, tcpspec.observed(each)), h("td", { class: "mono" }, each.documented),
        h("td", {}, h("a", { href: tcpspec.address("behaviour", { measure: each.measure.name }) }, each.measure.name)))), { caption: `Verdicts on ${name}` }),
      h("p", { class: "quiet" }, "again: ", h("code", {}, `pytest '${story.testcase}' --target ${column.name}`)));
  };

  tcpspec.views.testcase = {
    show: async ({ name, show = "" }) => {
      const core = tcpspec.core;
      const chunk = core.stories[name];
      if (!chunk) throw new Error(`There is no testcase ${name} in these runs.`);
      const stories = (await tcpspec.load(chunk))[name];
      const all = Object.entries(stories).map(([key, story]) => {
        const [place, family = ""] = key.split(" ");
        const column = core.columns[Number(place)];
        return { story, column, family, label: `${column.name}${family ? `/${family}` : ""}` };
      });
      const wanted = show.split(",").filter((label) => all.some((each) => each.label === label));
      const shown = all.filter((each) => (wanted.length ? wanted.includes(each.label) : each === all[0]));
      const behaviour = all.map((each) => each.story.behaviour).find(Boolean) ?? tcpspec.short(name);
      return [
        h("h1", {}, behaviour), h("p", { class: "quiet mono" }, name),
        h("form", { class: "filters", "aria-label": "Show", onsubmit: (event) => event.preventDefault() },
          h("span", { class: "label" }, "on"), all.map((each) => tcpspec.tick(each.label, shown.includes(each), (on) => {
            const labels = shown.map((other) => other.label).filter((label) => label !== each.label);
            if (on) labels.push(each.label);
            location.hash = tcpspec.address("testcase", { name, show: labels.join(",") });
          }))),
        h("div", { class: shown.length > 1 ? "beside" : "" }, shown.map((each) => one(each.story, each.column, each.family, name))),
      ];
    },
  };
})();

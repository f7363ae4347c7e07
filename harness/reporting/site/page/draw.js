// Draw: a scene of plain marks as SVG; where marks stand is the builder's matter.
"use strict";

(() => {
  const SPACE = "http://www.w3.org/2000/svg";
  const ANCHORS = { s: "start", m: "middle", e: "end" };

  const make = (tag, attributes, says) => {
    const made = document.createElementNS(SPACE, tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (says) made.append(Object.assign(document.createElementNS(SPACE, "title"), { textContent: says }));
    return made;
  };

  const head = (x1, x2, y) => {
    const back = x2 > x1 ? x2 - 9 : x2 + 9;
    return `${x2},${y} ${back},${y - 4} ${back},${y + 4}`;
  };

  const drawers = {
    l: (kind, x1, y1, x2, y2) => {
      if (!kind.split(" ").includes("arrow")) return make("line", { class: kind, x1, y1, x2, y2 });
      const group = make("g", { class: kind });
      group.append(make("line", { x1, y1, x2, y2 }), make("polygon", { class: "head", points: head(x1, x2, y2) }));
      return group;
    },
    t: (kind, x, y, text, anchor) => Object.assign(
      make("text", { class: kind, x, y, "text-anchor": ANCHORS[anchor] }), { textContent: text }),
    r: (kind, x, y, width, height, says) => make("rect", { class: kind, x, y, width, height, rx: 2 }, says),
    d: (kind, x, y, says) => make("circle", { class: kind, cx: x, cy: y, r: 4.5 }, says),
    p: (kind, points) => make("polyline", { class: kind, points: points.join(" "), fill: "none" }),
  };

  tcpspec.draw = (scene) => {
    const [width, height] = scene.size;
    const picture = make("svg", {
      class: "picture", viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
      "aria-label": `${scene.title}: ${scene.says}`,
    });
    picture.append(...scene.marks.map(([type, ...rest]) => drawers[type](...rest)));
    return tcpspec.element("div", { class: "drawing scroll", tabindex: "0", role: "region", "aria-label": scene.title }, picture);
  };
})();

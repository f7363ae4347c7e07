// Base: loading data from beside the page, building elements, and addresses of views.
"use strict";

const tcpspec = { views: {}, core: null };

(() => {
  const waiting = new Map();

  // A page from a disk may not fetch; it may load a script, and that brings the data.
  tcpspec.load = (name) => {
    if (!waiting.has(name)) {
      const one = {};
      one.promise = new Promise((resolve, reject) => Object.assign(one, { resolve, reject }));
      waiting.set(name, one);
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onerror = () => one.reject(new Error(`data/${name}.js cannot be read`));
      document.head.append(script);
    }
    return waiting.get(name).promise;
  };

  tcpspec.arrived = async (name, packed) => {
    const one = waiting.get(name);
    if (!one) return;
    try {
      const octets = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
      const stream = new Blob([octets]).stream().pipeThrough(new DecompressionStream("gzip"));
      one.resolve(JSON.parse(await new Response(stream).text()));
    } catch (error) {
      one.reject(error);
    }
  };

  // Text only ever becomes text: nothing that a run says is read as markup.
  tcpspec.element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
    return made;
  };

  tcpspec.address = (view, parameters = {}) => {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(parameters)) {
      if (value !== "" && value !== null && value !== undefined && value !== false) query.set(key, value);
    }
    const text = query.toString();
    return `#/${view}${text ? `?${text}` : ""}`;
  };

  tcpspec.here = () => {
    const [, view = "", query = ""] = /^#\/([\w-]*)(?:\?(.*))?$/.exec(location.hash) ?? [];
    return { view, parameters: Object.fromEntries(new URLSearchParams(query)) };
  };

  // Only addresses on the web become links: a document's address may be anything.
  tcpspec.outside = (url, text) => /^https?:\/\//.test(url)
    ? tcpspec.element("a", { href: url, rel: "noreferrer", class: "outside" }, text)
    : text;

  tcpspec.counted = (number, noun, plural = `${noun}s`) => `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`;

  tcpspec.table = (heads, rows, attributes = {}) => {
    const h = tcpspec.element;
    const { caption, ...rest } = attributes;
    return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption ?? "table" },
      h("table", rest,
        h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col", class: Array.isArray(head) ? "number" : null }, head)))),
        h("tbody", {}, rows)));
  };

  tcpspec.chooser = (label, choices, chosen, change) => {
    const h = tcpspec.element;
    const id = `field-${label.toLowerCase().replaceAll(" ", "-")}`;
    return h("div", { class: "field" }, h("label", { for: id }, label),
      h("select", { id, onchange: (event) => change(event.target.value) },
        choices.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
  };

  tcpspec.tick = (label, checked, change) => tcpspec.element("label", { class: "tick" },
    tcpspec.element("input", { type: "checkbox", checked, onchange: (event) => change(event.target.checked ? "1" : "") }),
    tcpspec.element("span", {}, label));

  tcpspec.finder = (label, text, change) => tcpspec.element("div", { class: "field finder" },
    tcpspec.element("label", { for: "field-find" }, label),
    tcpspec.element("input", { id: "field-find", type: "search", value: text ?? "", oninput: (event) => change(event.target.value) }));
})();

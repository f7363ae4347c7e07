// Start: the bar of views, and showing the one that the address names.
"use strict";

(() => {
  const h = tcpspec.element;
  const main = document.getElementById("main");
  let turn = 0;

  const bar = (current) => {
    const list = document.getElementById("views");
    const shown = Object.entries(tcpspec.views).filter(([, view]) => view.label && (!view.when || view.when()));
    list.replaceChildren(...shown.map(([name, view]) => h("li", {},
      h("a", { href: tcpspec.address(name), "aria-current": view.of?.includes(current) || name === current ? "page" : null }, view.label))));
  };

  const show = async () => {
    const mine = ++turn;
    const { view: named, parameters } = tcpspec.here();
    const name = named in tcpspec.views ? named : "matrix";
    const given = named ? parameters : tcpspec.core.home ?? {};
    bar(name);
    let content;
    try {
      content = await tcpspec.views[name].show(given);
    } catch (error) {
      content = [h("h1", {}, "This cannot be shown"), h("p", { class: "notice" }, error.message)];
    }
    if (mine !== turn) return;
    main.replaceChildren(...[content].flat(Infinity).filter(Boolean));
    const title = main.querySelector("h1")?.textContent ?? "";
    document.title = `${title} · ${tcpspec.core.title}`;
    const to = given.at && document.getElementById(given.at);
    if (to) to.scrollIntoView({ block: "center" });
    else window.scrollTo(0, 0);
    if (document.activeElement === document.body || !main.contains(document.activeElement)) main.focus({ preventScroll: true });
  };

  // A jump within the page would be taken for the address of a view.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });

  const begin = async () => {
    try {
      tcpspec.core = tcpspec.prepare(await tcpspec.load("core"));
    } catch (error) {
      main.replaceChildren(h("h1", {}, "The data cannot be read"), h("p", { class: "notice" }, error.message));
      return;
    }
    const runs = new Set(tcpspec.core.columns.map((one) => one.run));
    document.getElementById("foot").textContent =
      `${tcpspec.counted(tcpspec.core.all.length, "verdict")} of ${tcpspec.counted(runs.size, "run")}, ${tcpspec.core.columns[0].started}`;
    window.addEventListener("hashchange", (event) => {
      if (event.newURL.includes("#/") || !location.hash) show();
    });
    await show();
    document.documentElement.dataset.ready = "yes";
  };
  begin();
})();

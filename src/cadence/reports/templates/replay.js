"use strict";
(() => {
  const moments = JSON.parse(document.getElementById("moments").textContent);
  const byVersion = new Map(moments.flatMap((one, n) => (one.anothers ? [] : [[one.json.event.version, n]])));
  const byPlace = new Map(moments.map((one, n) => [one.place, n]));
  const $ = (id) => document.getElementById(id);
  const slider = $("slider"), panel = $("panel"), cursor = $("cursor"), halo = $("halo"), scroll = $("scroll");
  const sheet = $("sheet"), said = $("said");
  const marks = sheet.querySelectorAll(".mark"), buttons = document.querySelectorAll("[data-go]");
  let chosen = -1, zoom = 1, later = 0, row = null;

  // Text only: nothing of a history is ever read as markup.
  const el = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== "" && child != null));
    return made;
  };
  const visible = (text) =>
    text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (sign) => `\\x${sign.charCodeAt(0).toString(16).padStart(2, "0")}`);
  const own = (text) => el("bdi", {}, visible(text));
  const link = (version) =>
    byVersion.has(version) ? el("a", { href: `#row-${version}`, "data-n": byVersion.get(version) }, String(version)) : String(version);
  const joined = (nodes) => nodes.flatMap((node, n) => (n ? [", ", node] : [node]));
  const list = (title, name, items) =>
    items.length ? [el("h3", {}, title), el("ul", { class: name }, ...items.map((item) => el("li", {}, ...[item].flat())))] : [];

  const happened = (one) => {
    const { event } = one.json;
    return el("div", {},
      el("h3", {}, "What happened"),
      el("p", { class: "big" }, one.taken_back ? el("s", {}, own(one.type)) : own(one.type)),
      el("p", {}, one.taken_back ? el("s", {}, own(one.summary)) : own(one.summary)),
      ...list("Broke", "broke", one.broke ? [own(one.broke)] : []),
      ...list("Since then", "taken-back", one.taken_back ? [own(one.taken_back)] : []),
      el("p", { class: "meta" }, el("time", { datetime: event.occurred_at, title: one.occurred_utc }, one.occurred), ` · ${one.occurred_utc}`,
        one.recorded ? ` · recorded ${one.recorded}` : "", event.by ? " · by " : "", event.by ? own(event.by) : ""),
      ...list("Due and not done", "undone", one.undone.map(own)),
      ...list("Against its due time", "late", one.late ? [own(one.late)] : []),
      ...list("Gap", "gap", one.gap ? [own(one.gap)] : []),
      ...list("Had occurred, not yet recorded", "unknown", one.unknown.map(own)));
  };
  // A call has two forms: what is left on a machine, and what is said to a person.
  const said_by = (part) => {
    const by = part.form && part.form !== part.channel ? `${part.channel}, ${part.form}` : part.channel;
    return [
      el("h3", {}, `What to say (${by})`),
      el("blockquote", {}, part.subject ? el("p", { class: "subject" }, "Subject: ", own(part.subject)) : "", own(part.text)),
      ...(part.live ? [el("h3", {}, `What to say (${part.channel}, if they answer)`), el("blockquote", {}, own(part.live))] : [])];
  };
  const decided = (one) => {
    const { decision } = one.json;
    const says = (decision.touch ? decision.touch.parts : []).filter((part) => part.text);
    return el("div", {},
      el("h3", {}, "Then decided"),
      el("p", { class: `big verdict ${decision.decision}` }, one.next),
      el("p", {}, own(one.what)),
      decision.at ? el("p", { class: "meta" }, el("time", { datetime: decision.at }, one.at_utc)) : "",
      ...says.flatMap(said_by),
      ...list("Why", "reasons", decision.reasons.map((reason) => [
        el("code", {}, reason.rule), " ", own(reason.because),
        el("span", { class: "meta" }, ` (${reason.source}`,
          ...(reason.events.length ? ["; event ", ...joined(reason.events.map(link))] : []), ")")])),
      el("p", { class: "meta" }, `policy ${decision.policy.name} version ${decision.policy.version}, digest ${decision.policy.digest.slice(0, 12)}…`));
  };

  const choose = (n) => {
    n = Math.max(0, Math.min(moments.length - 1, n));
    if (n === chosen) return;
    const one = moments[n], { stage } = one.json;
    if (row) row.removeAttribute("aria-current");
    row = $(`row-${one.place}`);
    row.setAttribute("aria-current", "true");
    chosen = n;
    const brief = `Moment ${n + 1} of ${moments.length}: ${one.type}, ${one.occurred}. Stage ${stage}. ${one.next} ${one.what}`;
    slider.value = n + 1;
    slider.setAttribute("aria-valuetext", brief);
    if (document.activeElement !== slider) said.textContent = brief;
    cursor.style.left = `${one.x}%`;
    halo.style.left = marks[n].getAttribute("cx") ?? marks[n].getAttribute("x");
    halo.style.top = `${marks[n].getAttribute("cy") ?? marks[n].getAttribute("y")}px`;
    const lead = el("p", { class: "lead" }, el("span", {}, "moment ", el("b", {}, `${n + 1} of ${moments.length}`)),
      el("span", { class: "stages" }, "stage ", one.before && one.before !== stage ? `${one.before} → ` : "", el("b", {}, stage)),
      el("span", {}, `seen at ${one.seen}`));
    panel.replaceChildren(lead, happened(one), decided(one));
    for (const button of buttons) {
      const back = button.dataset.go === "first" || button.dataset.go === "previous";
      // Not "disabled", which would take the focus away under the finger.
      button.setAttribute("aria-disabled", String(back ? n === 0 : n === moments.length - 1));
    }
    show();
    // So that a link leads to the moment; not at every step of a drag.
    clearTimeout(later);
    later = setTimeout(() => history.replaceState(null, "", `#${one.place}`), 400);
  };
  const show = () => {
    const x = (moments[chosen].x / 100) * sheet.clientWidth;
    const room = scroll.clientWidth;
    if (x < scroll.scrollLeft + room * 0.1 || x > scroll.scrollLeft + room * 0.9) scroll.scrollLeft = x - room / 2;
  };
  const nextDecision = (from, by) => {
    let n = from + by;
    while (n > 0 && n < moments.length - 1 && !moments[n].changed) n += by;
    return n;
  };
  const go = {
    first: () => 0, previous: () => chosen - 1, next: () => chosen + 1, last: () => moments.length - 1,
    decision: () => nextDecision(chosen, 1), "decision before": () => nextDecision(chosen, -1),
  };
  const widen = () => { sheet.style.minWidth = `${Math.max(640, sheet.dataset.pixels * zoom)}px`; show(); };

  document.addEventListener("click", (click) => {
    const place = click.target.closest("[data-n], [data-go], [data-zoom]");
    if (!place) return;
    if (place.dataset.go) choose(go[place.dataset.go]());
    else if (place.dataset.zoom) { zoom = Math.max(0.25, Math.min(64, zoom * (place.dataset.zoom === "in" ? 2 : 0.5))); widen(); }
    else { click.preventDefault(); choose(Number(place.dataset.n)); }
  });
  slider.addEventListener("input", () => choose(slider.value - 1));
  document.addEventListener("keydown", (press) => {
    if (press.altKey || press.ctrlKey || press.metaKey || press.shiftKey) return;
    const inControls = press.target.closest("#controls, #scroll");
    const keys = { ArrowLeft: "previous", ArrowRight: "next", n: "decision", p: "decision before" };
    if (inControls) Object.assign(keys, { Home: "first", End: "last" });
    const where = keys[press.key];
    if (!where || (press.target === slider && press.key.length > 1)) return;
    press.preventDefault();
    choose(go[where]());
  });
  const fromHash = () => byPlace.get(location.hash.replace(/^#(row-)?/, ""));
  addEventListener("hashchange", () => { const n = fromHash(); if (n !== undefined) choose(n); });
  addEventListener("resize", show);

  for (const part of [$("controls"), $("zoom"), cursor, halo]) part.hidden = false;
  if (matchMedia("(max-width: 46rem)").matches) document.querySelector(".legend").open = false;
  choose(fromHash() ?? moments.length - 1);
})();

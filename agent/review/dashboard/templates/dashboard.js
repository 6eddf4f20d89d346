"use strict";
// Keeps the page up to date. idiomorph touches only what has changed: focus, scroll position, selected text, typed words
// and open details stay as the reader left them.
(() => {
  const RETRY = 2000;
  const campaign = document.body.dataset.campaign;
  const link = document.getElementById("link");

  const keep = {
    beforeAttributeUpdated: (name, node) => {
      if (name === "open") return !node.matches("details");
      if (name === "value") return !node.matches("input:not([type=hidden])");
      return name !== "hidden" || !node.matches(".patch, .group");
    },
  };

  // The element at the top of the window keeps its position, even if the page grows above it.
  const anchor = () => {
    for (const one of document.querySelectorAll("main section[id], details.patch")) {
      const box = one.getBoundingClientRect();
      if (box.height && box.bottom > 80) return one.id ? { id: one.id, top: box.top } : null;
    }
    return null;
  };
  const morph = (old, html) => {
    const place = scrollY > 0 ? anchor() : null;
    Idiomorph.morph(old, html, { morphStyle: "outerHTML", restoreFocus: true, callbacks: keep });
    const held = place && document.getElementById(place.id);
    if (held) scrollBy({ top: held.getBoundingClientRect().top - place.top, behavior: "instant" });
  };

  const listen = () => {
    const shown = {};
    let wanted = {}, busy = false, source = null, sleeping = 0;

    const fetchParts = async () => {
      if (busy) return;
      busy = true;
      try {
        for (;;) {
          const id = Object.keys(wanted).find((name) => wanted[name] !== shown[name]);
          if (id === undefined) break;
          const tag = wanted[id];
          const answer = await fetch(`part/${id}`);
          if (!answer.ok) break;
          const html = await answer.text();
          const old = document.getElementById(id);
          if (old) morph(old, html);
          shown[id] = tag;
          const filter = document.getElementById("filter");
          if (filter && (id === "patches" || id === "rejected")) filter.dispatchEvent(new Event("input"));
        }
      } catch { /* the stream fails too, and shows it */ }
      busy = false;
    };

    const connect = () => {
      source = new EventSource("events");
      source.addEventListener("open", () => { link.hidden = true; });
      source.addEventListener("now", (event) => {
        morph(document.getElementById("now"), JSON.parse(event.data).html);
      });
      source.addEventListener("report", (event) => {
        wanted = JSON.parse(event.data);
        fetchParts();
      });
      source.addEventListener("error", () => {
        link.hidden = false;
        if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY);
      });
    };
    // A browser allows six connections to one server: a hidden tab closes its own.
    const sleep = () => { source.close(); source = null; };
    document.addEventListener("visibilitychange", () => {
      clearTimeout(sleeping);
      if (document.hidden) sleeping = setTimeout(sleep, 60000);
      else if (source === null) connect();
    });
    addEventListener("pagehide", () => { if (source) source.close(); });
    connect();
  };

  const list = () => {
    setInterval(async () => {
      if (document.hidden) return;
      try {
        const answer = await fetch("/", { headers: { accept: "text/html" } });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById("campaigns");
        if (fresh) morph(document.getElementById("campaigns"), fresh.outerHTML);
      } catch { /* the next time */ }
    }, RETRY);
  };

  if (campaign) listen(); else list();
})();

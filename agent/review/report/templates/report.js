"use strict";
// The page is readable without this script, which adds the theme, the filter, tooltips, and opens the target of a link.
(() => {
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];
  const button = document.getElementById("theme");

  const recall = () => { try { return localStorage.getItem("ratchet-theme"); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem("ratchet-theme", theme); } catch { /* private mode */ } };
  const wear = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  let theme = themes.includes(recall()) ? recall() : "auto";
  wear(theme);
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    wear(theme);
    keep(theme);
  });

  // A link to a patch opens it, even if the filter hides it.
  const open = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    if (!target || !target.matches("details.patch")) return;
    if (target.hidden) document.getElementById("filter").reset();
    filter();
    target.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", open);
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a");
    const to = link && (link.getAttribute("href") || link.getAttribute("xlink:href"));
    if (to && to === location.hash) open();
  });

  const form = document.getElementById("filter");
  const filter = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fate = form.elements.fate.value;
    let shown = 0, all = 0;
    for (const patch of document.querySelectorAll("details.patch")) {
      const text = (patch.querySelector("summary").textContent + " " + patch.querySelector(".facts").textContent).toLowerCase();
      patch.hidden = !(words.every((word) => text.includes(word)) && (!fate || patch.dataset.fate === fate));
      all += 1;
      shown += patch.hidden ? 0 : 1;
    }
    for (const group of document.querySelectorAll(".group")) {
      group.hidden = !group.querySelector("details.patch:not([hidden])");
    }
    form.querySelector("output").textContent = `${shown} of ${all} shown`;
  };
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
  open();

  const tip = document.getElementById("tip");
  document.addEventListener("pointerover", (event) => {
    const mark = event.target.closest && event.target.closest("svg [aria-label]");
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.getAttribute("aria-label");
    const box = mark.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(box.right + 8, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(8, Math.min(box.top - tip.offsetHeight - 6, innerHeight - tip.offsetHeight - 8))}px`;
  });

  // Paper has nothing to click: print the accepted patches in full, then close them again.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("#patches details:not([open])")];
    opened.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
})();

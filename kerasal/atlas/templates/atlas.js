// What the pages can do beyond being read: light or dark, keys, and the stage on which a map is laid over its image.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  const remembered = {
    get: () => { try { return localStorage.getItem("atlas-theme"); } catch { return null; } },
    set: (theme) => { try { localStorage.setItem("atlas-theme", theme); } catch { /* a browser that keeps nothing */ } },
  };
  if (["light", "dark"].includes(remembered.get())) root.dataset.theme = remembered.get();

  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;

  function switchTheme() {
    root.dataset.theme = isDark() ? "light" : "dark";
    remembered.set(root.dataset.theme);
    nameTheme();
  }
  function nameTheme() {
    const button = document.getElementById("theme");
    if (button) button.textContent = isDark() ? "Light" : "Dark";
  }
  function tool(id, text, label, action) {
    const button = document.createElement("button");
    Object.assign(button, { id, type: "button", className: "tool", textContent: text, onclick: action });
    button.setAttribute("aria-label", label);
    document.querySelector("header.top").append(button);
  }

  // The stage: one image, one map over it, as strong as the slider says.
  function setOpacity(stage, value) {
    stage.style.setProperty("--opacity", value / 100);
    const output = stage.querySelector("output");
    if (output) output.textContent = `${Math.round(value)} %`;
  }
  function choose(stage, name) {
    const card = document.querySelector(`[data-method="${CSS.escape(name)}"]`);
    const source = card && card.querySelector(".over-source");
    if (!source) return;
    const over = stage.querySelector(".over");
    over.src = source.src;
    over.alt = source.alt;
    stage.querySelector("figcaption .method").textContent = name;
    stage.querySelector("select.methods").value = name;
    document.querySelectorAll(".method-card").forEach((one) => one.classList.toggle("chosen", one === card));
  }
  // The address tells the method, so that it can be copied; going back still leaves the page.
  function address(name) {
    try { history.replaceState(null, "", `#${encodeURIComponent(name)}`); } catch { /* a browser that forbids it for files */ }
  }
  function prepare(stage) {
    const slider = stage.querySelector('input[type="range"]');
    if (slider) {
      setOpacity(stage, slider.value);
      slider.addEventListener("input", () => setOpacity(stage, slider.value));
    }
    const boxes = stage.querySelector(".show-boxes");
    if (boxes) boxes.addEventListener("change", () => stage.classList.toggle("with-boxes", boxes.checked));
    const select = stage.querySelector("select.methods");
    if (!select) return;
    const cards = [...document.querySelectorAll("[data-method]")];
    cards.forEach((card) => {
      select.add(new Option(card.dataset.method, card.dataset.method));
      card.querySelector(".pair").addEventListener("click", () => {
        choose(stage, card.dataset.method);
        address(card.dataset.method);
        stage.scrollIntoView({ block: "nearest" });
      });
    });
    const first = stage.querySelector("figcaption .method").textContent;
    const asked = () => { try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; } };
    const named = (name) => cards.some((card) => card.dataset.method === name);
    choose(stage, named(asked()) ? asked() : first);
    select.addEventListener("change", () => { choose(stage, select.value); address(select.value); });
    addEventListener("hashchange", () => named(asked()) && choose(stage, asked()));
  }

  const KEYS = [
    ["← →", "the one before, the one after"],
    ["u", "up: from a unit to its layer, to the overview"],
    ["o", "overview"],
    ["m", "next method, on the page of an image"],
    ["[ ]", "less, more of the map over the image"],
    ["b", "boxes"],
    ["t", "light or dark"],
    ["?", "this list"],
  ];
  function help() {
    let dialog = document.querySelector("dialog");
    if (!dialog) {
      dialog = document.createElement("dialog");
      const title = document.createElement("h2");
      title.textContent = "Keys";
      const list = document.createElement("dl");
      KEYS.forEach(([keys, what]) => {
        const name = document.createElement("dt");
        keys.split(" ").forEach((key) => {
          const one = document.createElement("kbd");
          one.textContent = key;
          name.append(one, " ");
        });
        const text = document.createElement("dd");
        text.textContent = what;
        list.append(name, text);
      });
      const close = document.createElement("button");
      Object.assign(close, { type: "button", className: "tool", textContent: "Close", onclick: () => dialog.close() });
      dialog.append(title, list, close);
      document.body.append(dialog);
    }
    if (dialog.open) dialog.close(); else dialog.showModal();
  }
  function follow(relation) {
    const link = document.querySelector(`link[rel="${relation}"]`);
    if (link) location.href = link.href;
  }
  function nudge(by) {
    document.querySelectorAll('.stage input[type="range"]').forEach((slider) => {
      slider.value = Number(slider.value) + by;
      slider.dispatchEvent(new Event("input"));
    });
  }
  function nextMethod() {
    const select = document.querySelector("select.methods");
    if (!select) return;
    select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
    select.dispatchEvent(new Event("change"));
  }
  const ACTIONS = {
    ArrowLeft: () => follow("prev"),
    ArrowRight: () => follow("next"),
    u: () => follow("up"),
    o: () => follow("start"),
    m: nextMethod,
    "[": () => nudge(-10),
    "]": () => nudge(10),
    b: () => document.querySelector(".show-boxes")?.click(),
    t: switchTheme,
    "?": help,
  };
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in ACTIONS)) return;
    event.preventDefault();
    ACTIONS[event.key]();
  });

  addEventListener("DOMContentLoaded", () => {
    tool("theme", "", "Switch between light and dark", switchTheme);
    tool("keys", "Keys", "Show the keys", help);
    nameTheme();
    document.querySelectorAll(".stage").forEach(prepare);
  });
})();

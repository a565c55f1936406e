// Light and dark themes, keyboard shortcuts, and the figures with a map over an image and a slider for its opacity.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  const storedTheme = {
    get: () => { try { return localStorage.getItem("atlas-theme"); } catch { return null; } },
    set: (theme) => { try { localStorage.setItem("atlas-theme", theme); } catch { /* storage is disabled */ } },
  };
  if (["light", "dark"].includes(storedTheme.get())) root.dataset.theme = storedTheme.get();

  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;

  function switchTheme() {
    root.dataset.theme = isDark() ? "light" : "dark";
    storedTheme.set(root.dataset.theme);
    labelThemeButton();
  }
  function labelThemeButton() {
    const button = document.getElementById("theme");
    if (button) button.textContent = isDark() ? "Light" : "Dark";
  }
  function addButton(id, text, label, action) {
    const button = document.createElement("button");
    Object.assign(button, { id, type: "button", className: "tool", textContent: text, onclick: action });
    button.setAttribute("aria-label", label);
    document.querySelector("header.top").append(button);
  }

  // A stage is a figure with an image, a map over it, and a slider for the opacity of the map.
  function setOpacity(stage, value) {
    stage.style.setProperty("--opacity", value / 100);
    const output = stage.querySelector("output");
    if (output) output.textContent = `${Math.round(value)} %`;
  }
  function selectMethod(stage, name) {
    const card = document.querySelector(`[data-method="${CSS.escape(name)}"]`);
    const source = card && card.querySelector(".over-source");
    if (!source) return;
    const over = stage.querySelector(".over");
    over.src = source.src;
    over.alt = source.alt;
    stage.querySelector("figcaption .method").textContent = name;
    stage.querySelector("select.methods").value = name;
    document.querySelectorAll(".method-card").forEach((other) => other.classList.toggle("chosen", other === card));
  }
  // The URL has the method, so that it can be shared. The history is not changed, so that "back" leaves the page.
  function setAddress(name) {
    try { history.replaceState(null, "", `#${encodeURIComponent(name)}`); } catch { /* not allowed for local files in some browsers */ }
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
        selectMethod(stage, card.dataset.method);
        setAddress(card.dataset.method);
        stage.scrollIntoView({ block: "nearest" });
      });
    });
    const first = stage.querySelector("figcaption .method").textContent;
    const methodInAddress = () => { try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; } };
    const isMethod = (name) => cards.some((card) => card.dataset.method === name);
    selectMethod(stage, isMethod(methodInAddress()) ? methodInAddress() : first);
    select.addEventListener("change", () => { selectMethod(stage, select.value); setAddress(select.value); });
    addEventListener("hashchange", () => isMethod(methodInAddress()) && selectMethod(stage, methodInAddress()));
  }

  const KEYS = [
    ["← →", "previous, next"],
    ["u", "up: from a channel to its layer, from a layer to the overview"],
    ["o", "overview"],
    ["m", "next attribution method, on the page of an image"],
    ["[ ]", "decrease, increase the opacity of the map"],
    ["b", "show or hide boxes"],
    ["t", "light or dark theme"],
    ["?", "show this list"],
  ];
  function showHelp() {
    let dialog = document.querySelector("dialog");
    if (!dialog) {
      dialog = document.createElement("dialog");
      const title = document.createElement("h2");
      title.textContent = "Keyboard shortcuts";
      const list = document.createElement("dl");
      KEYS.forEach(([keys, what]) => {
        const name = document.createElement("dt");
        keys.split(" ").forEach((key) => {
          const element = document.createElement("kbd");
          element.textContent = key;
          name.append(element, " ");
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
  function changeOpacity(amount) {
    document.querySelectorAll('.stage input[type="range"]').forEach((slider) => {
      slider.value = Number(slider.value) + amount;
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
    "[": () => changeOpacity(-10),
    "]": () => changeOpacity(10),
    b: () => document.querySelector(".show-boxes")?.click(),
    t: switchTheme,
    "?": showHelp,
  };
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in ACTIONS)) return;
    event.preventDefault();
    ACTIONS[event.key]();
  });

  addEventListener("DOMContentLoaded", () => {
    addButton("theme", "", "Switch between the light and the dark theme", switchTheme);
    addButton("keys", "Keys", "Show all keyboard shortcuts", showHelp);
    labelThemeButton();
    document.querySelectorAll(".stage").forEach(prepare);
  });
})();

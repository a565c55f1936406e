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
  // The maps of a class: its Grad-CAM in the row of classes, and the cards of all methods if they are computed.
  const sourcesOf = (number) => [...document.querySelectorAll(`.method-card[data-class="${CSS.escape(number)}"], .class-card[data-class="${CSS.escape(number)}"]`)]
    .sort((one, other) => one.classList.contains("class-card") - other.classList.contains("class-card"));
  function selectMap(stage, number, name) {
    const classes = stage.querySelector("select.classes"), methods = stage.querySelector("select.methods");
    const sources = sourcesOf(number);
    const source = sources.find((card) => card.dataset.method === name) || sources.find((card) => card.dataset.method === "gradcam") || sources[0];
    classes.value = number;
    stage.classList.toggle("without-map", !source);
    const names = [...new Set(sources.map((card) => card.dataset.method))];
    methods.replaceChildren(...names.sort().map((method) => new Option(method, method)));
    document.querySelectorAll(".by-class").forEach((part) => part.classList.toggle("hidden", part.dataset.of !== number));
    if (!document.querySelector(".by-class:not(.hidden)")) document.querySelector(".by-class")?.classList.remove("hidden");
    document.querySelectorAll(".method-card").forEach((card) => card.classList.toggle("chosen", card === source));
    document.querySelectorAll(".class-card").forEach((card) => card.classList.toggle("chosen", card.dataset.class === number));
    if (!source) return;
    const over = stage.querySelector(".over"), map = source.querySelector(".over-source");
    over.src = map.src;
    over.alt = map.alt;
    stage.dataset.signed = source.dataset.signed;
    methods.value = source.dataset.method;
    stage.querySelector("figcaption .method").textContent = source.dataset.method;
    stage.querySelector("figcaption .class-name").textContent = classes.selectedOptions[0].textContent.replace(/ \([^()]*\)$/, "");
  }
  // The URL has the map, so that it can be shared. The history is not changed, so that "back" leaves the page.
  function setAddress(stage) {
    const classes = stage.querySelector("select.classes"), method = stage.querySelector("select.methods").value;
    const address = classes.selectedIndex ? `${method}-${classes.value}` : method;
    try { history.replaceState(null, "", `#${encodeURIComponent(address)}`); } catch { /* not allowed for local files in some browsers */ }
  }
  function readAddress(classes) {
    let address = "";
    try { address = decodeURIComponent(location.hash.slice(1)); } catch { /* not an address of this page */ }
    const [, name, number] = address.match(/^(.*?)(?:-(\d+))?$/);
    const target = [...classes.options].some((option) => option.value === number) ? number : classes.options[0].value;
    return sourcesOf(target).some((card) => card.dataset.method === name) ? [target, name] : null;
  }
  function prepare(stage) {
    const slider = stage.querySelector('input[type="range"]');
    if (slider) {
      setOpacity(stage, slider.value);
      slider.addEventListener("input", () => setOpacity(stage, slider.value));
    }
    const boxes = stage.querySelector(".show-boxes");
    if (boxes) boxes.addEventListener("change", () => stage.classList.toggle("with-boxes", boxes.checked));
    const classes = stage.querySelector("select.classes"), methods = stage.querySelector("select.methods");
    if (!classes) return;
    const choose = (number, name) => { selectMap(stage, number, name); setAddress(stage); };
    document.querySelectorAll(".method-card .pair, .class-card").forEach((picture) => {
      const card = picture.closest("[data-class]");
      picture.addEventListener("click", () => {
        choose(card.dataset.class, card.dataset.method);
        stage.scrollIntoView({ block: "nearest" });
      });
    });
    const first = stage.querySelector("figcaption .method").textContent;
    selectMap(stage, ...(readAddress(classes) || [classes.options[0].value, first]));
    classes.addEventListener("change", () => choose(classes.value, methods.value));
    methods.addEventListener("change", () => choose(classes.value, methods.value));
    addEventListener("hashchange", () => { const chosen = readAddress(classes); if (chosen) selectMap(stage, ...chosen); });
  }

  const KEYS = [
    ["← →", "previous, next"],
    ["u", "up: from a channel to its layer, from a layer to the overview"],
    ["o", "overview"],
    ["c", "next class, on the page of an image"],
    ["m", "next attribution method"],
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
  function selectNext(kind) {
    const select = document.querySelector(`select.${kind}`);
    if (!select) return;
    select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
    select.dispatchEvent(new Event("change"));
  }
  const ACTIONS = {
    ArrowLeft: () => follow("prev"),
    ArrowRight: () => follow("next"),
    u: () => follow("up"),
    o: () => follow("start"),
    c: () => selectNext("classes"),
    m: () => selectNext("methods"),
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

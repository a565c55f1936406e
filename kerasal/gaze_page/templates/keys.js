// Keyboard shortcuts with their list, and the light and the dark theme.

const KEYS = [
  ["f", "choose a photo", "open"],
  ["c", "start or stop the webcam", "camera"],
  ["b", "add a box", "add-box"],
  ["h", "show or hide the hotspots", "show-hotspots"],
  ["p", "save the picture", "save-picture"],
  ["m", "save the map", "save-map"],
  ["j", "save the numbers", "save-numbers"],
  ["t", "light or dark theme", "theme"],
];
const MORE = [
  ["v", "next view: heat, spotlight, map"],
  ["[ ]", "decrease, increase the strength of the colors"],
  ["← → ↑ ↓", "move the box in focus; with Shift, resize it"],
  ["Delete", "remove the box in focus"],
  ["?", "show this list"],
];

function changeStrength(amount) {
  const slider = document.getElementById("strength");
  slider.value = Number(slider.value) + amount;
  slider.dispatchEvent(new Event("input"));
}

function nextView() {
  const radios = [...document.querySelectorAll("[name=view]")];
  radios[(radios.findIndex((radio) => radio.checked) + 1) % radios.length].click();
}

function showHelp() {
  let dialog = document.querySelector("dialog");
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.setAttribute("aria-labelledby", "keys-title");
    const title = document.createElement("h2"), list = document.createElement("dl"), close = document.createElement("button");
    Object.assign(title, { id: "keys-title", textContent: "Keyboard shortcuts" });
    for (const [keys, what] of [...KEYS, ...MORE]) {
      const name = document.createElement("dt"), text = document.createElement("dd");
      keys.split(" ").forEach((key) => {
        const shown = document.createElement("kbd");
        shown.textContent = key;
        name.append(shown, " ");
      });
      text.textContent = what;
      list.append(name, text);
    }
    Object.assign(close, { type: "button", className: "tool", textContent: "Close", onclick: () => dialog.close() });
    dialog.append(title, list, close);
    document.body.append(dialog);
  }
  if (dialog.open) dialog.close(); else dialog.showModal();
}

export function listenForKeys() {
  const actions = Object.fromEntries(KEYS.map(([key, , id]) => [key, () => document.getElementById(id).click()]));
  Object.assign(actions, { v: nextView, "[": () => changeStrength(-10), "]": () => changeStrength(10), "?": showHelp });
  document.getElementById("keys").addEventListener("click", showHelp);
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input[type=text], dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  });
}

// The theme that was chosen is remembered; without a choice it is that of the system.
export function prepareTheme() {
  const root = document.documentElement, button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  try { root.dataset.theme = localStorage.getItem("gaze-page-theme") || ""; } catch { /* storage is disabled */ }
  if (!root.dataset.theme) delete root.dataset.theme;
  root.classList.add("js");
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("gaze-page-theme", root.dataset.theme); } catch { /* storage is disabled */ }
    name();
  });
  name();
}

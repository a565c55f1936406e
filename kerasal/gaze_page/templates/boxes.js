// Boxes on the photo: drawn with the pointer or added with a key, moved with arrows, named and listed with their shares.

import { formatShare } from "./drawing.js";

// Colors that people who are color-blind can tell apart (Okabe & Ito 2008).
const COLORS = ["#e69f00", "#56b4e9", "#cc79a7", "#009e73", "#f0e442", "#d55e00"];
const SMALLEST = 4;  // pixels on the screen; a shorter drag is a click

export class BoxEditor {
  // `layer` covers the picture, `list` has a row per box, `changed` is called after every change.
  constructor(layer, list, rest, changed) {
    Object.assign(this, { layer, list, rest, changed, boxes: [], count: 0, width: 0, height: 0 });
    layer.addEventListener("pointerdown", (event) => this.draw(event));
  }

  // Start with a photo of this size, without boxes.
  reset(width, height) {
    Object.assign(this, { width, height, count: 0 });
    this.boxes.forEach((box) => { box.element.remove(); box.row.remove(); });
    this.boxes = [];
    this.showShares(null);
  }

  get enabled() { return this.width > 0; }

  // Add a box of pixels of the photo, by default in its middle; return it.
  add(corners = this.middle()) {
    const number = this.count++, color = COLORS[number % COLORS.length];
    const letters = number < 26 ? String.fromCharCode(65 + number) : String(number + 1);
    const box = { name: `Box ${letters}`, color, share: null, ...this.clip(corners) };
    this.boxes.push(box);
    this.addElement(box);
    this.addRow(box);
    this.place(box);
    this.changed();
    return box;
  }

  middle() {
    const [width, height] = [this.width, this.height];
    return {
      x_min: Math.round(width * 0.35), y_min: Math.round(height * 0.35),
      x_max: Math.round(width * 0.65), y_max: Math.round(height * 0.65),
    };
  }

  clip({ x_min, y_min, x_max, y_max }) {
    const between = (value, low, high) => Math.min(Math.max(Math.round(value), low), high);
    const left = between(Math.min(x_min, x_max), 0, this.width - 1), top = between(Math.min(y_min, y_max), 0, this.height - 1);
    const right = between(Math.max(x_min, x_max), left + 1, this.width);
    const bottom = between(Math.max(y_min, y_max), top + 1, this.height);
    return { x_min: left, y_min: top, x_max: right, y_max: bottom };
  }

  remove(box) {
    const place = this.boxes.indexOf(box);
    this.boxes.splice(place, 1);
    box.element.remove();
    box.row.remove();
    const next = this.boxes[Math.min(place, this.boxes.length - 1)];
    (next ? next.element : document.getElementById("add-box")).focus();
    this.changed();
  }

  addElement(box) {
    const element = document.createElement("div");
    element.className = "box";
    element.tabIndex = 0;
    element.setAttribute("role", "group");
    element.style.setProperty("--class", box.color);
    const tag = document.createElement("span"), corner = document.createElement("i");
    tag.className = "tag";
    corner.className = "corner";
    element.append(tag, corner);
    element.addEventListener("keydown", (event) => this.press(event, box));
    element.addEventListener("pointerdown", (event) => this.drag(event, box, event.target === corner));
    box.element = element;
    this.layer.append(element);
  }

  addRow(box) {
    const row = document.createElement("li"), name = document.createElement("input");
    const share = document.createElement("output"), remove = document.createElement("button");
    const bar = document.createElement("span"), where = document.createElement("small");
    row.style.setProperty("--class", box.color);
    Object.assign(name, { type: "text", value: box.name, maxLength: 60, ariaLabel: `Name of ${box.name}` });
    Object.assign(remove, { type: "button", className: "remove", textContent: "×", title: "Remove this box" });
    remove.setAttribute("aria-label", `Remove ${box.name}`);
    bar.className = "bar";
    bar.append(document.createElement("span"));
    name.addEventListener("input", () => {
      box.name = name.value || name.defaultValue;
      remove.setAttribute("aria-label", `Remove ${box.name}`);
      this.label(box);
    });
    remove.addEventListener("click", () => this.remove(box));
    row.append(name, share, remove, bar, where);
    box.row = row;
    this.list.append(row);
  }

  place(box) {
    const percent = (value, whole) => `${(100 * value) / whole}%`;
    Object.assign(box.element.style, {
      left: percent(box.x_min, this.width), top: percent(box.y_min, this.height),
      width: percent(box.x_max - box.x_min, this.width), height: percent(box.y_max - box.y_min, this.height),
    });
    box.row.querySelector("small").textContent = `x ${box.x_min} to ${box.x_max}, y ${box.y_min} to ${box.y_max}`;
    this.label(box);
  }

  label(box) {
    const share = formatShare(box.share);
    box.element.querySelector(".tag").textContent = `${box.name}  ${share}`;
    box.element.classList.toggle("near-top", box.y_min < this.height * 0.08);
    box.element.setAttribute("aria-label", `${box.name}, ${share} of attention. Arrows move it, Shift and arrows resize it, Delete removes it.`);
    box.row.querySelector("output").textContent = share;
    box.row.querySelector(".bar span").style.width = `${Math.min(100 * box.share, 100)}%`;
  }

  // Show the answer of the model's thread, {shares, rest}, or nothing.
  showShares(answer) {
    this.restShare = answer ? answer.rest : null;
    this.boxes.forEach((box, number) => { box.share = answer ? answer.shares[number] : null; this.label(box); });
    this.rest.hidden = !this.boxes.length;
    this.rest.querySelector("output").textContent = answer ? formatShare(answer.rest) : "";
    this.rest.querySelector(".bar span").style.width = `${answer ? 100 * answer.rest : 0}%`;
  }

  move(box, corners) {
    Object.assign(box, this.clip(corners));
    this.place(box);
    this.changed();
  }

  press(event, box) {
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      this.remove(box);
      return;
    }
    const step = Math.max(1, Math.round(Math.max(this.width, this.height) / 100));
    const [x, y] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key] || [0, 0];
    if (!x && !y) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.shiftKey) {
      this.move(box, { ...box, x_max: Math.max(box.x_max + x, box.x_min + 1), y_max: Math.max(box.y_max + y, box.y_min + 1) });
    } else this.shift(box, box, x, y);
  }

  // Move a box by pixels from where it was, without leaving the photo.
  shift(box, { x_min, y_min, x_max, y_max }, x, y) {
    const across = Math.min(Math.max(x, -x_min), this.width - x_max), down = Math.min(Math.max(y, -y_min), this.height - y_max);
    this.move(box, { x_min: x_min + across, y_min: y_min + down, x_max: x_max + across, y_max: y_max + down });
  }

  position(event) {
    const { left, top, width, height } = this.layer.getBoundingClientRect();
    return [((event.clientX - left) * this.width) / width, ((event.clientY - top) * this.height) / height];
  }

  // Follow the pointer until it is released.
  follow(event, moved, released = () => {}) {
    const move = (next) => moved(...this.position(next));
    this.layer.setPointerCapture(event.pointerId);
    this.layer.addEventListener("pointermove", move);
    const stop = () => {
      this.layer.removeEventListener("pointermove", move);
      this.layer.removeEventListener("pointerup", stop);
      this.layer.removeEventListener("pointercancel", stop);
      released();
    };
    this.layer.addEventListener("pointerup", stop);
    this.layer.addEventListener("pointercancel", stop);
  }

  draw(event) {
    if (!this.enabled || event.button !== 0 || event.target !== this.layer) return;
    event.preventDefault();
    const [x, y] = this.position(event);
    let box = null;
    this.follow(event, (endX, endY) => {
      const corners = { x_min: x, y_min: y, x_max: endX, y_max: endY };
      const { width } = this.layer.getBoundingClientRect();
      const far = Math.min(Math.abs(endX - x), Math.abs(endY - y)) * (width / this.width) >= SMALLEST;
      if (box) this.move(box, corners);
      else if (far) box = this.add(corners);
    }, () => box?.element.focus({ preventScroll: true }));
  }

  drag(event, box, resize) {
    if (event.button !== 0) return;
    event.preventDefault();
    event.stopPropagation();
    box.element.focus({ preventScroll: true });
    const [x, y] = this.position(event), start = { ...box };
    this.follow(event, (endX, endY) => {
      if (resize) this.move(box, { ...start, x_max: Math.max(endX, start.x_min + 1), y_max: Math.max(endY, start.y_min + 1) });
      else this.shift(box, start, Math.round(endX - x), Math.round(endY - y));
    });
  }
}

// The page: where photos come from, what is shown of them, keys, themes and files to save.

import { BoxEditor } from "./boxes.js";
import { Camera } from "./camera.js";
import { drawPicture } from "./drawing.js";
import { Predictor, describeMissing, readPhoto } from "./predictor.js";
import { describeResult, saveMap, saveNumbers, savePicture } from "./saving.js";
import { listenForKeys, prepareTheme } from "./keys.js";

const SHOWN_SIDE = 1600, SMALLEST_SIDE = 880;  // pixels of the longer side of the picture on the page
const element = (id) => document.getElementById(id);
const look = { view: "heat", strength: 0.7, hotspots: true, colors: null };
let settings, predictor, editor, camera, photo = null, result = null, shown = null;

function tell(text) { element("status").textContent = text; }

function report(error) {
  element("problem").textContent = error.message;
  element("problem").hidden = false;
}

function clearProblem() { element("problem").hidden = true; }

function draw() {
  if (!shown) return;
  const picture = element("picture");
  drawPicture(picture, shown, result, look);
  const seen = result && result.hotspots.length ? `, ${describeHotspots()}` : "";
  picture.setAttribute("aria-label", `${photo ? photo.name : "Webcam"}: the photo with the predicted map${seen}`);
}

function describeHotspots() {
  const count = result.hotspots.length;
  return `${count} hotspot${count === 1 ? "" : "s"}`;
}

// Show a bitmap in the canvas: large photos are reduced to what a screen can show, and small ones are enlarged.
function mount(bitmap) {
  const picture = element("picture"), longest = Math.max(bitmap.width, bitmap.height);
  const scale = Math.min(SHOWN_SIDE / longest, Math.max(1, SMALLEST_SIDE / longest));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  if (picture.width !== width || picture.height !== height) Object.assign(picture, { width, height });
  const kept = new OffscreenCanvas(width, height);
  kept.getContext("2d").drawImage(bitmap, 0, 0, width, height);
  shown = kept;
  element("empty").hidden = true;
}

// The layer of the boxes lies exactly over the picture, whatever its size on the screen.
function fitLayer() {
  const { width, height } = element("picture").getBoundingClientRect();
  Object.assign(element("boxes").style, { width: `${width}px`, height: `${height}px` });
}

function showTimes({ milliseconds, seen }, live) {
  const line = (name, time) => [name, `${time < 9.95 ? time.toFixed(1) : Math.round(time)} ms`];
  const rows = [line("Model", milliseconds.model), line("Resizing the photo", milliseconds.resize)];
  if (!live) rows.push(line("Enlarging the map", milliseconds.map));
  rows.push(line("Prediction in all", milliseconds.predict));
  rows.push(["Seen by the model at", `${seen[1]} × ${seen[0]} pixels`]);
  element("times").replaceChildren(...rows.flatMap(([name, text]) => {
    const term = document.createElement("dt"), value = document.createElement("dd");
    term.textContent = name;
    value.textContent = text;
    return [term, value];
  }));
}

function showHotspots() {
  element("hotspots").replaceChildren(...result.hotspots.map(({ x, y, height }) => {
    const row = document.createElement("li"), where = document.createElement("span"), bar = document.createElement("span");
    where.className = "where";
    where.textContent = `x ${Math.round(x)}, y ${Math.round(y)}`;
    bar.textContent = `${Math.round(100 * height)} %`;
    bar.title = "Height of the peak, in percent of the highest";
    row.append(where, bar);
    return row;
  }));
}

async function predictPhoto(blob, name) {
  clearProblem();
  if (camera.on) await stopCamera(false);
  element("stage").classList.add("busy");
  try {
    const bitmap = await readPhoto(blob, name, settings);
    mount(bitmap);
    result = await predictor.predict(bitmap, { keep: true });
    photo = { blob, name };
    editor.reset(result.width, result.height);
    showHotspots();
    showTimes(result, false);
    ["save-picture", "save-map", "save-numbers"].forEach((id) => { element(id).disabled = false; });
    draw();
    fitLayer();
    tell(`${name}: ${result.width} × ${result.height} pixels, ${describeHotspots()}, predicted in ${Math.round(result.milliseconds.predict)} ms`);
  } catch (error) {
    report(error);
    if (photo) await redrawPhoto();
  } finally {
    element("stage").classList.remove("busy");
  }
}

async function redrawPhoto() {
  mount(await createImageBitmap(photo.blob, { colorSpaceConversion: "none" }));
  draw();
}

// The shares of the boxes; while one is dragged, only the last question counts.
let asking = false, again = false;
async function updateShares() {
  if (asking) { again = true; return; }
  asking = true;
  do {
    again = false;
    const boxes = editor.boxes.map(({ x_min, y_min, x_max, y_max }) => ({ x_min, y_min, x_max, y_max }));
    const answer = boxes.length && photo ? await predictor.shares(boxes) : null;
    if (!again && (!answer || answer.shares.length === editor.boxes.length)) editor.showShares(answer);
  } while (again);
  asking = false;
}

let recent = [];
async function showFrame(bitmap) {
  const start = performance.now(), copy = await createImageBitmap(bitmap);
  mount(copy);
  copy.close();
  result = await predictor.predict(bitmap, { live: true });
  draw();
  showHotspots();
  showTimes(result, true);
  recent = [...recent.slice(-9), performance.now() - start];
  const mean = recent.reduce((one, other) => one + other) / recent.length;
  tell(`Webcam: ${(1000 / mean).toFixed(1)} frames per second. Stop it to draw boxes and to save.`);
}

async function startCamera() {
  clearProblem();
  try {
    await camera.start();
  } catch (error) {
    report(error);
    return;
  }
  photo = null;
  recent = [];
  editor.reset(0, 0);
  markExample(null);
  ["save-picture", "save-map", "save-numbers"].forEach((id) => { element(id).disabled = true; });
  Object.assign(element("camera"), { textContent: "Stop the webcam", ariaPressed: "true" });
}

async function stopCamera(keep) {
  const blob = await camera.stop();
  Object.assign(element("camera"), { textContent: "Webcam", ariaPressed: "false" });
  if (keep && blob) await predictPhoto(blob, "webcam.png");
}

function markExample(button) {
  document.querySelectorAll(".example").forEach((other) => other.removeAttribute("aria-current"));
  button?.setAttribute("aria-current", "true");
}

async function openExample(button) {
  markExample(button);
  const response = await fetch(button.dataset.file);
  await predictPhoto(await response.blob(), button.dataset.name);
}

function openFile(files) {
  const [file] = files || [];
  if (!file) return;
  markExample(null);
  predictPhoto(file, file.name || "photo.png");
}

function listen() {
  const stage = element("stage");
  element("open").addEventListener("click", () => element("file").click());
  element("file").addEventListener("change", ({ target }) => { openFile(target.files); target.value = ""; });
  element("camera").addEventListener("click", () => (camera.on ? stopCamera(true) : startCamera()));
  document.querySelectorAll(".example").forEach((button) => button.addEventListener("click", () => openExample(button)));
  addEventListener("paste", ({ clipboardData }) => openFile(clipboardData?.files));
  addEventListener("dragover", (event) => { event.preventDefault(); stage.classList.add("over"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) stage.classList.remove("over"); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    stage.classList.remove("over");
    openFile(event.dataTransfer.files);
  });
  document.querySelectorAll("[name=view]").forEach((radio) => radio.addEventListener("change", () => { look.view = radio.value; draw(); }));
  element("strength").addEventListener("input", ({ target }) => {
    look.strength = target.value / 100;
    element("strength-value").textContent = `${target.value} %`;
    draw();
  });
  element("show-hotspots").addEventListener("change", ({ target }) => { look.hotspots = target.checked; draw(); });
  element("add-box").addEventListener("click", () => { if (editor.enabled) editor.add().element.focus(); });
  element("save-picture").addEventListener("click", () => savePicture(photo, result, editor.boxes, look).catch(report));
  element("save-map").addEventListener("click", async () => saveMap(photo, result, await predictor.map(), settings).catch(report));
  element("save-numbers").addEventListener("click", () => saveNumbers(photo, result, editor.boxes, editor.restShare, settings));
  new ResizeObserver(fitLayer).observe(element("picture"));
}

async function start() {
  element("blocked").hidden = true;
  prepareTheme();
  const missing = describeMissing();
  if (missing) throw new Error(missing);
  settings = await (await fetch("settings.json")).json();
  look.colors = settings.colors;
  const stops = settings.colors.heat.filter((_, place) => place % 15 === 0).map((color) => `rgb(${color.join(" ")})`);
  element("ramp").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  predictor = new Predictor(settings);
  editor = new BoxEditor(element("boxes"), element("box-list"), element("rest"), updateShares);
  camera = new Camera(showFrame);
  element("workspace").hidden = false;
  listen();
  listenForKeys();
  const { threads } = await predictor.load();
  tell("Ready.");
  // For other scripts and for tests: the prediction of a file, with the map of its own size.
  window.kerasalGaze = {
    settings, threads,
    predict: async (blob, name = "photo") => predictor.predict(await readPhoto(blob, name, settings)),
    describe: () => describeResult(photo, result, editor.boxes, editor.restShare, settings),
  };
  const first = document.querySelector(".example");
  if (first && !photo) await openExample(first);
}

start().catch((error) => {
  tell("");
  report(error);
});

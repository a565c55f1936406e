// The thread with the model, as functions that return promises; and what the browser must have for it.

// A module with one SIMD instruction: a browser without SIMD refuses it.
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

// Return a sentence on what this browser lacks, or an empty text.
export function describeMissing() {
  const remedy = "Update it, or use a current Chrome, Edge, Firefox or Safari (16.4 or later).";
  if (typeof WebAssembly !== "object") return `This browser has no WebAssembly, with which the model runs. ${remedy}`;
  if (!WebAssembly.validate(SIMD)) return `This browser has no WebAssembly SIMD, with which the model runs. ${remedy}`;
  if (typeof OffscreenCanvas !== "function") return `This browser has no OffscreenCanvas, with which photos are read. ${remedy}`;
  return "";
}

export class Predictor {
  constructor(settings) {
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.settings = settings;
    this.waiting = new Map();
    this.count = 0;
    this.worker.addEventListener("message", ({ data: { number, result, error } }) => {
      const { resolve, reject } = this.waiting.get(number);
      this.waiting.delete(number);
      if (error === undefined) resolve(result); else reject(new Error(error));
    });
    this.worker.addEventListener("error", (event) => {
      const error = new Error(event.message || "A file of this page could not be loaded.");
      this.waiting.forEach(({ reject }) => reject(error));
      this.waiting.clear();
    });
  }

  ask(action, options = {}, moved = []) {
    return new Promise((resolve, reject) => {
      this.waiting.set(++this.count, { resolve, reject });
      this.worker.postMessage({ number: this.count, action, options }, moved);
    });
  }

  load() { return this.ask("load", this.settings); }
  predict(bitmap, { live = false, keep = false } = {}) { return this.ask("predict", { bitmap, live, keep }, [bitmap]); }
  map() { return this.ask("map"); }
  shares(boxes) { return this.ask("shares", { boxes }); }
}

// Return a file as a bitmap: upright, and with the pixel values that the file has.
export async function readPhoto(blob, name, { narrow, max_pixels: maxPixels }) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${name} must be an image that this browser can read, such as JPEG, PNG or WebP, and is not.`);
  }
  const { width, height } = bitmap;
  const problem = describeShape(width, height, narrow, maxPixels);
  if (problem) {
    bitmap.close();
    throw new Error(`${name} has ${width} × ${height} pixels. ${problem}`);
  }
  return bitmap;
}

function describeShape(width, height, narrow, maxPixels) {
  if (Math.max(width, height) > narrow * Math.min(width, height)) {
    return `The longer side must be at most ${narrow} times the shorter one: in so narrow a strip the model sees nothing. Crop it.`;
  }
  if (width * height > maxPixels) return `At most ${maxPixels / 1e6} megapixels can be read. Make it smaller first.`;
  return "";
}

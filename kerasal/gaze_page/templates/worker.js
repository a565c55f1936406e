// The model, in a thread of its own: photos come in as bitmaps, maps go out.

import { InferenceSession, Tensor, env } from "../runtime/ort.wasm.bundle.min.mjs";
import { drawnMap, findHotspots, finishMap, shareAttention, summarize } from "./gaze_map.js";
import { resizePhoto, sizeLike } from "./photo_resize.js";

const DRAWN_SIDE = 320;  // pixels of the longer side of a drawn map, which the page enlarges
let settings, session, current;

async function load(options) {
  settings = options;
  env.wasm.wasmPaths = { wasm: new URL("../runtime/ort-wasm-simd-threaded.wasm", import.meta.url).href };
  // Threads need shared memory, which browsers give only to isolated pages.
  env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
  session = await InferenceSession.create(new URL("../model.onnx", import.meta.url).href, { executionProviders: ["wasm"] });
  for (const [width, height] of [[640, 480], [700, 500], [200, 150]]) {  // the first runs are slow: programs are compiled
    const blank = new OffscreenCanvas(width, height);
    blank.getContext("2d");
    await predict({ bitmap: blank.transferToImageBitmap() });
  }
  return { threads: env.wasm.numThreads };
}

async function run(pixels, height, width) {
  const feeds = { [session.inputNames[0]]: new Tensor("uint8", pixels, [1, height, width, 3]) };
  const output = (await session.run(feeds))[session.outputNames[0]];
  const [, rows, columns] = output.dims;
  return { cells: Float32Array.from(output.data), rows, columns };
}

// Transparent pixels are white, as in kerasal.images.read.
function readPixels(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height).data;
}

// With `live`, the map of the photo's own size is left out: only the drawn one is needed. With `keep`, later questions
// are about this photo; otherwise the answer has the map.
async function predict({ bitmap, live, keep }) {
  const { width, height } = bitmap, times = [performance.now()];
  const rgba = readPixels(bitmap);
  times.push(performance.now());
  const [seenHeight, seenWidth] = settings.size || sizeLike(height, width, settings);
  const pixels = resizePhoto(rgba, height, width, seenHeight, seenWidth);
  times.push(performance.now());
  const { cells, rows, columns } = await run(pixels, seenHeight, seenWidth);
  times.push(performance.now());
  const map = live ? null : finishMap(cells, rows, columns, height, width, settings);
  const hotspots = findHotspots(cells, rows, columns, height, width);
  times.push(performance.now());
  const drawn = drawnMap(cells, rows, columns, height, width, settings, DRAWN_SIDE);
  const [read, resize, model, finish] = times.slice(1).map((time, number) => time - times[number]);
  if (keep) current = { map, height, width };
  return {
    map: keep ? null : map, height, width, cells, rows, columns, hotspots, drawn,
    seen: [seenHeight, seenWidth],
    milliseconds: { read, resize, model, map: finish, predict: resize + model + finish },
  };
}

const ACTIONS = {
  load,
  predict,
  map: () => current.map,
  shares: ({ boxes }) => {
    current.summary ??= summarize(current.map);
    return shareAttention(current.map, current.height, current.width, boxes, current.summary);
  },
};

let queue = Promise.resolve();  // one at a time: the answers are those of the current photo
addEventListener("message", ({ data: { number, action, options } }) => {
  queue = queue.then(async () => {
    try {
      postMessage({ number, result: await ACTIONS[action](options) });
    } catch (error) {
      postMessage({ number, error: error.message || String(error) });
    }
  });
});

// Files to save: the picture, the map with 16 bits, and all numbers as JSON.

import { drawBoxes, drawPicture } from "./drawing.js";
import { range } from "./gaze_map.js";
import { encodeMap } from "./png.js";

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const stem = (name) => name.replace(/\.[^.]*$/, "");

// The picture as it is shown, in the resolution of the photo.
export async function savePicture(photo, result, boxes, look) {
  const bitmap = await createImageBitmap(photo.blob, { colorSpaceConversion: "none" });
  const canvas = new OffscreenCanvas(result.width, result.height);
  drawPicture(canvas, bitmap, result, look);
  bitmap.close();
  drawBoxes(canvas, boxes, 1);
  download(await canvas.convertToBlob({ type: "image/png" }), `${stem(photo.name)}-gaze.png`);
}

// The map from its lowest value, black, to its highest, white; maps that are 8 bits in the first place from 0 to 1.
export async function saveMap(photo, result, map, settings) {
  const limits = settings.postprocess === "examiners" ? [0, 1] : range(map);
  download(await encodeMap(map, result.height, result.width, limits), `${stem(photo.name)}-map.png`);
}

export function describeResult(photo, result, boxes, rest, settings) {
  const round = (value, digits) => Number(value.toFixed(digits));
  const { cells, rows, columns } = result;
  return {
    photo: photo.name,
    width: result.width,
    height: result.height,
    model: settings.name,
    made_with: `kerasal ${settings.version}, onnxruntime-web ${settings.runtime}`,
    seen_at: { height: result.seen[0], width: result.seen[1] },
    milliseconds: Object.fromEntries(Object.entries(result.milliseconds).map(([part, time]) => [part, round(time, 1)])),
    hotspots: result.hotspots.map(({ x, y, height }) => ({ x: round(x, 1), y: round(y, 1), height: round(height, 4) })),
    boxes: boxes.map(({ name, x_min, y_min, x_max, y_max, share }) => ({ name, x_min, y_min, x_max, y_max, share })),
    rest,
    cells: Array.from({ length: rows }, (_, row) => Array.from(cells.subarray(row * columns, (row + 1) * columns))),
  };
}

export function saveNumbers(photo, ...parts) {
  const text = JSON.stringify(describeResult(photo, ...parts), null, 1);
  download(new Blob([text], { type: "application/json" }), `${stem(photo.name)}-gaze.json`);
}

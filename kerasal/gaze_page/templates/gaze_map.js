// From the output of the model to the map of a photo, its hotspots and the shares of boxes: kerasal.gaze.predict.

import { resizeBytes, resizeMap } from "./map_resize.js";

const SMOOTH = 2;  // pixels; the blur of kerasal.gaze.resize_map with "examiners"
const LOWEST_SHARE = 1e-12;

// Return the smallest and the largest value; maps of large photos have millions.
export function range(values) {
  let low = Infinity, high = -Infinity;
  for (let place = 0; place < values.length; place++) {
    const value = values[place];
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

// Return the map, Float32Array (height, width), of the output of the model, cells of (rows, columns).
export function finishMap(cells, rows, columns, height, width, { log_density: density, postprocess }) {
  if (!cells.every(Number.isFinite)) throw new Error("The map of the model has values that are not finite.");
  if (postprocess === "examiners") return finishExaminers(cells, rows, columns, height, width);
  const map = resizeMap(cells, rows, columns, height, width);
  if (!density) return map;
  // Next to a peak, cubic interpolation undershoots all cells, even below 0.
  const [low] = range(cells), [, high] = range(map);
  for (let place = 0; place < map.length; place++) map[place] = Math.max(map[place], low) / high;
  return map;
}

function finishExaminers(cells, rows, columns, height, width) {
  const bytes = Uint8Array.from(cells, (value) => Math.min(Math.max(Math.trunc(value * 255), 0), 255));
  const enlarged = Float64Array.from(resizeBytes(bytes, rows, columns, height, width), (value) => value / 255);
  const [low, high] = range(enlarged);
  return Float32Array.from(low === high ? enlarged : blur(enlarged, height, width, SMOOTH));
}

// Return a map blurred by a Gaussian of `sigma` pixels, truncated at 4 sigma, mirrored at the edges (d c b a | a b c d).
export function blur(values, height, width, sigma) {
  const radius = Math.floor(4 * sigma + 0.5), weights = [];
  for (let offset = -radius; offset <= radius; offset++) weights.push(Math.exp((-0.5 * offset * offset) / (sigma * sigma)));
  const sum = weights.reduce((one, other) => one + other);
  const mirror = (place, size) => {
    const turned = ((place % (2 * size)) + 2 * size) % (2 * size);
    return turned < size ? turned : 2 * size - 1 - turned;
  };
  const across = new Float64Array(values.length), blurred = new Float64Array(values.length);
  for (let column = 0; column < width; column++) {
    weights.forEach((weight, tap) => {
      const source = mirror(column + tap - radius, width);
      for (let row = 0; row < height; row++) across[row * width + column] += (weight / sum) * values[row * width + source];
    });
  }
  for (let row = 0; row < height; row++) {
    weights.forEach((weight, tap) => {
      const source = mirror(row + tap - radius, height) * width;
      for (let column = 0; column < width; column++) blurred[row * width + column] += (weight / sum) * across[source + column];
    });
  }
  return blurred;
}

// Return the peaks of the cells as {x, y, height}, highest first: GazePrediction.hotspots.
export function findHotspots(cells, rows, columns, height, width) {
  const high = Math.max(range(cells)[1], 0) || 1;
  const heights = Float32Array.from(cells, (value) => Math.max(value, 0) / high);
  const isPeak = (row, column) => {
    for (let y = Math.max(row - 2, 0); y <= Math.min(row + 2, rows - 1); y++) {
      for (let x = Math.max(column - 2, 0); x <= Math.min(column + 2, columns - 1); x++) {
        if (heights[y * columns + x] > heights[row * columns + column]) return false;
      }
    }
    return true;
  };
  const hotspots = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const value = heights[row * columns + column];
      if (value < 0.1 || !isPeak(row, column)) continue;
      hotspots.push({ x: ((column + 0.5) * width) / columns - 0.5, y: ((row + 0.5) * height) / rows - 0.5, height: value });
    }
  }
  return hotspots.sort((one, other) => other.height - one.height);
}

// Return the largest value of a map and the sum of its shares of it: what `shareAttention` needs of the whole photo.
export function summarize(map) {
  const high = Math.max(range(map)[1], 0) || 1;
  return { high, total: sumRange(map, 0, map.length, high) };
}

function sumRange(map, start, end, high) {
  const lowest = LOWEST_SHARE * high;
  let sum = 0;
  for (let place = start; place < end; place++) sum += map[place] > lowest ? map[place] : lowest;
  return sum / high;
}

// Return the share of attention of each box, {x_min, y_min, x_max, y_max} with exclusive upper bounds, and of the rest.
// A pixel in several boxes counts for each of them in equal parts, so that boxes and rest sum to 1.
export function shareAttention(map, height, width, boxes, { high, total } = summarize(map)) {
  const sums = new Array(boxes.length).fill(0);
  let inside = 0;
  for (let row = 0; row < height; row++) {
    const crossing = boxes.map((box, number) => ({ ...box, number })).filter((box) => box.y_min <= row && row < box.y_max);
    const edges = [...new Set(crossing.flatMap((box) => [box.x_min, box.x_max]))].sort((one, other) => one - other);
    edges.slice(1).forEach((end, place) => {
      const start = edges[place], covering = crossing.filter((box) => box.x_min <= start && end <= box.x_max);
      if (!covering.length) return;
      const sum = sumRange(map, row * width + start, row * width + end, high);
      inside += sum;
      for (const box of covering) sums[box.number] += sum / covering.length;
    });
  }
  return { shares: sums.map((sum) => sum / total), rest: Math.max(total - inside, 0) / total };
}

// Return the map for drawing, values of 0..255 on at most `side` pixels: kerasal.gaze.overlay, whose colors are full from
// the 99th percentile.
export function drawnMap(cells, rows, columns, height, width, settings, side) {
  const scale = Math.min(1, side / Math.max(height, width));
  const [drawnHeight, drawnWidth] = [height, width].map((length) => Math.max(1, Math.round(length * scale)));
  const map = finishMap(cells, rows, columns, drawnHeight, drawnWidth, settings);
  const [low] = range(map);
  const values = blur(map.map((value) => value - low), drawnHeight, drawnWidth, Math.max(drawnHeight, drawnWidth) / 75);
  const sorted = Float64Array.from(values).sort();
  const limit = sorted[Math.round(0.99 * (sorted.length - 1))] || sorted[sorted.length - 1] || 1;
  const drawn = Uint8ClampedArray.from(values, (value) => (255 * value) / limit);
  return { values: drawn, height: drawnHeight, width: drawnWidth };
}

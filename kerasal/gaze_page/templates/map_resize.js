// Resizing of maps as Pillow does it: cubic interpolation (a = -.5), columns before rows; shrinking widens the kernel.

function cubicKernel(distance) {
  const a = -0.5, x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function cubicTaps(old, size, weigh) {
  const scale = old / size, stretch = Math.max(scale, 1), support = 2 * stretch, taps = [];
  for (let place = 0; place < size; place++) {
    const center = (place + 0.5) * scale;
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), old);
    const weights = [];
    for (let pixel = first; pixel < end; pixel++) weights.push(cubicKernel((pixel - center + 0.5) / stretch));
    const sum = weights.reduce((one, other) => one + other, 0);
    taps.push({ first, weights: weights.map((weight) => weigh(weight / sum)) });
  }
  return taps;
}

// Resize both sides into arrays of the given kind; `weigh` rounds weights, and `finish`, if any, rounds sums.
function resize(values, height, width, newHeight, newWidth, Kind, weigh, finish) {
  const columns = new Kind(height * newWidth), columnTaps = newWidth === width ? null : cubicTaps(width, newWidth, weigh);
  if (columnTaps === null) columns.set(values);
  else {
    columnTaps.forEach(({ first, weights }, column) => {
      for (let row = 0; row < height; row++) {
        let sum = 0;
        for (let tap = 0; tap < weights.length; tap++) sum += weights[tap] * values[row * width + first + tap];
        columns[row * newWidth + column] = finish ? finish(sum) : sum;
      }
    });
  }
  if (newHeight === height) return columns;
  const resized = new Kind(newHeight * newWidth), sums = new Float64Array(newWidth);
  cubicTaps(height, newHeight, weigh).forEach(({ first, weights }, row) => {
    sums.fill(0);
    for (let tap = 0; tap < weights.length; tap++) addRow(sums, columns, (first + tap) * newWidth, weights[tap]);
    resized.set(finish ? sums.map(finish) : sums, row * newWidth);
  });
  return resized;
}

function addRow(sums, values, start, weight) {
  for (let column = 0; column < sums.length; column++) sums[column] += weight * values[start + column];
}

// Return a map, Float32Array (newHeight, newWidth), of a map (height, width).
export function resizeMap(values, height, width, newHeight, newWidth) {
  return resize(values, height, width, newHeight, newWidth, Float32Array, (weight) => weight, null);
}

// Return 8-bit pixels of 8-bit pixels: Pillow's weights have 22 bits, and each pass is rounded to 8.
export function resizeBytes(values, height, width, newHeight, newWidth) {
  const one = 2 ** 22;
  const weigh = (weight) => Math.trunc(weight < 0 ? weight * one - 0.5 : weight * one + 0.5);
  const finish = (sum) => Math.min(Math.max(Math.floor((sum + one / 2) / one), 0), 255);
  return resize(values, height, width, newHeight, newWidth, Uint8Array, weigh, finish);
}

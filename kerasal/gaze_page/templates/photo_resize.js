// Resizing of photos as OpenCV does it for kerasal.images.resize: area averages along a side that shrinks, cubic
// interpolation (a = -.75) along a side that grows, and 8 bits at the end. Means of pixels are often halfway between two
// integers, so sums have to be rounded like those of OpenCV, to 32 bits after each step; cubic ones hardly ever are.

const single = Math.fround;

// The pixels (first, weights) of a side of `old` pixels that make each of `size` pixels, by area.
function areaTaps(old, size) {
  const scale = old / size, taps = [];
  for (let place = 0; place < size; place++) {
    const start = place * scale, end = start + scale, width = Math.min(scale, old - start);
    const last = Math.min(Math.floor(end), old - 1), first = Math.min(Math.ceil(start), last);
    const partial = first - start > 1e-3, weights = [];
    if (partial) weights.push((first - start) / width);
    for (let pixel = first; pixel < last; pixel++) weights.push(1 / width);
    if (end - last > 1e-3) weights.push(Math.min(end - last, 1, width) / width);
    taps.push({ first: partial ? first - 1 : first, weights: weights.map(single) });
  }
  return taps;
}

function cubicWeights(t) {
  const a = -0.75;
  const outer = (s) => ((a * (s + 1) - 5 * a) * (s + 1) + 8 * a) * (s + 1) - 4 * a;
  const inner = (s) => ((a + 2) * s - (a + 3)) * s * s + 1;
  const weights = [outer(t), inner(t), inner(1 - t)];
  return [...weights, 1 - weights[0] - weights[1] - weights[2]];
}

// Beyond the edge the last pixel is repeated: its weights are added up.
function cubicTaps(old, size) {
  const scale = old / size, taps = [];
  for (let place = 0; place < size; place++) {
    const position = (place + 0.5) * scale - 0.5, start = Math.floor(position);
    const weights = cubicWeights(position - start);
    const first = Math.min(Math.max(start - 1, 0), old - 1), last = Math.min(Math.max(start + 2, 0), old - 1);
    const sums = new Array(last - first + 1).fill(0);
    weights.forEach((weight, offset) => {
      sums[Math.min(Math.max(start - 1 + offset, 0), old - 1) - first] += weight;
    });
    taps.push({ first, weights: sums });
  }
  return taps;
}

function roundToEven(value) {
  const low = Math.floor(value), rest = value - low;
  if (rest !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

// Rows of `channels` values per pixel, read with `step` values per pixel; `short` sums have 32 bits.
function resizeColumns(values, height, width, taps, step, channels, short) {
  const resized = new Float64Array(height * taps.length * channels);
  let place = 0;
  for (let row = 0; row < height; row++) {
    for (const { first, weights } of taps) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0, pixel = (row * width + first) * step + channel;
        for (let tap = 0; tap < weights.length; tap++, pixel += step) {
          const product = weights[tap] * values[pixel];
          sum = short ? single(sum + single(product)) : sum + product;
        }
        resized[place++] = sum;
      }
    }
  }
  return resized;
}

function resizeRows(values, length, taps, short) {
  const resized = new Float64Array(taps.length * length);
  taps.forEach(({ first, weights }, row) => {
    const sums = resized.subarray(row * length, (row + 1) * length);
    weights.forEach((weight, tap) => {
      const start = (first + tap) * length;
      for (let place = 0; place < length; place++) {
        const product = weight * values[start + place];
        sums[place] = short ? single(sums[place] + single(product)) : sums[place] + product;
      }
    });
  });
  return resized;
}

// Return RGB pixels, Uint8Array (newHeight, newWidth, 3), of RGBA pixels (height, width, 4).
export function resizePhoto(rgba, height, width, newHeight, newWidth) {
  const pixels = new Uint8Array(newHeight * newWidth * 3);
  if (height === newHeight && width === newWidth) {
    for (let place = 0, source = 0; place < pixels.length; source += 4) {
      for (let channel = 0; channel < 3; channel++) pixels[place++] = rgba[source + channel];
    }
    return pixels;
  }
  const [down, across] = [height / newHeight, width / newWidth];
  const blocks = Number.isInteger(down) && Number.isInteger(across);  // OpenCV adds up whole pixels and divides once
  const taps = (old, size) => {
    if (size > old) return cubicTaps(old, size);
    return blocks ? blockTaps(old / size, size) : size < old ? areaTaps(old, size) : blockTaps(1, size);
  };
  const columns = resizeColumns(rgba, height, width, taps(width, newWidth), 4, 3, newWidth <= width);
  const values = resizeRows(columns, newWidth * 3, taps(height, newHeight), newHeight <= height);
  const scale = blocks ? single(1 / (down * across)) : 1;
  const halvesUp = down === 2 && across === 2;  // OpenCV rounds halves up here, to even elsewhere
  for (let place = 0; place < pixels.length; place++) {
    const value = blocks ? single(values[place] * scale) : values[place];
    pixels[place] = Math.min(Math.max(halvesUp ? Math.round(value) : roundToEven(value), 0), 255);
  }
  return pixels;
}

function blockTaps(side, size) {
  return Array.from({ length: size }, (_, place) => ({ first: place * side, weights: new Array(side).fill(1) }));
}

// Return the [height, width] at which the model sees a photo: kerasal.images.size_like.
export function sizeLike(height, width, { image_size: [trainedHeight, trainedWidth], step, narrow }) {
  const stepTo = (side, known) => {
    const first = known % step || step;
    return first + step * Math.max(0, roundToEven((side - first) / step));
  };
  const ratio = Math.min(Math.max(width / height, 1 / narrow), narrow);
  const seenHeight = stepTo(Math.sqrt((trainedHeight * trainedWidth) / ratio), trainedHeight);
  return [seenHeight, stepTo(seenHeight * ratio, trainedWidth)];
}

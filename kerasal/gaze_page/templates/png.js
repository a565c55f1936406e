// Gray PNG files of 16 bits, which a canvas cannot write.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function checksum(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}

function chunk(name, bytes) {
  const whole = new Uint8Array(bytes.length + 12), view = new DataView(whole.buffer);
  view.setUint32(0, bytes.length);
  whole.set([...name].map((letter) => letter.charCodeAt(0)), 4);
  whole.set(bytes, 8);
  view.setUint32(bytes.length + 8, checksum(whole.subarray(4, bytes.length + 8)));
  return whole;
}

// Return a PNG of a map (height, width) from its lowest value, black, to its highest, white; see kerasal gaze predict.
export async function encodeMap(map, height, width, [low, high]) {
  const rows = new Uint8Array(height * (1 + 2 * width));
  let place = 0;
  for (let row = 0; row < height; row++) {
    rows[place++] = 0;  // no filter
    for (let column = 0; column < width; column++) {
      const share = Math.min(Math.max((map[row * width + column] - low) / (high - low || 1), 0), 1);
      const value = Math.round(65535 * share);
      rows[place++] = value >> 8;
      rows[place++] = value & 255;
    }
  }
  const packed = new Response(new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate")));
  const header = new Uint8Array(13), view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([16, 0, 0, 0, 0], 8);
  const signature = new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]);
  const data = new Uint8Array(await packed.arrayBuffer());
  return new Blob([signature, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", new Uint8Array())], { type: "image/png" });
}

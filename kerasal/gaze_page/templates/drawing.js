// The picture: the photo, the map in colors over it, the hotspots, and the boxes of a saved picture.

const SATURATION = 0.65;  // of a photo under colors, so that these can be told from its own

// Return the canvas of a drawn map in one of the three views; the photo shows through where it is transparent.
export function colorMap({ values, height, width }, view, strength, colors) {
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  values.forEach((value, place) => {
    const [red, green, blue] = view === "spotlight" ? [0, 0, 0] : colors[view][value];
    const alpha = { heat: Math.min((2 * value) / 255, 1), spotlight: 1 - Math.min((1.5 * value) / 255, 1), map: 1 }[view];
    image.data.set([red, green, blue, Math.round(255 * alpha * (view === "map" ? 1 : strength))], 4 * place);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

// Draw a photo, the map over it and the hotspots into a canvas of any size.
export function drawPicture(canvas, photo, result, { view, strength, hotspots, colors }) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(photo, 0, 0, width, height);
  if (!result) return;
  if (view === "heat" && strength > 0) {
    context.globalCompositeOperation = "saturation";
    context.fillStyle = `rgb(128 128 128 / ${1 - SATURATION})`;
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "source-over";
  }
  context.drawImage(colorMap(result.drawn, view, strength, colors), 0, 0, width, height);
  if (hotspots) drawHotspots(context, result, width, height);
}

function drawHotspots(context, result, width, height) {
  const radius = Math.max(9, Math.min(width, height) / 36);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `600 ${radius * 1.15}px system-ui, sans-serif`;
  result.hotspots.forEach(({ x, y }, number) => {
    const [across, down] = [((x + 0.5) * width) / result.width, ((y + 0.5) * height) / result.height];
    context.beginPath();
    context.arc(across, down, radius, 0, 2 * Math.PI);
    context.fillStyle = "rgb(255 255 255 / .92)";
    context.fill();
    context.lineWidth = Math.max(1.5, radius / 7);
    context.strokeStyle = "#10201f";
    context.stroke();
    context.fillStyle = "#10201f";
    context.fillText(String(number + 1), across, down + radius * 0.06);
  });
}

// Draw boxes with their names and shares, for the saved picture; on the page they are elements of their own.
export function drawBoxes(canvas, boxes, scale) {
  const context = canvas.getContext("2d"), unit = Math.max(canvas.width, canvas.height) / 1000;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.font = `600 ${Math.max(13, 17 * unit)}px system-ui, sans-serif`;
  for (const box of boxes) {
    const [left, top, right, bottom] = [box.x_min, box.y_min, box.x_max, box.y_max].map((side) => side * scale);
    context.lineWidth = Math.max(2, 3 * unit);
    context.strokeStyle = box.color;
    context.strokeRect(left, top, right - left, bottom - top);
    const text = `${box.name}  ${formatShare(box.share)}`, padding = Math.max(5, 6 * unit), line = Math.max(20, 26 * unit);
    const width = context.measureText(text).width + 2 * padding, start = Math.max(0, top - line);
    context.fillStyle = box.color;
    context.fillRect(left, start, width, line);
    context.fillStyle = "#10201f";
    context.fillText(text, left + padding, start + line / 2);
  }
}

export function formatShare(share) {
  return share === null ? "…" : `${(100 * share).toFixed(1)} %`;
}

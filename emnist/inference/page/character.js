// A drawing as EMNIST would have it: what normalize_character of emnist/data/character.py does, step by step, and in
// the arithmetic of Pillow and scipy, so that no pixel differs by more than rounding.
//
// Ink is {data: Float32Array, width, height}, from 0 (paper) to 1.

const IMAGE = 28;
const BORDER = 2;
const HEIGHT = 120;
const SKIRT = 4;
const EDGE = 0.05;

// Ink of one character → Uint8Array of 28 × 28 pixels from 0 (paper) to 255; null if there is no ink.
function normalizeCharacter(drawing) {
  const ink = crop(drawing);
  if (!ink) return null;
  const scale = HEIGHT / Math.max(ink.width, ink.height);
  const size = (pixels) => Math.max(1, roundToEven(pixels * scale));
  const inner = resample(ink, size(ink.width), size(ink.height));
  inner.data.forEach((value, i) => (inner.data[i] = Math.min(Math.max(value, 0), 1)));
  const blurred = crop(blur(place(inner, inner.width + 2 * SKIRT, inner.height + 2 * SKIRT)));
  const side = roundToEven((Math.max(blurred.width, blurred.height) * IMAGE) / (IMAGE - 2 * BORDER));
  const small = resample(place(blurred, side, side), IMAGE, IMAGE).data;
  const stretch = 255 / Math.max(...small);
  return Uint8Array.from(small, (value) => roundToEven(Math.max(value, 0) * stretch));
}

// Halves go to the even neighbour, as in Python.
function roundToEven(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 ? low + 1 : low;
}

function emptyInk(width, height) {
  return { data: new Float32Array(width * height), width, height };
}

// The box of the pixels above 5% of the highest; null if all are 0.
function crop({ data, width, height }) {
  const limit = EDGE * data.reduce((a, b) => Math.max(a, b), 0);
  let left = width, right = -1, top = height, bottom = -1;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (data[i] <= limit) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  }
  if (right < 0) return null;
  const box = emptyInk(right - left + 1, bottom - top + 1);
  for (let y = 0; y < box.height; y++) {
    const from = (top + y) * width + left;
    box.data.set(data.subarray(from, from + box.width), y * box.width);
  }
  return box;
}

// In the middle of a larger sheet, the odd pixel of margin after it.
function place(ink, width, height) {
  const sheet = emptyInk(width, height), left = (width - ink.width) >> 1, top = (height - ink.height) >> 1;
  for (let y = 0; y < ink.height; y++) {
    sheet.data.set(ink.data.subarray(y * ink.width, (y + 1) * ink.width), (top + y) * width + left);
  }
  return sheet;
}

// Pillow's bicubic (a = -0.5), over as many pixels as become one; rows first, then columns.
function resample(ink, width, height) {
  return transposed(resampleRows(transposed(resampleRows(ink, width)), height));
}

function transposed({ data, width, height }) {
  const turned = emptyInk(height, width);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) turned.data[x * height + y] = data[i];
  }
  return turned;
}

function resampleRows(ink, width) {
  const result = emptyInk(width, ink.height), step = ink.width / width, spread = Math.max(step, 1);
  for (let x = 0; x < width; x++) {
    const center = (x + 0.5) * step;
    const first = Math.max(0, Math.trunc(center - 2 * spread + 0.5));
    const end = Math.min(ink.width, Math.trunc(center + 2 * spread + 0.5));
    const weights = [];
    for (let i = first; i < end; i++) weights.push(bicubic((i - center + 0.5) / spread));
    const total = weights.reduce((a, b) => a + b);
    for (let y = 0; y < ink.height; y++) {
      let sum = 0;
      for (let i = first; i < end; i++) sum += ink.data[y * ink.width + i] * (weights[i - first] / total);
      result.data[y * width + x] = sum;
    }
  }
  return result;
}

function bicubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

// Gaussian of σ = 1 pixel, which ends after 4 pixels; columns first, then rows. The ink must keep that far from the edges.
function blur(ink) {
  return blurRows(transposed(blurRows(transposed(ink))));
}

function blurRows({ data, width, height }) {
  const result = emptyInk(width, height), weights = [];
  for (let distance = 0; distance <= SKIRT; distance++) weights.push(Math.exp(-0.5 * distance ** 2));
  const total = weights.reduce((sum, weight) => sum + 2 * weight, -1);
  for (let i = 0; i < data.length; i++) {
    const x = i % width, pixel = (at) => (at < 0 || at >= width ? 0 : data[i - x + at]);
    let sum = pixel(x) * (weights[0] / total);
    for (let distance = SKIRT; distance > 0; distance--) {
      sum += (pixel(x - distance) + pixel(x + distance)) * (weights[distance] / total);
    }
    result.data[i] = sum;
  }
  return result;
}

// A trained network on one image: probabilities, and the heat map of one class.
//
// Values between layers are {data: Float32Array, height, width, channels}. The channels of a pixel lie side by side, as
// do the outputs in a weight matrix [inputs, outputs], so that the innermost loops read memory in order.

const PIXELS = 28;
const LEAKY_SLOPE = 0.1;

// The network that emnist/inference/page.py describes, its layers with their weights.
function unpackNetwork(description) {
  const weights = decodeWeights(description.weights, description.half);
  let used = 0;
  const take = (count) => weights.subarray(used, (used += count));
  const unpack = (layer) => {
    const { op, body, shortcut, after, inputs, outputs } = layer;
    if (op === "block") return { op, body: body.map(unpack), shortcut: shortcut.map(unpack), after: after.map(unpack) };
    return outputs ? { ...layer, weight: take(inputs * outputs), bias: take(outputs) } : layer;
  };
  return { ...description, weights: null, layers: description.layers.map(unpack) };
}

// Little-endian numbers of 32 or, with `half`, 16 bits in base64 → Float32Array.
function decodeWeights(base64, half) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return half ? new Float32Array(new Uint16Array(bytes.buffer)).map(fromHalf) : new Float32Array(bytes.buffer);
}

// The 16 bits of a half-precision number → its value.
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// Image, 784 numbers from 0 (paper) to 255 → calibrated probabilities, the best class, and its heat map, 784 from 0 to 1.
function readImage(network, image) {
  const input = valuesOf(PIXELS, PIXELS, 1);
  for (let i = 0; i < image.length; i++) input.data[i] = (image[i] - 255 * network.mean) / (255 * network.std);
  const outputs = runLayers(network.layers, input);
  const probabilities = softmax(outputs.at(-1).data, network.temperature);
  const best = probabilities.indexOf(Math.max(...probabilities));
  return { probabilities, best, heat: heatMap(network, outputs, image, best) };
}

function softmax(logits, temperature) {
  const highest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp((logit - highest) / temperature));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

function valuesOf(height, width, channels) {
  return { data: new Float32Array(height * width * channels), height, width, channels };
}

// The input and the output of each layer.
function runLayers(layers, input) {
  const outputs = [input];
  for (const layer of layers) outputs.push(FORWARD[layer.op](outputs.at(-1), layer));
  return outputs;
}

// Activations work in place, so none may come first.
const FORWARD = {
  linear: (input, layer) => convolve(input, { ...layer, kernel: 1, stride: 1 }),
  conv: convolve,
  relu: (x) => activate(x, (value) => (value > 0 ? value : 0)),
  elu: (x) => activate(x, (value) => (value > 0 ? value : Math.exp(value) - 1)),
  leaky: (x) => activate(x, (value) => (value > 0 ? value : LEAKY_SLOPE * value)),
  pool: (input) => pool(input).output,
  flatten: transpose,
  average,
  highest: (input) => highest(input).output,
  block,
};

function activate(x, of) {
  for (let i = 0; i < x.data.length; i++) x.data[i] = of(x.data[i]);
  return x;
}

// Zeros around the image keep its size, which `stride` divides. Weights are [kernel, kernel, channels, outputs].
function convolve(input, { kernel, stride, outputs, weight, bias }) {
  const { data, height, width, channels } = input;
  const output = valuesOf(Math.ceil(height / stride), Math.ceil(width / stride), outputs);
  const values = new Float32Array(kernel * kernel * channels + 8), rows = new Int32Array(values.length);
  for (let y = 0, at = 0; y < output.height; y++) {
    for (let x = 0; x < output.width; x++, at += outputs) {
      // Collect what is not zero: behind a ReLU, that is the smaller part.
      let count = 0;
      for (let dy = 0; dy < kernel; dy++) {
        const row = y * stride + dy - (kernel >> 1);
        if (row < 0 || row >= height) continue;
        for (let dx = 0; dx < kernel; dx++) {
          const column = x * stride + dx - (kernel >> 1);
          if (column < 0 || column >= width) continue;
          const from = (row * width + column) * channels, tap = (dy * kernel + dx) * channels;
          for (let channel = 0; channel < channels; channel++) {
            const value = data[from + channel];
            if (value !== 0) {
              values[count] = value;
              rows[count++] = (tap + channel) * outputs;
            }
          }
        }
      }
      const sums = output.data.subarray(at, at + outputs);
      sums.set(bias);
      addRows(sums, weight, values, rows, count);
    }
  }
  return output;
}

// sums += Σ values[i] × the row of the weights that starts at rows[i]. Eight rows at once take a third of the time of one.
function addRows(sums, weight, values, rows, count) {
  values.fill(0, count, count + 8);
  rows.fill(0, count, count + 8);
  for (let i = 0; i < count; i += 8) {
    const a = values[i], b = values[i + 1], c = values[i + 2], d = values[i + 3];
    const e = values[i + 4], f = values[i + 5], g = values[i + 6], h = values[i + 7];
    const ra = rows[i], rb = rows[i + 1], rc = rows[i + 2], rd = rows[i + 3];
    const re = rows[i + 4], rf = rows[i + 5], rg = rows[i + 6], rh = rows[i + 7];
    for (let o = 0; o < sums.length; o++) {
      sums[o] +=
        a * weight[ra + o] + b * weight[rb + o] + c * weight[rc + o] + d * weight[rd + o] +
        e * weight[re + o] + f * weight[rf + o] + g * weight[rg + o] + h * weight[rh + o];
    }
  }
}

// The highest of 2 × 2 values, and where each came from. An odd last row or column is left out.
function pool({ data, height, width, channels }) {
  const output = valuesOf(height >> 1, width >> 1, channels), source = new Int32Array(output.data.length);
  let at = 0;
  for (let y = 0; y < output.height; y++) {
    for (let x = 0; x < output.width; x++) {
      for (let channel = 0; channel < channels; channel++, at++) {
        const corner = (2 * y * width + 2 * x) * channels + channel;
        let best = corner;
        for (const other of [corner + channels, corner + width * channels, corner + (width + 1) * channels]) {
          if (data[other] > data[best]) best = other;
        }
        output.data[at] = data[best];
        source[at] = best;
      }
    }
  }
  return { output, source };
}

// [height, width, channels] → the flat order of PyTorch, [channels, height, width].
function transpose({ data, height, width, channels }) {
  const output = valuesOf(1, 1, data.length), area = height * width;
  for (let pixel = 0; pixel < area; pixel++) {
    for (let channel = 0; channel < channels; channel++) {
      output.data[channel * area + pixel] = data[pixel * channels + channel];
    }
  }
  return output;
}

function average({ data, channels }) {
  const output = valuesOf(1, 1, channels);
  for (let i = 0; i < data.length; i++) output.data[i % channels] += (data[i] * channels) / data.length;
  return output;
}

// The highest value of each channel, and where it came from.
function highest({ data, channels }) {
  const output = valuesOf(1, 1, channels), source = new Int32Array(channels);
  for (let channel = 0; channel < channels; channel++) {
    let best = channel;
    for (let i = channel; i < data.length; i += channels) if (data[i] > data[best]) best = i;
    output.data[channel] = data[best];
    source[channel] = best;
  }
  return { output, source };
}

function block(input, { body, shortcut, after }) {
  const output = runLayers(body, input).at(-1), added = runLayers(shortcut, input).at(-1);
  for (let i = 0; i < output.data.length; i++) output.data[i] += added.data[i];
  return runLayers(after, output).at(-1);
}

// As emnist/inference/saliency.py: Grad-CAM at the last feature maps; gradient × ink if there are none.
function heatMap(network, outputs, image, best) {
  const { layers, features } = network, maps = outputs[features];
  let gradient = new Float32Array(outputs.at(-1).data.length);
  gradient[best] = 1;
  for (let i = layers.length - 1; i >= features; i--) {
    gradient = BACKWARD[layers[i].op](gradient, outputs[i], outputs[i + 1], layers[i]);
  }
  const evidence = new Float32Array(maps.height * maps.width);
  for (let i = 0; i < gradient.length; i++) {
    evidence[Math.floor(i / maps.channels)] += gradient[i] * (features ? maps.data[i] : image[i] / 255);
  }
  const heat = enlarge(evidence.map((value) => Math.max(value, 0)), maps.height, maps.width);
  const highest = Math.max(...heat, 1e-12);
  return heat.map((value) => value / highest);
}

// Gradient of the output, input and output of a layer → gradient of its input.
const BACKWARD = {
  linear: (gradient, input, output, { weight, outputs }) => {
    const result = new Float32Array(input.data.length);
    for (let i = 0, at = 0; i < result.length; i++) {
      let sum = 0;
      for (let o = 0; o < outputs; o++, at++) sum += gradient[o] * weight[at];
      result[i] = sum;
    }
    return result;
  },
  relu: (gradient, input, output) => gradient.map((value, i) => (output.data[i] > 0 ? value : 0)),
  elu: (gradient, input, output) => gradient.map((value, i) => value * Math.min(1, output.data[i] + 1)),
  leaky: (gradient, input, output) => gradient.map((value, i) => (output.data[i] > 0 ? value : LEAKY_SLOPE * value)),
  average: (gradient, { data, channels }) => data.map((_, i) => (gradient[i % channels] * channels) / data.length),
  flatten: (gradient, { height, width, channels }) =>
    transpose({ data: gradient, height: channels, width: 1, channels: height * width }).data,
  pool: (gradient, input) => scatter(gradient, input, pool(input)),
  highest: (gradient, input) => scatter(gradient, input, highest(input)),
};

// Each gradient goes to where the value came from.
function scatter(gradient, input, { source }) {
  const result = new Float32Array(input.data.length);
  source.forEach((from, i) => (result[from] = gradient[i]));
  return result;
}

// Bilinear, pixels as areas: [height, width] → [28, 28].
function enlarge(map, height, width) {
  const result = new Float32Array(PIXELS * PIXELS);
  const place = (i, size) => {
    const at = Math.max(0, ((i + 0.5) * size) / PIXELS - 0.5), low = Math.floor(at);
    return [low, Math.min(low + 1, size - 1), at - low];
  };
  for (let y = 0; y < PIXELS; y++) {
    const [top, bottom, down] = place(y, height);
    for (let x = 0; x < PIXELS; x++) {
      const [left, right, across] = place(x, width);
      const along = (row) => map[row * width + left] * (1 - across) + map[row * width + right] * across;
      result[y * PIXELS + x] = along(top) * (1 - down) + along(bottom) * down;
    }
  }
  return result;
}

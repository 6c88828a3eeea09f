// The pad: people draw on a sheet, and every network says what it reads, on each move of the pen.

const PEN = 1 / 12; // of the width of the sheet
const READ_SIZE = 280; // pixels of the drawing that is read; the one on the screen has as many as the screen shows
const STEP = 1 / 40; // of the width, that an arrow key moves the pen
const SLOW = 60; // milliseconds; slower networks wait until the pen is lifted
const PAUSE = 700; // milliseconds without a change, until a screen reader is told
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function startPad(root) {
  const find = (selector) => root.querySelector(selector);
  const { networks, examples } = JSON.parse(find("script[type='application/json']").textContent);
  const cards = [...root.querySelectorAll(".card")].map((element, i) => makeCard(element, networks[i]));
  const canvas = find(".sheet canvas");
  const small = new OffscreenCanvas(READ_SIZE, READ_SIZE).getContext("2d", { willReadFrequently: true });
  const images = examples.map(({ image }) => Uint8Array.from(atob(image), (character) => character.charCodeAt(0)));

  // A drawing is an example or none, and strokes on it: lists of points [x, y] from 0 to 1.
  let drawing = { example: null, strokes: [] };
  const before = [];
  let stroke = []; // the one being drawn
  let pen = null; // the pointer that draws it
  let frame = 0, pause = 0;

  const isEmpty = () => drawing.example === null && drawing.strokes.length === 0;

  function change(next) {
    before.push(drawing);
    drawing = next;
    update();
  }

  function undo() {
    if (before.length) drawing = before.pop();
    update();
  }

  function clear() {
    if (!isEmpty()) change({ example: null, strokes: [] });
  }

  function startStroke(point) {
    stroke = [point];
    change({ ...drawing, strokes: [...drawing.strokes, stroke] });
  }

  function extendStroke(points) {
    stroke.push(...points);
    update();
  }

  function update() {
    frame ||= requestAnimationFrame(render);
  }

  function render() {
    frame = 0;
    paint();
    find(".hint").hidden = !isEmpty();
    find(".clear").disabled = isEmpty();
    find(".undo").disabled = before.length === 0;
    const image = readDrawing();
    const isDrawing = pen !== null || keys.down;
    for (const card of cards) if (!card.served) readInto(card, image, isDrawing);
    askServer(image);
    clearTimeout(pause);
    pause = setTimeout(() => (find(".spoken").textContent = image ? spoken(cards) : "Draw a character."), PAUSE);
  }

  // The drawing as the networks see it; null if there is none.
  function readDrawing() {
    if (drawing.example !== null && drawing.strokes.length === 0) return images[drawing.example];
    small.clearRect(0, 0, READ_SIZE, READ_SIZE);
    paintDrawing(small, READ_SIZE, "black");
    const { data } = small.getImageData(0, 0, READ_SIZE, READ_SIZE);
    const ink = emptyInk(READ_SIZE, READ_SIZE);
    for (let i = 0; i < ink.data.length; i++) ink.data[i] = data[4 * i + 3] / 255;
    return normalizeCharacter(ink);
  }

  function paint() {
    const context = canvas.getContext("2d"), size = canvas.width, color = getComputedStyle(root).color;
    context.clearRect(0, 0, size, size);
    paintDrawing(context, size, color);
    if (keys.shown) {
      context.beginPath();
      context.arc(keys.at[0] * size, keys.at[1] * size, (PEN / 2) * size, 0, 7);
      context.strokeStyle = getComputedStyle(root).getPropertyValue("--heat");
      context.lineWidth = size / (keys.down ? 60 : 140);
      context.stroke();
    }
  }

  function paintDrawing(context, size, color) {
    if (drawing.example !== null) context.drawImage(pictureOf(images[drawing.example], color), 0, 0, size, size);
    Object.assign(context, { strokeStyle: color, lineWidth: PEN * size, lineCap: "round", lineJoin: "round" });
    for (const points of drawing.strokes) {
      context.beginPath();
      context.moveTo(points[0][0] * size + 0.01, points[0][1] * size); // a line of no length would leave no dot
      for (const [x, y] of points) context.lineTo(x * size, y * size);
      context.stroke();
    }
  }

  const pointOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (pen !== null || event.button !== 0) return;
    pen = event.pointerId;
    canvas.setPointerCapture(pen);
    keys.shown = keys.down = false;
    startStroke(pointOf(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pen) return;
    const events = event.getCoalescedEvents?.() ?? [];
    extendStroke((events.length ? events : [event]).map(pointOf));
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      if (event.pointerId !== pen) return;
      pen = null;
      update();
    });
  }

  // Drawing with the keyboard: space puts the pen down until it is pressed again, or only while it is held.
  const keys = { at: [0.5, 0.25], down: false, shown: false, held: new Set(), moved: false };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && !event.repeat) {
      keys.down = !keys.down;
      keys.moved = !keys.down; // so that lifting is no hold
      if (keys.down) startStroke([...keys.at]);
    } else if (event.key in ARROWS) {
      keys.held.add(event.key);
      const sum = (axis) => [...keys.held].reduce((total, key) => total + ARROWS[key][axis], 0);
      keys.at = keys.at.map((value, axis) => Math.min(1, Math.max(0, value + STEP * sum(axis))));
      keys.moved = true;
      if (keys.down) extendStroke([[...keys.at]]);
    } else if (event.key !== " ") return;
    keys.shown = true;
    event.preventDefault();
    update();
  });
  canvas.addEventListener("keyup", (event) => {
    keys.held.delete(event.key);
    if (event.key === " " && keys.moved) keys.down = false;
    update();
  });
  canvas.addEventListener("blur", () => {
    Object.assign(keys, { down: false, shown: false });
    keys.held.clear();
    update();
  });

  const choose = (example) => example < images.length && change({ example, strokes: [] });
  // In a page of its own the pad has the keys to itself, in a report only where it has the focus.
  ("whole" in root.dataset ? document : root).addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase(), withControl = event.ctrlKey || event.metaKey;
    if (event.altKey || (withControl && key !== "z")) return;
    if (key === "u" || (key === "z" && withControl)) undo();
    else if (key === "c" || key === "escape") clear();
    else if (key >= "1" && key <= "9") choose(Number(key) - 1);
    else return;
    event.preventDefault();
  });
  find(".undo").addEventListener("click", undo);
  find(".clear").addEventListener("click", clear);
  const thumbnails = [...root.querySelectorAll(".examples button")];
  thumbnails.forEach((button, i) => button.addEventListener("click", () => choose(i)));

  function paintThumbnails() {
    const { color } = getComputedStyle(root);
    thumbnails.forEach((button, i) => {
      const context = button.firstChild.getContext("2d");
      context.clearRect(0, 0, PIXELS, PIXELS);
      context.drawImage(pictureOf(images[i], color), 0, 0);
    });
  }

  // Networks too large for the page are computed where the page comes from, one request at a time.
  const served = cards.filter((card) => card.served);
  let wanted, answered, isAsking = false;
  async function askServer(image) {
    wanted = image;
    if (isAsking || !served.length) return;
    isAsking = true;
    while (answered !== wanted) {
      const asked = wanted;
      const answers = asked && (await fetchAnswers(asked));
      served.forEach((card, i) => show(card, asked, answers?.[i]));
      answered = asked;
    }
    isAsking = false;
  }

  new ResizeObserver(() => {
    canvas.width = canvas.height = Math.round(canvas.clientWidth * devicePixelRatio);
    paint();
  }).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    paintThumbnails();
    update();
  });
  paintThumbnails();
  update();
  // For scripts: what each network of the page reads in an image of 784 bytes.
  root.read = (image) => cards.filter((card) => card.network).map((card) => readImage(card.network, image));
}

function makeCard(element, description) {
  const card = { element, name: element.getAttribute("aria-label"), classes: description.classes, served: !description.weights };
  card.rows = [...element.querySelectorAll("li")].map((row) => row.querySelectorAll("b, i, .percent"));
  if (!card.served) {
    card.network = unpackNetwork(description);
    // Twice without a drawing, so that the browser has compiled the code before the first stroke.
    for (let i = 0; i < 2; i++) timed(card, new Uint8Array(PIXELS * PIXELS));
  }
  return card;
}

// Of the networks that are served, in their order; null once the server has ended.
async function fetchAnswers(image) {
  try {
    return await (await fetch("predict", { method: "POST", body: image })).json();
  } catch {
    return null;
  }
}

function timed(card, image) {
  const start = performance.now(), answer = readImage(card.network, image);
  card.milliseconds = performance.now() - start;
  return { ...answer, milliseconds: card.milliseconds };
}

function readInto(card, image, isDrawing) {
  if (image && isDrawing && card.milliseconds > SLOW) {
    card.element.querySelector(".time").textContent = "waits for the pen";
    return;
  }
  show(card, image, image && timed(card, image));
}

function show(card, image, answer) {
  const { element, rows, classes } = card, context = element.querySelector(".heat").getContext("2d");
  context.clearRect(0, 0, PIXELS, PIXELS);
  const probabilities = answer?.probabilities ?? [];
  card.order = probabilities.map((_, i) => i).sort((a, b) => probabilities[b] - probabilities[a]);
  card.answer = answer;
  rows.forEach(([name, bar, percent], i) => {
    const best = card.order[i];
    name.textContent = answer ? classes[best] : "";
    bar.style.width = answer ? `${100 * probabilities[best]}%` : "0";
    percent.textContent = answer ? inPercent(probabilities[best]) : "";
  });
  element.querySelector(".time").textContent = answer ? `${answer.milliseconds.toFixed(1)} ms` : "";
  if (!answer) return;
  const style = getComputedStyle(element);
  context.globalAlpha = 0.6; // ink as dark as elsewhere would hide the heat on it
  context.drawImage(pictureOf(image, style.color), 0, 0);
  context.globalAlpha = 1;
  context.drawImage(pictureOf(answer.heat.map((value) => 255 * value), style.getPropertyValue("--heat")), 0, 0);
}

function inPercent(probability) {
  if (probability < 0.001) return "<0.1%";
  return probability > 0.999 ? ">99.9%" : `${(100 * probability).toFixed(1)}%`;
}

function spoken(cards) {
  const said = cards.filter((card) => card.answer);
  return said.map(({ name, classes, order, answer }) => {
    return `${name}: ${classes[order[0]]}, ${Math.round(100 * answer.probabilities[order[0]])}%`;
  }).join(". ");
}

// Pixels from 0 (transparent) to 255 in this colour, as a canvas of 28 × 28.
function pictureOf(image, color) {
  const picture = new OffscreenCanvas(PIXELS, PIXELS), context = picture.getContext("2d");
  context.fillStyle = color;
  for (let i = 0; i < image.length; i++) {
    if (!image[i]) continue;
    context.globalAlpha = image[i] / 255;
    context.fillRect(i % PIXELS, Math.floor(i / PIXELS), 1, 1);
  }
  return picture;
}

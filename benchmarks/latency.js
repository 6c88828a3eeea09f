// Reads {scripts, network, images, batch} from standard input; prints the seconds that the page's JavaScript takes for a
// batch, image by image, each with its heat map.
const { readFileSync } = require("node:fs");
const vm = require("node:vm");

const { scripts, network, images, batch } = JSON.parse(readFileSync(0, "utf8"));
for (const script of scripts) vm.runInThisContext(readFileSync(script, "utf8"), script);
const readImage = vm.runInThisContext("readImage"), ready = vm.runInThisContext("unpackNetwork")(network);

// The mean over at least so many seconds.
function secondsOf(least) {
  const start = performance.now();
  let passed = 0, batches = 0;
  while (passed < least) {
    for (let i = 0; i < batch; i++) readImage(ready, images[i % images.length]);
    batches++;
    passed = (performance.now() - start) / 1000;
  }
  return passed / batches;
}

secondsOf(0.3); // until it is compiled
console.log(secondsOf(0.2));

// Reads {scripts, code, given} from standard input: prints what the function `code` returns, with the scripts loaded.
const { readFileSync } = require("node:fs");
const vm = require("node:vm");

const { scripts, code, given } = JSON.parse(readFileSync(0, "utf8"));
for (const script of scripts) vm.runInThisContext(readFileSync(script, "utf8"), script);
const result = vm.runInThisContext(`(${code})`)(given);
process.stdout.write(JSON.stringify(result, (key, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value)));

// Takes out of a WASM file, before wasm-opt, the bodies of functions that only speak to nobody. The browser shows nobody what a panic says: there is
// no hook, and a panic ends in a trap. So what formats and reports one becomes the trap itself, and wasm-opt drops all that led there only.
//
//   node scripts/trim-wasm.mjs FOLDER      (its files are rewritten in place; needs the names that wasm-opt leaves out)
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// Functions that never return: Rust's names, old mangling and new.
const DIVERGING = [
  /^_RN.*4core9panicking/,
  /^_ZN4core9panicking/,
  /4core6option(13unwrap_failed|13expect_failed)/,
  /4core6result13unwrap_failed/,
  /4core5slice5index.*(slice_index_fail|_fail)/,
  /4core3str(16slice_error_fail|19slice_error_fail_rt)/,
  /4core4cell(22panic_already_borrowed|30panic_already_mutably_borrowed)/,
  /5alloc7raw_vec12handle_error/,
  /5alloc5alloc18handle_alloc_error/,
  /9panicking(11begin_panic|13panic_handler|20rust_panic_with_hook|10rust_panic|19begin_panic_handler|15panic_with_hook)/,
  /7___rustc(10rust_panic|17rust_begin_unwind|18___rust_start_panic)/,
  // Leptos's type-erased views can be hydrated by a future as well; our entry fetches what it needs and then hydrates at once.
  /tachys\.\.view\.\.any_view\.\.IntoAny.*into_any13hydrate_async/,
];

const CUSTOM = 0;
const IMPORT = 2;
const CODE = 10;
const DATA = 11;
const I32_CONST = 0x41;
const TRAP = Uint8Array.of(3, 0, 0x00, 0x0b);

function* sections(bytes) {
  let at = 8;
  while (at < bytes.length) {
    const id = bytes[at];
    const [size, start] = leb(bytes, at + 1);
    yield { id, start, end: start + size, from: at };
    at = start + size;
  }
}

function leb(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
}

function toLeb(value) {
  const out = [];
  do {
    const byte = value & 127;
    value >>>= 7;
    out.push(value ? byte | 128 : byte);
  } while (value);
  return Uint8Array.from(out);
}

function limits(bytes, at) {
  const flags = bytes[at++];
  [, at] = leb(bytes, at);
  return flags & 1 ? leb(bytes, at)[1] : at;
}

function importedFunctions(bytes, { start }) {
  let [count, at] = leb(bytes, start);
  let functions = 0;
  for (; count > 0; count -= 1) {
    for (let part = 0; part < 2; part += 1) {
      const [length, from] = leb(bytes, at);
      at = from + length;
    }
    const kind = bytes[at++];
    if (kind === 0) {
      functions += 1;
      [, at] = leb(bytes, at);
    } else if (kind === 1) at = limits(bytes, at + 1);
    else if (kind === 2) at = limits(bytes, at);
    else at += 2;
  }
  return functions;
}

function names(bytes, { start, end }) {
  const [length, from] = leb(bytes, start);
  if (Buffer.from(bytes.subarray(from, from + length)).toString() !== "name") return undefined;
  const found = new Map();
  for (let at = from + length; at < end; ) {
    const kind = bytes[at];
    let [size, next] = leb(bytes, at + 1);
    at = next + size;
    if (kind !== 1) continue;
    let count;
    [count, next] = leb(bytes, next);
    for (; count > 0; count -= 1) {
      let index, width;
      [index, next] = leb(bytes, next);
      [width, next] = leb(bytes, next);
      found.set(index, Buffer.from(bytes.subarray(next, next + width)).toString());
      next += width;
    }
  }
  return found;
}

// The bytes that a module brings into memory: where each piece goes, and where it is in the file.
function* pieces(bytes, { start }) {
  let [count, at] = leb(bytes, start);
  for (; count > 0; count -= 1) {
    const kind = bytes[at++];
    let address;
    if (kind === 0 && bytes[at] === I32_CONST) {
      [address, at] = leb(bytes, at + 1);
      at += 1; // the end of the expression
    } else if (kind !== 1) throw new Error("a piece of data whose place is not known");
    const [size, from] = leb(bytes, at);
    if (address !== undefined) yield { address, from, size };
    at = from + size;
  }
}

// What a panic would say of its place: records of a source file's name, its length, a line and a column, and the names. Nobody is left who reads them.
// They stay as zeroes, which Brotli sends as nothing.
function forgetPlaces(bytes, section) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const all = [...pieces(bytes, section)];
  const inFile = (address, size) => {
    const piece = all.find((piece) => address >= piece.address && address + size <= piece.address + piece.size);
    return piece && piece.from + address - piece.address;
  };
  const isName = (at, size) => {
    const text = Buffer.from(bytes.subarray(at, at + size)).toString("latin1");
    return /^[\w./+-]+\.rs$/.test(text);
  };
  const found = [];
  for (const { address, from, size } of all) {
    for (let offset = (4 - (address % 4)) % 4; offset + 16 <= size; offset += 4) {
      const [name, length, line, column] = [0, 4, 8, 12].map((field) => view.getUint32(from + offset + field, true));
      if (length < 6 || length > 200 || line === 0 || line > 100_000 || column === 0 || column > 500) continue;
      const at = inFile(name, length);
      if (at !== undefined && isName(at, length)) found.push([from + offset, 16], [at, length]);
    }
  }
  for (const [at, size] of found) bytes.fill(0, at, at + size);
  return found.length / 2;
}

function trim(bytes) {
  const all = [...sections(bytes)];
  const imports = all.find(({ id }) => id === IMPORT);
  const first = imports ? importedFunctions(bytes, imports) : 0;
  const named = all.filter(({ id }) => id === CUSTOM).map((section) => names(bytes, section)).find(Boolean);
  if (!named) throw new Error("the file has no names");
  const data = all.find(({ id }) => id === DATA);
  const places = data ? forgetPlaces(bytes, data) : 0;
  let trimmed = 0;
  const out = [bytes.subarray(0, 8)];
  for (const section of all) {
    if (section.id !== CODE) {
      out.push(bytes.subarray(section.from, section.end));
      continue;
    }
    const [count, start] = leb(bytes, section.start);
    const body = [toLeb(count)];
    let at = start;
    for (let index = first; index < first + count; index += 1) {
      const [size, from] = leb(bytes, at);
      const name = named.get(index) ?? "";
      const cut = DIVERGING.some((pattern) => pattern.test(name));
      if (cut && process.env.TRIM_LIST) process.stdout.write(`${size} ${name}\n`);
      trimmed += cut ? 1 : 0;
      body.push(cut ? TRAP : bytes.subarray(at, from + size));
      at = from + size;
    }
    const code = Buffer.concat(body);
    out.push(Uint8Array.of(CODE), toLeb(code.length), code);
  }
  return [Buffer.concat(out), trimmed, places];
}

function text(bytes, at) {
  const [length, from] = leb(bytes, at);
  return [Buffer.from(bytes.subarray(from, from + length)).toString(), from + length];
}

// Gives what the main module imports from its JavaScript short names, in both: the long ones carry a hash each, which nothing makes small.
function shorten(bytes, javascript) {
  const section = [...sections(bytes)].find(({ id }) => id === IMPORT);
  const short = new Map();
  const out = [];
  let [count, at] = leb(bytes, section.start);
  out.push(toLeb(count));
  for (; count > 0; count -= 1) {
    const [module, behindModule] = text(bytes, at);
    const [name, behind] = text(bytes, behindModule);
    const end = bytes[behind] === 0 ? leb(bytes, behind + 1)[1] : undefined;
    if (end === undefined) throw new Error(`the import ${module} ${name} is no function`);
    if (name.startsWith("__wb")) short.set(name, short.get(name) ?? `_${short.size.toString(36)}`);
    const shorter = Buffer.from(short.get(name) ?? name);
    out.push(bytes.subarray(at, behindModule), toLeb(shorter.length), shorter, bytes.subarray(behind, end));
    at = end;
  }
  const body = Buffer.concat(out);
  const shortened = Buffer.concat([bytes.subarray(0, section.from), Uint8Array.of(IMPORT), toLeb(body.length), body, bytes.subarray(section.end)]);
  return [shortened, javascript.replace(/\b__wb\w+/g, (name) => short.get(name) ?? name)];
}

const folder = process.argv[2];
for (const name of readdirSync(folder).filter((name) => name.endsWith(".wasm"))) {
  let [bytes, trimmed, places] = trim(readFileSync(join(folder, name)));
  const glue = join(folder, name.replace(/\.wasm$/, ".js"));
  if (existsSync(glue)) {
    let javascript;
    [bytes, javascript] = shorten(bytes, readFileSync(glue, "utf8"));
    writeFileSync(glue, javascript);
  }
  writeFileSync(join(folder, name), bytes);
  process.stdout.write(`trimmed ${name}: ${trimmed} functions, ${places} places\n`);
}

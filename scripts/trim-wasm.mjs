// Takes out of a page's WASM, before wasm-opt, what a release build never uses, and with it all that only led there:
//   * What formats and reports a panic. There is no panic hook in a release build, so that nobody hears it: a panic ends in a trap, and the dashboard says that
//     it has stopped (app/src/shell/stopped.js). The trap stays, and comes at once. Development builds are not trimmed, and say what panicked.
//   * The second way in which Leptos's type-erased views can be hydrated, by a future. Only `hydrate_lazy` takes it, and our entry does not call that
//     (frontend/dashboard). Were it called, the page would stop at once, in every test.
//   * The names and places of source files that a panic would have reported.
// It goes by the names of functions, which have to be there still, and ends with an error where one of these is not found at all: then a new compiler
// or Leptos names it otherwise. Imports get short names, in the module and in its JavaScript, where both have one name.
//
//   node scripts/trim-wasm.mjs FOLDER [KIND...]      (its files are rewritten in place; of each kind something has to be found: panics, hydrations, places)
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// Functions of the standard library that never return (`-> !`), by their names in both manglings.
const PANICS = [
  /^_R(N|IN).*4core9panicking/,
  /^_ZN4core9panicking/,
  /4core6option(13unwrap_failed|13expect_failed)/,
  /4core6result13unwrap_failed/,
  /4core5slice5index.*_fail/,
  /4core3str(16slice_error_fail|19slice_error_fail_rt)/,
  /4core4cell(22panic_already_borrowed|30panic_already_mutably_borrowed)/,
  /5alloc7raw_vec12handle_error/,
  /5alloc5alloc18handle_alloc_error/,
  /9panicking(11begin_panic|13panic_handler|20rust_panic_with_hook|10rust_panic|19begin_panic_handler|15panic_with_hook)/,
  /7___rustc(10rust_panic|17rust_begin_unwind|18___rust_start_panic)/,
];
const HYDRATED_BY_A_FUTURE = /tachys\.\.view\.\.any_view\.\.IntoAny.*into_any13hydrate_async/;

const [CUSTOM, IMPORT, CODE, DATA] = [0, 2, 10, 11];
const [UNREACHABLE, END, I32_CONST] = [0x00, 0x0b, 0x41];
// A body of three bytes: no locals, and the trap.
const TRAP = Uint8Array.of(3, 0, UNREACHABLE, END);

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

function text(bytes, at) {
  const [length, from] = leb(bytes, at);
  return [Buffer.from(bytes.subarray(from, from + length)).toString(), from + length];
}

function* sections(bytes) {
  for (let from = 8; from < bytes.length; ) {
    const [size, start] = leb(bytes, from + 1);
    yield { id: bytes[from], from, start, end: start + size };
    from = start + size;
  }
}

function section(id, ...contents) {
  const body = Buffer.concat(contents);
  return Buffer.concat([Uint8Array.of(id), toLeb(body.length), body]);
}

function limits(bytes, at) {
  const behind = leb(bytes, at + 1)[1];
  return bytes[at] & 1 ? leb(bytes, behind)[1] : behind;
}

// Each import: its names, its kind, and where it is in the file.
function* imports(bytes, { start }) {
  let [count, at] = leb(bytes, start);
  for (; count > 0; count -= 1) {
    const from = at;
    const [module, behindModule] = text(bytes, at);
    const [name, behind] = text(bytes, behindModule);
    const kind = bytes[behind];
    if (kind === 0) at = leb(bytes, behind + 1)[1];
    else if (kind === 1) at = limits(bytes, behind + 2);
    else if (kind === 2) at = limits(bytes, behind + 1);
    else at = behind + 3;
    yield { module, name, kind, bytes: bytes.subarray(from, at), behindModule: behindModule - from, behind: behind - from };
  }
}

// The functions' names by their numbers, where this custom section has them.
function functionNames(bytes, { start, end }) {
  const [title, behind] = text(bytes, start);
  if (title !== "name") return undefined;
  const found = new Map();
  for (let at = behind; at < end; ) {
    let [size, next] = leb(bytes, at + 1);
    const isOfFunctions = bytes[at] === 1;
    at = next + size;
    if (!isOfFunctions) continue;
    let count, index, name;
    for ([count, next] = leb(bytes, next); count > 0; count -= 1) {
      [index, next] = leb(bytes, next);
      [name, next] = text(bytes, next);
      found.set(index, name);
    }
  }
  return found;
}

function trimCode(bytes, { start }, first, names) {
  const [count, from] = leb(bytes, start);
  const bodies = [toLeb(count)];
  const trimmed = { panics: 0, hydrations: 0 };
  let at = from;
  for (let index = first; index < first + count; index += 1) {
    const [size, body] = leb(bytes, at);
    const name = names.get(index) ?? "";
    // What never returns ends in a trap already. Anything else by such a name would be one that this script does not know.
    const diverges = bytes[body + size - 2] === UNREACHABLE;
    let kept = bytes.subarray(at, body + size);
    if (diverges && PANICS.some((pattern) => pattern.test(name))) {
      trimmed.panics += 1;
      kept = TRAP;
    } else if (HYDRATED_BY_A_FUTURE.test(name)) {
      trimmed.hydrations += 1;
      kept = TRAP;
    }
    bodies.push(kept);
    at = body + size;
  }
  return [section(CODE, ...bodies), trimmed];
}

// What a module brings into memory: where each piece goes, and where it is in the file.
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

// `core::panic::Location`: a source file's name and its length, a line and a column. Record and name stay as zeroes, which Brotli sends as nothing.
function forgetPlaces(bytes, data) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const all = [...pieces(bytes, data)];
  const inFile = (address, size) => {
    const piece = all.find((piece) => address >= piece.address && address + size <= piece.address + piece.size);
    return piece && piece.from + address - piece.address;
  };
  const isName = (at, size) => /^[\w./+-]+\.rs$/.test(Buffer.from(bytes.subarray(at, at + size)).toString("latin1"));
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
  const of = (id) => all.find((one) => one.id === id);
  const names = all.filter(({ id }) => id === CUSTOM).map((one) => functionNames(bytes, one)).find(Boolean);
  if (!names) throw new Error("the file has no names");
  const first = of(IMPORT) ? [...imports(bytes, of(IMPORT))].filter(({ kind }) => kind === 0).length : 0;
  const places = of(DATA) ? forgetPlaces(bytes, of(DATA)) : 0;
  const [code, trimmed] = of(CODE) ? trimCode(bytes, of(CODE), first, names) : [undefined, {}];
  const kept = all.map((one) => (one.id === CODE ? code : bytes.subarray(one.from, one.end)));
  return [Buffer.concat([bytes.subarray(0, 8), ...kept]), { ...trimmed, places }];
}

// The names of what wasm-bindgen imports carry a hash each, which nothing makes small.
function shorten(bytes, javascript) {
  const { from, end, ...importing } = [...sections(bytes)].find(({ id }) => id === IMPORT);
  const short = new Map();
  const all = [...imports(bytes, importing)].map(({ module, name, kind, bytes: whole, behindModule, behind }) => {
    if (kind !== 0) throw new Error(`the import ${module} ${name} is no function`);
    if (!name.startsWith("__wb")) return whole;
    if (!short.has(name)) short.set(name, `_${short.size.toString(36)}`);
    const shorter = Buffer.from(short.get(name));
    return Buffer.concat([whole.subarray(0, behindModule), toLeb(shorter.length), shorter, whole.subarray(behind)]);
  });
  const shortened = Buffer.concat([bytes.subarray(0, from), section(IMPORT, toLeb(all.length), ...all), bytes.subarray(end)]);
  return [shortened, javascript.replace(/\b__wb\w+/g, (name) => short.get(name) ?? name)];
}

const folder = process.argv[2];
const sums = { panics: 0, hydrations: 0, places: 0 };
for (const name of readdirSync(folder).filter((name) => name.endsWith(".wasm"))) {
  let [bytes, trimmed] = trim(readFileSync(join(folder, name)));
  for (const [kind, count] of Object.entries(trimmed)) sums[kind] += count;
  const glue = join(folder, name.replace(/\.wasm$/, ".js"));
  if (existsSync(glue)) {
    let javascript;
    [bytes, javascript] = shorten(bytes, readFileSync(glue, "utf8"));
    writeFileSync(glue, javascript);
  }
  writeFileSync(join(folder, name), bytes);
}
const expected = process.argv.length > 3 ? process.argv.slice(3) : Object.keys(sums);
for (const kind of expected) if (!(sums[kind] > 0)) throw new Error(`no ${kind} were found: they have other names now`);
process.stdout.write(`trimmed: ${sums.panics} functions that report panics, ${sums.hydrations} hydrations by a future, ${sums.places} places of source\n`);

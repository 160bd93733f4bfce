// The real binary under clients that mean harm, on this machine's loopback: 1,000 bodies that never come to their end while a normal upload
// starts, and bodies that would like to be kept in memory. Says how long the upload took to start and what memory it all took; fails where
// the upload waited 2 seconds, where a connection was kept for ever, and where memory followed what was sent.
// Usage: node benches/slow-clients/run.mjs target/release/millrace [CONNECTIONS]
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const binary = process.argv[2];
const connections = Number(process.argv[3] ?? 1000);
const idleSeconds = 20;
const data = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), "millrace-bench-"));
const port = await new Promise((resolve) => {
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});
const env = {
  ...process.env,
  MILLRACE_BIND: `127.0.0.1:${port}`,
  MILLRACE_DATA_DIR: data,
  MILLRACE_LOG: "error",
  MILLRACE_HTTP_UPLOAD_IDLE_SECONDS: `${idleSeconds}`,
  MILLRACE_HTTP_BODY_SECONDS: `${idleSeconds}`,
  MILLRACE_HTTP_MAX_CONNECTIONS_PER_ADDRESS: `${connections + 24}`,
};
const origin = `http://127.0.0.1:${port}`;
const run = (args, input = "") => execFileSync(binary, args, { env, input, encoding: "utf8", stdio: ["pipe", "pipe", "ignore"] }).trim();
const memory = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))[1]) / 1024;
const say = (text) => process.stdout.write(`${text}\n`);
const faults = [];

// CRC32C (Castagnoli), a bit at a time: the parts here are small.
function crc32c(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  }
  return ((value ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

/** Sends a head and pieces until the server hangs up or all is sent; gives the first line of the answer and how many bytes went out. */
function send(head, pieces = []) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let answer = "";
    let sent = 0;
    let room = () => {};
    socket.on("data", (piece) => (answer += piece));
    socket.on("error", () => {});
    socket.on("drain", () => room());
    socket.on("close", () => {
      room();
      resolve({ status: answer.split("\r\n")[0], sent });
    });
    socket.on("connect", async () => {
      socket.write(head);
      for (const piece of pieces) {
        if (socket.destroyed || answer) break;
        sent += piece.length;
        if (!socket.write(piece)) await new Promise((resume) => (room = resume));
      }
    });
  });
}

function* repeated(piece, times) {
  for (let count = 0; count < times; count++) yield piece;
}

run(["user", "add", "bench@example.org"], "a password for the bench\n");
const key = run(["key", "add", "bench@example.org", "--name", "slow-clients"]);
const server = spawn(binary, ["serve"], { env, stdio: ["ignore", "ignore", "inherit"] });
const over = new Promise((resolve) => server.once("exit", resolve));
try {
  while (!(await fetch(`${origin}/healthz`).catch(() => undefined))) await sleep(100);
  await slowBodies();
  await largeBodies();
} finally {
  server.kill("SIGTERM");
  await over;
  rmSync(data, { recursive: true, force: true });
}
if (faults.length > 0) {
  say(faults.join("\n"));
  process.exit(1);
}

async function slowBodies() {
  const before = memory("VmRSS");
  const head = (number) =>
    number % 2
      ? `POST /api/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 8000000\r\n\r\n-`
      : `POST /api/v1/uploads HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: 40\r\n\r\n{`;
  const held = Array.from({ length: connections }, (_, number) => send(head(number)));
  let ended = 0;
  for (const one of held) one.then(() => ended++);
  // All of them are in, since connections are let in in order.
  await fetch(`${origin}/healthz`);
  const began = performance.now();
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const bytes = Buffer.alloc(100_000, "millrace ");
  const begun = await fetch(`${origin}/api/v1/uploads`, { method: "POST", headers, body: JSON.stringify({ fileName: "a.mp4", size: bytes.length }) });
  const ticket = await begun.json();
  const started = performance.now() - began;
  const part = new URL(ticket.partUrl.replace("{number}", 1), origin);
  const stored = await fetch(part, { method: "PUT", headers: { ...headers, "x-millrace-crc32c": crc32c(bytes) }, body: bytes });
  const through = performance.now() - began;
  if (begun.status !== 201 || stored.status !== 200) faults.push(`the upload was answered with ${begun.status} and ${stored.status}`);
  if (through > 2000) faults.push(`a normal upload took ${through.toFixed(0)} ms to start`);
  if (ended > 0) faults.push(`${ended} slow bodies had ended before the upload was through: nothing is shown`);
  say(`beside ${connections} slow bodies an upload began in ${started.toFixed(0)} ms, its first part was stored after ${through.toFixed(0)} ms`);
  const ends = await Promise.all(held);
  const cut = ends.filter(({ status }) => status.startsWith("HTTP/1.1 408")).length;
  if (cut !== connections) faults.push(`only ${cut} of ${connections} slow bodies were cut off with 408`);
  say(`${cut} of them were cut off with 408 after ${((performance.now() - began) / 1000).toFixed(0)} s (limit ${idleSeconds} s); memory ${before.toFixed(0)} → ${memory("VmHWM").toFixed(0)} MiB at most`);
}

async function largeBodies() {
  const head = (path, kind, more) => `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: ${kind}\r\n${more}\r\n\r\n`;
  const json = (more) => head("/api/v1/uploads", "application/json", more);
  const form = head("/api/upload", "multipart/form-data; boundary=b", "content-length: 400000000");
  const megabyte = Buffer.alloc(1_000_000, "x");
  const whole = (text) => send(json(`content-length: ${text.length}\r\nconnection: close`), [text]);
  const nested = (depth) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
  const chunk = Buffer.concat([Buffer.from("f4240\r\n"), megabyte, Buffer.from("\r\n")]);
  for (const [what, wanted, work] of [
    ["JSON of 100 MB, announced", 413, () => send(json("content-length: 100000000"), repeated(megabyte, 100))],
    ["JSON of 100 MB, in chunks", 413, () => send(json("transfer-encoding: chunked"), repeated(chunk, 100))],
    ["JSON 10,000 deep", 400, () => whole(`{"fileName":"a","size":1,"x":${nested(10_000)}}`)],
    ["JSON with a key twice", 400, () => whole(`{"fileName":"a","size":1,"size":2}`)],
    ["a form of 400 MB without a boundary", 413, () => send(form, repeated(megabyte, 400))],
    ["a form with headers of 400 MB", 413, () => send(`${form}--b\r\ncontent-disposition: form-data; name="`, repeated(megabyte, 400))],
  ]) {
    const before = memory("VmRSS");
    const ends = await Promise.all(Array.from({ length: 10 }, work));
    const grown = memory("VmRSS") - before;
    // A server that hangs up while we write may reset the connection before its answer is read.
    const wrong = ends.find(({ status }) => status !== "" && !status.startsWith(`HTTP/1.1 ${wanted}`));
    if (wrong) faults.push(`${what}: ${wrong.status}`);
    if (grown > 100) faults.push(`${what}: memory grew by ${grown.toFixed(0)} MiB`);
    const sent = Math.max(...ends.map((end) => end.sent)) / 1e6;
    say(`${what}, 10 at once: ${ends.find(({ status }) => status)?.status ?? "closed"}; ${sent.toFixed(1)} MB of one were sent; memory ${grown >= 0 ? "+" : ""}${grown.toFixed(0)} MiB`);
  }
}

// Peak memory of the server while a 2 GB upload runs, by both ways in: parts (as the browser sends them, three in flight) and one
// multipart/form-data body (POST /api/upload). Reads VmRSS and VmHWM of the server's process alone; ffmpeg is a child and not counted.
// Usage: node benches/upload-memory/run.mjs target/release/millrace [GIGABYTES]
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const binary = process.argv[2];
const size = Number(process.argv[3] ?? 2) * 1_000_000_000;
const inFlight = 3;

const data = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), "millrace-bench-"));
const free = statfsSync(data);
if (free.bavail * free.bsize < size * 2.5) throw new Error(`${data} needs ${(size * 2.5) / 1e9} GB of free space; set BENCH_DIR to another folder`);

const port = await new Promise((resolve) => {
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});
const env = { ...process.env, MILLRACE_BIND: `127.0.0.1:${port}`, MILLRACE_DATA_DIR: data, MILLRACE_LOG: "error" };
const origin = `http://127.0.0.1:${port}`;
const run = (args, input = "") => execFileSync(binary, args, { env, input, encoding: "utf8", stdio: ["pipe", "pipe", "ignore"] }).trim();

function memory(pid) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kib = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]);
  return { now: kib("VmRSS") / 1024, peak: kib("VmHWM") / 1024 };
}

function resetPeak(pid) {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

async function withServer(work) {
  const server = spawn(binary, ["serve"], { env, stdio: ["ignore", "ignore", "inherit"] });
  try {
    while (!(await fetch(origin, { redirect: "manual" }).catch(() => undefined))) await sleep(100);
    await sleep(1000);
    resetPeak(server.pid);
    const before = memory(server.pid).now;
    const began = performance.now();
    await work();
    const seconds = (performance.now() - began) / 1000;
    return { before, peak: memory(server.pid).peak, seconds };
  } finally {
    server.kill("SIGTERM");
    await new Promise((resolve) => server.once("exit", resolve));
  }
}

// CRC32C (Castagnoli), bit-reflected, one table.
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value >>> 0;
});
function crc32c(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = table[(value ^ byte) & 255] ^ (value >>> 8);
  return ((value ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

async function byParts(key) {
  const headers = { authorization: `Bearer ${key}` };
  const post = (path, body) => fetch(origin + path, { method: "POST", headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(body) });
  const begun = await post("/api/v1/uploads", { fileName: "two-gigabytes.mp4", size });
  if (begun.status !== 201) throw new Error(`begin: ${begun.status} ${await begun.text()}`);
  const ticket = await begun.json();
  const part = Buffer.alloc(ticket.partSize, "millrace ");
  const count = Math.ceil(size / ticket.partSize);
  const last = part.subarray(0, size - (count - 1) * ticket.partSize);
  const checksums = [crc32c(part), crc32c(last)];
  let next = 1;
  const sender = async () => {
    while (next <= count) {
      const number = next++;
      const url = new URL(ticket.partUrl.replace("{number}", number), origin);
      const answer = await fetch(url, {
        method: "PUT",
        headers: { ...headers, "x-millrace-crc32c": checksums[number === count ? 1 : 0] },
        body: number === count ? last : part,
      });
      if (!answer.ok) throw new Error(`part ${number}: ${answer.status} ${await answer.text()}`);
      await answer.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, sender));
  const completed = await post(`/api/v1/uploads/${ticket.uploadId}/complete`);
  if (!completed.ok) throw new Error(`complete: ${completed.status} ${await completed.text()}`);
}

async function byForm(key) {
  const boundary = "millrace-upload-memory";
  const chunk = Buffer.alloc(1 << 20, "millrace ");
  await new Promise((resolve, reject) => {
    const sending = request(`${origin}/api/upload`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": `multipart/form-data; boundary=${boundary}` },
    });
    sending.on("error", reject);
    sending.on("response", (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (piece) => (text += piece));
      answer.on("end", () => (answer.statusCode === 202 ? resolve() : reject(new Error(`upload: ${answer.statusCode} ${text}`))));
    });
    const write = async () => {
      sending.write(`--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="two-gigabytes.mp4"\r\ncontent-type: video/mp4\r\n\r\n`);
      for (let sent = 0; sent < size; sent += chunk.length) {
        const piece = chunk.subarray(0, Math.min(chunk.length, size - sent));
        if (!sending.write(piece)) await new Promise((resume) => sending.once("drain", resume));
      }
      sending.end(`\r\n--${boundary}--\r\n`);
    };
    write().catch(reject);
  });
}

try {
  run(["user", "add", "bench@example.org"], "a password for the bench\n");
  const key = run(["key", "add", "bench@example.org", "--name", "upload-memory"]);
  process.stdout.write(`${(size / 1e9).toFixed(1)} GB upload            before      peak    seconds     MB/s\n`);
  for (const [name, work] of [["in parts, 3 in flight", byParts], ["as one form", byForm]]) {
    const { before, peak, seconds } = await withServer(() => work(key));
    const columns = [`${before.toFixed(0)} MiB`, `${peak.toFixed(0)} MiB`, seconds.toFixed(1), (size / 1e6 / seconds).toFixed(0)];
    process.stdout.write(`${name.padEnd(22)} ${columns.map((column) => column.padStart(9)).join(" ")}\n`);
  }
} finally {
  rmSync(data, { recursive: true, force: true });
}

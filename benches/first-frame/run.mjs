// How long until a video's first frame is on the screen: the embed page beside a plain page with hls.js's light build, on the same ladder and the
// same emulated network, in turns. The light build knows no sound in a group of its own, so the peer plays silently and has less to load.
// Usage: node benches/first-frame/run.mjs target/release/millrace [--short] [--rounds N] [--json FILE]
// It fails where a page shows no frame; a ratio above the target is said, not punished.
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { cpus, loadavg, release } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { brotliCompressSync } from "node:zlib";
import { atRest, browser, freshPage, networks, product } from "./stage.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { short: { type: "boolean", default: false }, rounds: { type: "string" }, json: { type: "string" } },
});
const rounds = Number(values.rounds ?? (values.short ? 3 : 15));
const target = 0.25;
const say = (text) => process.stdout.write(`${text}\n`);
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

/** The peer: what a page with hls.js needs and nothing else, compressed and kept alive as ours. */
async function peer(url) {
  const packageFile = createRequire(import.meta.url).resolve("hls.js/package.json");
  const script = readFileSync(join(dirname(packageFile), "dist", "hls.light.min.js"));
  const page = `<!doctype html><html lang="en"><title>hls.js light</title><video muted autoplay playsinline></video><script src="/hls.js"></script>
<script>const hls = new Hls(); hls.loadSource(${JSON.stringify(url)}); hls.attachMedia(document.querySelector("video"));</script></html>`;
  const packed = { "/": ["text/html; charset=utf-8", brotliCompressSync(page)], "/hls.js": ["text/javascript", brotliCompressSync(script)] };
  const server = createServer((request, answer) => {
    const [kind, bytes] = packed[request.url] ?? ["text/plain", Buffer.alloc(0)];
    answer.writeHead(packed[request.url] ? 200 : 404, { "content-type": kind, "content-encoding": "br", "content-length": bytes.length }).end(bytes);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { version } = JSON.parse(readFileSync(packageFile, "utf8"));
  return { version, url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

/** Milliseconds from navigation to the first frame, and what came until then: bytes in all, and of scripts and documents. */
async function measure(chrome, network, address) {
  const { page, tools, frame, close } = await freshPage(chrome, network);
  const of = {};
  let all = 0, code = 0;
  tools.on("Network.requestWillBeSent", ({ requestId, request }) => (of[requestId] = request.url));
  tools.on("Network.dataReceived", ({ requestId, encodedDataLength }) => {
    all += encodedDataLength;
    if (!/\.(m3u8|mp4|m4s|css|jpg|svg)(\?|$)/.test(of[requestId] ?? "")) code += encodedDataLength;
  });
  try {
    await atRest();
    await page.goto(address, { waitUntil: "commit" });
    const late = new AbortController();
    const ms = await Promise.race([frame, sleep(60_000, undefined, { signal: late.signal })]);
    late.abort();
    if (ms === undefined) throw new Error(`${address} shows no frame`);
    return { all, code, ms };
  } finally {
    await close();
  }
}

const running = await product(positionals[0]);
const light = await peer(running.url);
const chrome = await browser();
const pages = { light: light.url, embed: `${running.embedUrl}?autoplay=1&muted=1` };
const machine = { cores: cpus().length, kernel: release(), load: loadavg()[0].toFixed(2), chromium: chrome.version(), node: process.version };
const result = { name: "first-frame", date: new Date().toISOString(), machine, peer: `hls.js light ${light.version}`, rounds, target, networks: {} };
try {
  for (const address of Object.values(pages)) await measure(chrome, null, address);
  for (const name of ["fast", "slow"]) {
    const took = { light: [], embed: [] };
    for (let round = 0; round < rounds; round++) {
      for (const which of round % 2 ? ["embed", "light"] : ["light", "embed"]) took[which].push(await measure(chrome, networks[name], pages[which]));
    }
    const ratios = took.embed.map(({ ms }, round) => ms / took.light[round].ms);
    const row = (which) => {
      const times = took[which].map(({ ms }) => ms);
      const kilobytes = (what) => Math.round(median(took[which].map((one) => one[what])) / 1000);
      return { ms: Math.round(median(times)), from: Math.round(Math.min(...times)), to: Math.round(Math.max(...times)), kB: kilobytes("all"), codekB: kilobytes("code") };
    };
    const ratio = { median: median(ratios), from: Math.min(...ratios), to: Math.max(...ratios) };
    result.networks[name] = { light: row("light"), embed: row("embed"), ratio };
  }
} finally {
  await chrome.close();
  light.close();
  await running.stop();
}

say(`First frame, ${rounds} rounds, milliseconds; ${machine.cores} cores, Linux ${machine.kernel}, load ${machine.load}, Chromium ${machine.chromium}`);
say("network  page              median  from    to   kB until then (of which pages and scripts)");
for (const [name, { light: of, embed, ratio }] of Object.entries(result.networks)) {
  for (const [label, row] of [[result.peer, of], ["our embed page", embed]]) {
    say(`${name.padEnd(8)} ${label.padEnd(18)}${[row.ms, row.from, row.to].map((n) => String(n).padStart(6)).join("")}   ${row.kB} (${row.codekB})`);
  }
  const verdict = ratio.median <= target ? "held" : "MISSED";
  say(`${name.padEnd(8)} ratio ${ratio.median.toFixed(3)} (${ratio.from.toFixed(3)} to ${ratio.to.toFixed(3)}); target ${target}: ${verdict}`);
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);

// What Lighthouse thinks of the pages: the library of somebody who is signed in, and the watch and embed pages of a video, on its two kinds of
// machine: a desktop, and a phone of the middle class on a slow network (both simulated: the page is loaded as fast as it goes, and the times are computed).
// Usage: node benches/page/run.mjs target/release/millrace [--short] [--rounds N] [--json FILE]
// It fails where a page cannot be measured; a score below the target is said, not punished: the machine's own load counts in it.
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";
import { parseArgs } from "node:util";
import { chromium } from "@playwright/test";
import lighthouse from "lighthouse";
import desktop from "lighthouse/core/config/desktop-config.js";
import { freePort, product } from "../first-frame/stage.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { short: { type: "boolean", default: false }, rounds: { type: "string" }, json: { type: "string" } },
});
const rounds = Number(values.rounds ?? (values.short ? 1 : 3));
const target = 95;
const say = (text) => process.stdout.write(`${text}\n`);
const middle = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
const configs = { desktop, phone: undefined };

/** Signs in by the form, as a person does, and keeps what the browser would send from then on. */
async function signIn(origin, { email, password }) {
  const browser = await chromium.launch({ executablePath });
  try {
    const page = await browser.newPage();
    await page.goto(`${origin}/sign-in`);
    await page.getByLabel("E-mail address").fill(email);
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL((url) => url.pathname === "/", { timeout: 60_000 });
    return (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
  } finally {
    await browser.close();
  }
}

/** One visit in a browser of its own, with nothing in its cache. */
async function visit(url, cookie, config) {
  const port = await freePort();
  const browser = await chromium.launch({ executablePath, args: [`--remote-debugging-port=${port}`, "--disable-component-update"] });
  try {
    const flags = { port, logLevel: "error", onlyCategories: ["performance"], extraHeaders: cookie ? { cookie } : undefined };
    const { lhr } = await lighthouse(url, flags, config);
    if (lhr.runtimeError) throw new Error(`${url}: ${lhr.runtimeError.message}`);
    const value = (audit) => lhr.audits[audit]?.numericValue ?? 0;
    return {
      score: Math.round(lhr.categories.performance.score * 100),
      fcp: value("first-contentful-paint"), lcp: value("largest-contentful-paint"), speed: value("speed-index"),
      tbt: value("total-blocking-time"), cls: value("cumulative-layout-shift"), bytes: value("total-byte-weight"),
      power: lhr.environment.benchmarkIndex, found: findings(lhr),
    };
  } finally {
    await browser.close();
  }
}

/** What Lighthouse would have done better, with what it thinks that would bring. */
const findings = (lhr) =>
  lhr.categories.performance.auditRefs
    .map(({ id }) => lhr.audits[id])
    .filter(({ score, scoreDisplayMode, metricSavings }) => score !== null && score < 0.9 && scoreDisplayMode === "metricSavings" && Object.values(metricSavings ?? {}).some((ms) => ms > 0))
    .map(({ id, metricSavings }) => `${id} ${JSON.stringify(metricSavings)}`);

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const { version } = JSON.parse(readFileSync(new URL("node_modules/lighthouse/package.json", import.meta.url), "utf8"));
const running = await product(positionals[0]);
const machine = { cores: cpus().length, kernel: release(), load: loadavg()[0].toFixed(2), node: process.version };
const result = { name: "page", date: new Date().toISOString(), machine, tool: `Lighthouse ${version}`, rounds, target, pages: {} };
try {
  const cookie = await signIn(running.origin, running.account);
  const pages = {
    library: [`${running.origin}/`, cookie],
    watch: [running.embedUrl.replace("/embed/", "/watch/"), undefined],
    embed: [running.embedUrl, undefined],
  };
  const visits = {};
  for (let round = 0; round < rounds; round++) {
    for (const [kind, config] of Object.entries(configs)) {
      for (const [name, [url, sent]] of Object.entries(pages)) (visits[`${name} ${kind}`] ??= []).push(await visit(url, sent, config));
    }
  }
  for (const [name, seen] of Object.entries(visits)) {
    const of = (what) => middle(seen.map((one) => one[what]));
    const scores = seen.map(({ score }) => score);
    result.pages[name] = {
      score: middle(scores), from: Math.min(...scores), to: Math.max(...scores),
      fcp: Math.round(of("fcp")), lcp: Math.round(of("lcp")), speed: Math.round(of("speed")), tbt: Math.round(of("tbt")),
      cls: Number(of("cls").toFixed(3)), kB: Math.round(of("bytes") / 1000), power: Math.round(of("power")), found: seen.at(-1).found,
    };
  }
} finally {
  await running.stop();
}

say(`${result.tool}, performance, median of ${rounds}; ${machine.cores} cores, Linux ${machine.kernel}, load ${machine.load}; times in milliseconds, as simulated`);
say("page              score  from   to    FCP    LCP  speed   TBT    CLS    kB  power");
for (const [name, page] of Object.entries(result.pages)) {
  const cells = [[page.score, 7], [page.from, 6], [page.to, 5], [page.fcp, 7], [page.lcp, 7], [page.speed, 7], [page.tbt, 6], [page.cls, 7], [page.kB, 6], [page.power, 7]];
  say(`${name.padEnd(16)}${cells.map(([cell, width]) => String(cell).padStart(width)).join("")}  ${page.score >= target ? "held" : "MISSED"}`);
  for (const finding of page.found) say(`    ${finding}`);
}
say(`Target: ${target} on each. "power" is Lighthouse's measure of the machine at that moment: below 1000, TBT says more of the machine than of the page.`);
if (values.json) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);

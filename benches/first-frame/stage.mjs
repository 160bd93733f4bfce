// What the measurement and the soak both need: the real binary with a video in it, a browser whose network is as slow as it is told to be,
// and a page that notes when its first frame is shown.
import { chromium } from "@playwright/test";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** As Chromium's developer tools emulate them: a delay for each request, and a width that all of them share. Bytes a second, milliseconds. */
export const networks = {
  none: null,
  fast: { offline: false, latency: 40, downloadThroughput: 10e6 / 8, uploadThroughput: 5e6 / 8 },
  slow: { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 0.75e6 / 8 },
};

/** A port that was free a moment ago. */
export async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** The real clip from a camera in 720p, three times over with sound: a source that the ladder keeps as its top rung. */
function makeClip(folder) {
  const file = join(folder, "clip.mp4");
  const real = join(root, "server", "tests", "media", "car-detection.mp4");
  const encode = "-c:v libx264 -preset veryfast -b:v 2500k -maxrate 3M -bufsize 6M -pix_fmt yuv420p -g 50 -c:a aac -b:a 128k -ac 2 -t 44";
  execFileSync("ffmpeg", ["-v", "error", "-y", "-stream_loop", "1", "-i", real, "-vf", "fps=25,scale=1280:720", ...encode.split(" "), file]);
  return file;
}

/** Whose video it is. */
const account = { email: "bench@example.org", password: "a password for the bench" };

/** Starts the binary with one finished video in it; `stop` ends it and removes what it wrote. */
export async function product(binary) {
  const data = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), "millrace-bench-"));
  const origin = `http://127.0.0.1:${await freePort()}`;
  const env = { ...process.env, MILLRACE_BIND: new URL(origin).host, MILLRACE_PUBLIC_URL: origin, MILLRACE_DATA_DIR: data, MILLRACE_LOG: "error" };
  const run = (args, input = "") => execFileSync(binary, args, { env, cwd: tmpdir(), input, encoding: "utf8", stdio: ["pipe", "pipe", "ignore"] }).trim();
  run(["user", "add", account.email], `${account.password}\n`);
  const headers = { authorization: `Bearer ${run(["key", "add", account.email, "--name", "first-frame"])}` };
  const server = spawn(binary, ["serve"], { env, cwd: tmpdir(), stdio: ["ignore", "ignore", "inherit"] });
  const over = new Promise((resolve) => server.once("exit", resolve));
  const stop = async () => {
    server.kill("SIGTERM");
    await over;
    rmSync(data, { recursive: true, force: true });
  };
  try {
    while (!(await fetch(`${origin}/healthz`).catch(() => undefined))) await sleep(100);
    const body = new FormData();
    body.set("title", "First frame");
    body.set("file", new Blob([readFileSync(makeClip(data))]), "clip.mp4");
    const answer = await fetch(`${origin}/api/upload`, { method: "POST", headers, body });
    if (answer.status !== 202) throw new Error(`the upload was answered with ${answer.status}: ${await answer.text()}`);
    const { videoId } = await answer.json();
    const ask = async (path) => (await fetch(`${origin}${path}?videoId=${videoId}`, { headers })).json();
    for (let state; (state = await ask("/api/status")).status !== "done"; await sleep(500)) {
      if (state.status === "failed") throw new Error(`the clip failed: ${JSON.stringify(state)}`);
    }
    const { url, embedUrl } = await ask("/api/stream");
    return { origin, url, embedUrl, account, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Until a new window is at rest. Chromium draws its own address bar and menus as pages of their own: while it does, they take the processor from
 * the page that is to be measured, and no viewer opens a window for each video.
 */
export const atRest = () => sleep(1000);

/** The browser; `autoplay` without asking, since a bench has no viewer who clicks. */
export const browser = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--autoplay-policy=no-user-gesture-required", "--mute-audio", "--disable-background-networking", "--disable-component-update"],
  });

/**
 * A page in a context of its own, without a cache, on such a network. It notes its first frame, and every step back or stop of its clock.
 * `frame` is told by the page itself, milliseconds after navigation: whoever asks it instead has Playwright put a third of a megabyte of script
 * into it first, which takes the browser longer than what is to be measured.
 */
export async function freshPage(chrome, network) {
  const context = await chrome.newContext({ viewport: { width: 1280, height: 720 } });
  const page = await context.newPage();
  const tools = await context.newCDPSession(page);
  await tools.send("Network.enable");
  await tools.send("Network.setCacheDisabled", { cacheDisabled: true });
  if (network) await tools.send("Network.emulateNetworkConditions", network);
  await tools.send("Runtime.enable");
  await tools.send("Runtime.addBinding", { name: "firstFrame" });
  const frame = new Promise((resolve) => tools.on("Runtime.bindingCalled", ({ name, payload }) => name === "firstFrame" && resolve(Number(payload))));
  await page.addInitScript(() => {
    const seen = (window.seen = { frame: 0, back: 0, waits: 0, gaps: 0 });
    const watch = (video) => {
      let last = 0;
      video.requestVideoFrameCallback(() => window.firstFrame(String((seen.frame = performance.now()))));
      video.addEventListener("waiting", () => seen.frame && seen.waits++);
      video.addEventListener("timeupdate", () => {
        if (video.currentTime < last) seen.back++;
        last = video.currentTime;
        if (video.buffered.length > 1) seen.gaps++;
      });
    };
    new MutationObserver((_, observer) => {
      const video = document.querySelector("video");
      if (!video) return;
      observer.disconnect();
      watch(video);
    }).observe(document, { childList: true, subtree: true });
  });
  return { page, tools, frame, close: () => context.close() };
}

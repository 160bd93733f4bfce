// Plays what the packager makes of each clip in Chromium, by hls.js and natively, to the end and after a seek.
//
// usage: node benches/packager/play.mjs PACKAGE CLIP...
//
// PACKAGE is the built example `package`. Needs the project's npm packages and a Chromium that decodes H.264 and AAC (CHROMIUM, by default
// /usr/bin/chromium). Prints a line a clip and way: how many frames came, and from when to when picture and sound were buffered, which shows
// whether an edit list was understood. Exits with 1 where one did not play through.
import { execFileSync } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { basename, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const HLS = fileURLToPath(new URL("../../node_modules/hls.js/dist/hls.min.js", import.meta.url));
const TYPES = { m3u8: "application/vnd.apple.mpegurl", m4s: "video/iso.segment", mp4: "video/mp4", js: "text/javascript", html: "text/html" };

/** Serves a folder, and the page at its top. */
function serve(folder) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
    const file = path === "/hls.js" ? HLS : join(folder, path);
    response.setHeader("content-type", TYPES[file.split(".").pop()] ?? "application/octet-stream");
    if (path === "/") return response.setHeader("content-type", "text/html").end("<!doctype html><video muted></video><script src=/hls.js></script>");
    if (!file.startsWith(folder) && file !== HLS) return response.writeHead(403).end();
    if (!existsSync(file)) return response.writeHead(404).end();
    createReadStream(file).pipe(response);
  });
  return new Promise((listening) => server.listen(0, "127.0.0.1", () => listening(server)));
}

/** In the page: plays through, after a seek to the second half once the beginning has been seen. */
async function playThrough(native) {
  const video = document.querySelector("video");
  const report = { fatal: null, buffered: {}, start: null };
  if (native) {
    if (!video.canPlayType("application/vnd.apple.mpegurl")) return { ...report, skipped: true };
    video.src = "/index.m3u8";
  } else {
    const hls = new Hls({ maxBufferLength: 60 });
    hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) report.fatal = data.details; });
    hls.on(Hls.Events.BUFFER_APPENDED, (_, data) => {
      for (const [type, ranges] of Object.entries(data.timeRanges)) {
        if (ranges.length) report.buffered[type] = [ranges.start(0), ranges.end(ranges.length - 1), ranges.length];
      }
    });
    hls.loadSource("/index.m3u8");
    hls.attachMedia(video);
  }
  const until = (holds, seconds) => new Promise((done) => {
    const began = performance.now();
    const look = setInterval(() => {
      const late = performance.now() - began > seconds * 1000;
      if (!holds() && !report.fatal && !video.error && !late) return;
      clearInterval(look);
      done(holds());
    }, 50);
  });
  video.play().catch(() => {});
  report.began = await until(() => video.currentTime > 0.5, 40);
  report.start = video.buffered.length ? video.buffered.start(0) : null;
  video.playbackRate = 2;
  // The beginning as it comes, then the end, from somewhere that is no key frame.
  await until(() => video.currentTime > Math.min(video.duration * 0.3, 10), 60);
  video.currentTime = Math.max(video.duration * 0.633, video.duration - 13.3);
  report.ended = await until(() => video.ended, 120);
  report.at = video.currentTime;
  report.duration = video.duration;
  report.frames = video.getVideoPlaybackQuality().totalVideoFrames;
  report.error = video.error?.message ?? null;
  return report;
}

const [program, ...clips] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--autoplay-policy=no-user-gesture-required", "--mute-audio"],
});
let allRight = true;
for (const clip of clips) {
  const folder = mkdtempSync(join(tmpdir(), "packager-"));
  try {
    try {
      execFileSync(program, ["dump", clip, folder]);
    } catch (refused) {
      if (refused.status !== 3) throw refused;
      console.log(`     ${basename(clip).padEnd(32)} refused`);
      continue;
    }
    const server = await serve(folder);
    for (const way of ["hls.js", "native"]) {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${server.address().port}/`);
      const report = await page.evaluate(playThrough, way === "native");
      await page.close();
      const right = report.skipped || (report.began && report.ended && !report.fatal && !report.error && report.frames > 0);
      allRight &&= right;
      const ranges = Object.entries(report.buffered).map(([type, [from, to, count]]) => `${type} ${from.toFixed(3)}–${to.toFixed(3)}${count > 1 ? ` in ${count} pieces` : ""}`);
      const facts = report.skipped ? "not supported" : `${report.frames} frames, ended at ${report.at?.toFixed(2)} of ${report.duration?.toFixed(2)}; ${ranges.join(", ")}`;
      console.log(`${right ? "ok  " : "BAD "} ${basename(clip).padEnd(32)} ${way.padEnd(7)} ${facts} ${report.fatal ?? ""} ${report.error ?? ""}`);
    }
    server.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
await browser.close();
process.exit(allRight ? 0 : 1);

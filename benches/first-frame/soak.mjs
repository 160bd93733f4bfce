// Starts the embed page again and again, on networks of three kinds, some at once and some at a click, until hls.js has taken over and plays what
// it loaded by itself. Fails where one shows no frame, hangs, jumps back, or leaves a hole in what is buffered.
// Usage: node benches/first-frame/soak.mjs target/release/millrace [STARTS]
import { browser, freshPage, networks, product } from "./stage.mjs";

const starts = Number(process.argv[3] ?? 200);
const side = 3;
const kinds = [["none", true], ["fast", true], ["fast", false], ["none", false], ["slow", true]];
const say = (text) => process.stdout.write(`${text}\n`);

const running = await product(process.argv[2]);
const chrome = await browser();
const faults = [], frames = [], handed = [];
let next = 0, plain = 0, waits = 0;

async function start(number) {
  const [network, autoplay] = kinds[number % kinds.length];
  const { page, close } = await freshPage(chrome, networks[network]);
  const state = () => page.evaluate(() => {
    const video = document.querySelector("video");
    const ends = [...Array(video.buffered.length).keys()].map((index) => [video.buffered.start(index), video.buffered.end(index)]);
    return { ...window.seen, time: video.currentTime, ends, paused: video.paused, error: video.error?.message, shown: document.querySelector(".player").dataset.playerState };
  });
  try {
    await page.goto(`${running.embedUrl}?muted=1${autoplay ? "&autoplay=1" : ""}`, { waitUntil: "commit" });
    if (!autoplay) await page.locator(".player-big").click();
    await page.waitForFunction(() => window.seen.frame, null, { timeout: 60_000 });
    await page.waitForFunction(() => performance.getEntriesByName("millrace: hls.js has taken over").length, null, { timeout: 60_000 }).catch(() => plain++);
    const { time, ends } = await state();
    // Into what only hls.js can have loaded, or, where all of it is there on a busy machine, on through what is.
    const goal = Math.max(time, ends.at(-1)?.[1] ?? 0) + 1;
    const reached = (goal) => {
      const { currentTime, duration } = document.querySelector("video");
      return currentTime > Math.min(goal, duration - 1);
    };
    await page.waitForFunction(reached, goal, { timeout: 90_000 });
    const then = await state();
    if (then.back || then.gaps || then.ends.length !== 1 || then.error) throw new Error(`not in one piece: ${JSON.stringify(then)}`);
    frames.push(then.frame);
    handed.push(goal - 1);
    waits += then.waits;
  } catch (error) {
    faults.push(`start ${number} (${network}, ${autoplay ? "at once" : "at a click"}): ${error.message.split("\n")[0]}; ${JSON.stringify(await state().catch(() => null))}`);
    say(faults.at(-1));
  } finally {
    await close();
  }
}

const began = performance.now();
try {
  await Promise.all(Array.from({ length: side }, async () => {
    while (next < starts) {
      const number = next++;
      await start(number);
      if (number % 20 === 19) say(`${number + 1} of ${starts}, ${faults.length} faults`);
    }
  }));
} finally {
  await chrome.close();
  await running.stop();
}
const most = (numbers) => Math.round(Math.max(0, ...numbers));
say(`${starts} starts in ${Math.round((performance.now() - began) / 1000)} s: ${faults.length} faults, ${plain} without a hand-over, ${waits} waits while playing; slowest first frame ${most(frames)} ms, latest hand-over with ${most(handed)} s loaded`);
process.exitCode = faults.length || plain ? 1 : 0;

// What browsers do not play as it is plays from its running encode: here ffmpeg is held while somebody watches.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { clip } from "../fixtures/clips";
import { expectToPlay } from "../fixtures/playback";
import { Server } from "../fixtures/server";
import { expect, owner, test as base } from "../fixtures/test";
import { status, stream, upload } from "../fixtures/video";
import type { Page } from "@playwright/test";

const test = base.extend<object, { server: Server }>({
  server: [
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const server = await Server.start("growing");
      server.command(["user", "add", owner.email], `${owner.password}\n`);
      await use(server);
      await server.stop();
    },
    { scope: "worker" },
  ],
});

const video = (page: Page) => page.locator("video").first();
const position = (page: Page) => video(page).evaluate((element: HTMLVideoElement) => element.currentTime);

/** Sends a signal to what works in this server's scratch folder; says how many heard it. */
function signal(server: Server, name: "-STOP" | "-CONT" | "-KILL"): number {
  const works = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${server.dataFolder}/scratch`);
    } catch {
      return false;
    }
  };
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && works(name));
  if (pids.length > 0) execFileSync("kill", [name, ...pids]);
  return pids.length;
}

test("a film that browsers do not play is watched while it is encoded, and to its end without a reload", async ({ page, request, apiKey, server }) => {
  test.setTimeout(300_000);
  const videoId = await upload(request, apiKey, clip("film.mkv"), "Still in the making");
  await expect.poll(async () => (await status(request, apiKey, videoId)).playable, { timeout: 120_000, intervals: [100] }).toBe(true);
  expect(signal(server, "-STOP"), "the encode is held").toBeGreaterThan(0);
  expect(await status(request, apiKey, videoId)).toMatchObject({ status: "processing", stage: "encoding", playable: true });
  const { playbackId } = await stream(request, apiKey, videoId);
  await page.goto(`/watch/${playbackId}`);
  await page.evaluate(() => (document.documentElement.dataset.since = "the beginning"));
  await expectToPlay(page);
  // Nothing more comes: it plays what is there, and says what it waits for.
  await video(page).evaluate((element: HTMLVideoElement) => (element.currentTime = element.buffered.end(element.buffered.length - 1) - 1));
  const words = page.getByText("The rest is still being processed");
  await expect(words).toBeVisible({ timeout: 30_000 });
  await expect(words, "for eyes as well").not.toHaveCSS("width", "1px");
  const held = await position(page);
  signal(server, "-CONT");
  await expect.poll(() => position(page), { timeout: 60_000, message: "it goes on by itself" }).toBeGreaterThan(held + 2);
  await expect.poll(async () => (await status(request, apiKey, videoId)).status, { timeout: 180_000, intervals: [500] }).toBe("done");
  // The player hears of the end with the playlist, which it reads every few seconds.
  await expect(async () => {
    await video(page).evaluate((element: HTMLVideoElement) => (element.currentTime = 58));
    expect(await position(page)).toBeGreaterThan(57);
  }).toPass({ timeout: 60_000, intervals: [1_000] });
  await expect.poll(() => video(page).evaluate((element: HTMLVideoElement) => element.ended), { timeout: 60_000, message: "it plays to its end" }).toBe(true);
  expect(await page.evaluate(() => document.documentElement.dataset.since), "the page was not loaded again").toBe("the beginning");
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("an encode that dies under a viewer is waited for, and the next one goes on in the same page", async ({ page, request, apiKey, server }) => {
  test.setTimeout(300_000);
  const videoId = await upload(request, apiKey, clip("film.mkv"), "Dies once");
  const playable = (so: boolean) => expect.poll(async () => (await status(request, apiKey, videoId)).playable, { timeout: 120_000, intervals: [100] }).toBe(so);
  await playable(true);
  expect(signal(server, "-STOP"), "the encode is held").toBeGreaterThan(0);
  const { playbackId } = await stream(request, apiKey, videoId);
  const generations = new Set<string>();
  page.on("request", (asked) => {
    const segment = /\/media\/([^/]+)\/.*\.m4s/.exec(asked.url());
    if (segment) generations.add(segment[1]);
  });
  await page.goto(`/watch/${playbackId}`);
  await page.evaluate(() => (document.documentElement.dataset.since = "the beginning"));
  await expectToPlay(page);
  expect(generations.size).toBe(1);
  signal(server, "-KILL");
  await playable(false);
  await playable(true);
  await expect.poll(() => generations.size, { timeout: 60_000, message: "it asks for what the next encode makes" }).toBe(2);
  await expectToPlay(page);
  expect(await page.evaluate(() => document.documentElement.dataset.since), "the page was not loaded again").toBe("the beginning");
});

// A first visitor in Firefox: signs up, uploads, watches at once, and shows the video on another site, where the page's own beginning hands over to
// hls.js and it plays to the end. Firefox has its own media stack, its own MediaSource and its own ideas of a page that is left.
import { expect, test } from "@playwright/test";
import { clip } from "../fixtures/clips";
import { otherSite } from "../fixtures/other-site";
import { Server } from "../fixtures/server";
import { Firefox, type Page } from "./bidi";

const TAKEN_OVER = "millrace: hls.js has taken over";

const shown = (page: Page, text: string) => expect.poll(() => page.evaluate(() => document.body.innerText), { message: text, timeout: 120_000 }).toContain(text);

const video = (page: Page) =>
  page.evaluate(() => {
    const video = document.querySelector("video")!;
    const { currentTime, paused, ended, muted, error, videoHeight } = video;
    return { currentTime, paused, ended, muted, error: error && error.message, videoHeight, frames: video.getVideoPlaybackQuality().totalVideoFrames };
  });

/** Waits until frames are decoded and time advances. */
async function expectToPlay(page: Page): Promise<void> {
  await expect.poll(async () => (await video(page)).frames, { message: "frames are decoded" }).toBeGreaterThan(0);
  const before = await video(page);
  const goesOn = async () => {
    const { frames, currentTime } = await video(page);
    return frames > before.frames + 5 && currentTime > before.currentTime + 0.3;
  };
  await expect.poll(goesOn, { message: "more frames are decoded, and time advances" }).toBe(true);
}

async function seek(page: Page, second: number): Promise<void> {
  await page.evaluate((second) => void (document.querySelector("video")!.currentTime = second), second);
  await expect.poll(async () => (await video(page)).currentTime, { message: `it plays on from ${second}` }).toBeGreaterThan(second + 0.3);
}

async function expectToEnd(page: Page): Promise<void> {
  await seek(page, 27);
  await expect.poll(async () => (await video(page)).ended, { message: "it plays to its end" }).toBe(true);
  expect((await video(page)).error).toBeNull();
}

test("from the first visit to a video on another site", async () => {
  const server = await Server.start("firefox");
  const firefox = await Firefox.launch();
  try {
    const page = await firefox.page(1280, 800);
    await page.goto(server.origin);
    await page.type("input[type=email]", "ada@example.org");
    await page.type("input[type=password]", "correct horse battery staple");
    await page.click("form button:not([type])");
    await shown(page, "Upload your first video");
    const alive = () => page.evaluate(() => [...document.querySelectorAll("button")].some((button) => button.textContent === "Upload" && !button.disabled));
    await expect.poll(alive, { message: "the dashboard is alive" }).toBe(true);

    await page.choose("input[type=file]", clip("car-detection.mp4"));
    await expect.poll(() => page.evaluate(() => document.querySelector("article")?.innerText), { timeout: 60_000 }).toMatch(/Playable|Ready/);
    await page.click("article a");
    await expect.poll(() => page.evaluate(() => !!document.querySelector(".player-big:not([hidden])"))).toBe(true);
    await page.click(".player-big");
    await expectToPlay(page);
    await seek(page, 20);
    await seek(page, 3);
    await shown(page, "Ready");
    await expectToEnd(page);

    const snippet = await page.evaluate(() => [...document.querySelectorAll<HTMLInputElement>(".copy input")].map(({ value }) => value).find((value) => value.includes("<iframe")));
    const address = snippet!.match(/src="([^"]+)"/)![1];
    for (const [query, muted] of [["?autoplay=1&muted=1", true], ["?autoplay=1", false]] as const) {
      const site = await otherSite(`<iframe src="${address}${query}" width="640" height="360" allow="autoplay; fullscreen"></iframe>`);
      try {
        await page.goto(site.url);
        const frame = await page.frame();
        await expectToPlay(frame);
        expect((await video(frame)).muted).toBe(muted);
        await expect.poll(() => frame.evaluate((mark) => performance.getEntriesByName(mark).length, TAKEN_OVER), { message: "hls.js takes over" }).toBe(1);
        await seek(frame, 15);
        await seek(frame, 2);
        await expectToEnd(frame);
      } finally {
        await site.close();
      }
    }
    expect(firefox.errors, "errors on the pages' consoles").toEqual([]);
  } finally {
    await firefox.close();
    await server.stop();
  }
});

// What plays goes on: while the server is killed and started again, and while the video is processed once more and its renditions are replaced.
import { clip } from "../fixtures/clips";
import { expectToPlay } from "../fixtures/playback";
import { expect, test } from "../fixtures/test";
import { finished, status } from "../fixtures/video";
import type { Page } from "@playwright/test";

test.use({ room: "interruptions" });
test.describe.configure({ mode: "default" });

const position = (page: Page) => page.locator("video").evaluate((video: HTMLVideoElement) => video.currentTime);

/** Plays on for so many seconds of film, and nothing says that it could not. */
async function playsOn(page: Page, seconds: number): Promise<void> {
  const from = await position(page);
  await expect.poll(() => position(page), { timeout: 180_000, message: "it plays on" }).toBeGreaterThan(from + seconds);
  await expect(page.getByRole("alert")).toHaveCount(0);
  expect(await page.locator("video").evaluate((video: HTMLVideoElement) => video.error?.message)).toBeUndefined();
}

/** Goes to where nothing is loaded yet. */
async function seek(page: Page, second: number): Promise<void> {
  await page.locator("video").evaluate((video: HTMLVideoElement, to) => (video.currentTime = to), second);
}

test("a film plays on over a killed server, also where nothing was loaded yet", async ({ page, request, apiKey, server }) => {
  test.setTimeout(900_000);
  const { playbackId } = await finished(request, apiKey, clip("long.mp4"), "Over a restart");
  await page.goto(`/watch/${playbackId}`);
  await expectToPlay(page);
  await server.killAndStart();
  await playsOn(page, 3);
  // While it is down, the player asks for what is not there.
  const back = server.killAndStart();
  await seek(page, 150);
  await back;
  await playsOn(page, 3);
  expect(await position(page)).toBeGreaterThan(150);
});

test("a film plays on while it is processed once more, and afterwards", async ({ page, request, apiKey, server }) => {
  test.setTimeout(900_000);
  const film = await finished(request, apiKey, clip("long.mkv"), "Over a new encode");
  await page.goto(`/watch/${film.playbackId}`);
  await expectToPlay(page);
  server.command(["job", "encode", film.videoId]);
  await playsOn(page, 2);
  await expect.poll(async () => (await status(request, apiKey, film.videoId)).status, { timeout: 300_000, intervals: [500] }).toBe("done");
  // What was loaded plays on; what was not is in the new renditions alone.
  await playsOn(page, 1);
  await seek(page, 200);
  await playsOn(page, 3);
  expect(await position(page)).toBeGreaterThan(200);
});

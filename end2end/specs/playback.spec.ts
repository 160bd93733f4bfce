// A picture that moves, wherever the player stands, whatever was uploaded.
import { clip } from "../fixtures/clips";
import { otherSite } from "../fixtures/other-site";
import { expectToPlay } from "../fixtures/playback";
import { expect, test } from "../fixtures/test";
import { finished, stream } from "../fixtures/video";

test.describe.configure({ mode: "default" });

let videoId: string;

test.beforeAll(async ({ playwright, server, apiKey }) => {
  const request = await playwright.request.newContext({ baseURL: server.origin });
  videoId = (await finished(request, apiKey, clip("car-detection.mp4"), "Cars at a crossing")).videoId;
  await request.dispose();
});

test("plays on the video page", async ({ signedIn: page }) => {
  await page.goto(`/videos/${videoId}`);
  await expectToPlay(page);
});

test("plays by its link for somebody without an account", async ({ page, request, apiKey, context }) => {
  const { playbackId } = await stream(request, apiKey, videoId);
  expect(await context.cookies()).toEqual([]);
  await page.goto(`/watch/${playbackId}`);
  await expect(page).toHaveTitle(/Cars at a crossing/);
  await expectToPlay(page);
});

test("plays embedded in another site's page, which loads the player alone", async ({ page, request, apiKey, server }) => {
  const { embedUrl } = await stream(request, apiKey, videoId);
  const site = await otherSite(`<iframe src="${embedUrl}" width="640" height="360" allow="autoplay; fullscreen; picture-in-picture"></iframe>`);
  const loaded: string[] = [];
  page.on("request", (sent) => loaded.push(sent.url()));
  try {
    await page.goto(site.url);
    const frame = page.frame({ url: embedUrl });
    expect(frame, "the frame is there").not.toBeNull();
    await expectToPlay(frame!);
    expect(new URL(page.url()).hostname).toBe("localhost");
    expect(new URL(frame!.url()).origin).toBe(server.origin);
    expect(loaded.filter((url) => /\/pkg\/(v-|millrace\.(wasm|js))/.test(url)), "nothing of the dashboard").toEqual([]);
    expect(loaded.filter((url) => !url.startsWith(server.origin) && !url.startsWith(site.url)), "nothing from elsewhere").toEqual([]);
  } finally {
    await site.close();
  }
});

test("seeks to where it is told and goes on", async ({ page, request, apiKey }) => {
  const { playbackId } = await stream(request, apiKey, videoId);
  await page.goto(`/watch/${playbackId}`);
  await expectToPlay(page);
  await page.locator("video").evaluate((video: HTMLVideoElement) => (video.currentTime = 20));
  await expect.poll(() => page.locator("video").evaluate((video: HTMLVideoElement) => video.currentTime)).toBeGreaterThan(20.5);
});

test("is worked by the keyboard", async ({ page, request, apiKey }) => {
  const { playbackId } = await stream(request, apiKey, videoId);
  await page.goto(`/watch/${playbackId}`);
  await expectToPlay(page);
  const paused = () => page.locator("video").evaluate((video: HTMLVideoElement) => video.paused);
  await page.getByRole("button", { name: /^pause/i }).first().focus();
  await page.keyboard.press("k");
  await expect.poll(paused).toBe(true);
  const before = await page.locator("video").evaluate((video: HTMLVideoElement) => video.currentTime);
  await page.keyboard.press("ArrowRight");
  await expect.poll(() => page.locator("video").evaluate((video: HTMLVideoElement) => video.currentTime)).toBeGreaterThan(before + 2);
  await page.keyboard.press("k");
  await expect.poll(paused).toBe(false);
});

for (const name of ["silent.mp4", "portrait.mp4", "mp3-sound.mkv", "clip.webm"] as const) {
  test(`plays what became of ${name}`, async ({ page, request, apiKey }) => {
    const { playbackId } = await finished(request, apiKey, clip(name), name);
    await page.goto(`/watch/${playbackId}`);
    await expectToPlay(page);
    const size = await page.locator("video").evaluate((video: HTMLVideoElement) => [video.videoWidth, video.videoHeight]);
    expect(size[0] < size[1], "portrait stays portrait").toBe(name === "portrait.mp4");
  });
}

// A video plays before anything is encoded: here nothing ever is, until a worker is started.
import { clip } from "../fixtures/clips";
import { card, choose, hydrated } from "../fixtures/dashboard";
import { otherSite } from "../fixtures/other-site";
import { expectToPlay } from "../fixtures/playback";
import { Server } from "../fixtures/server";
import { expect, owner, test as base } from "../fixtures/test";
import { status, stream, upload } from "../fixtures/video";
import type { Frame, Page } from "@playwright/test";

const test = base.extend<object, { server: Server }>({
  server: [
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const server = await Server.start("instant", { MILLRACE_TRANSCODE_IN_SERVE: "false" });
      server.command(["user", "add", owner.email], `${owner.password}\n`);
      await use(server);
      await server.stop();
    },
    { scope: "worker" },
  ],
});

test.describe.configure({ mode: "default" });

const video = (where: Page | Frame) => where.locator("video").first();
const position = (where: Page | Frame) => video(where).evaluate((element: HTMLVideoElement) => element.currentTime);

test("from the last byte to a moving picture without an encoder, to its very end", async ({ signedIn: page }) => {
  await page.goto("/");
  await hydrated(page);
  await choose(page, clip("car-detection.mp4"));
  await expect(card(page, "car-detection")).toContainText("Playable", { timeout: 30_000 });
  await expect(card(page, "car-detection")).toContainText("In line");
  await card(page, "car-detection").getByRole("link").first().click();
  await expectToPlay(page);
  expect(await video(page).evaluate((element: HTMLVideoElement) => [element.videoWidth, element.videoHeight])).toEqual([768, 432]);
  await video(page).evaluate((element: HTMLVideoElement) => (element.currentTime = 27));
  await expect.poll(() => video(page).evaluate((element: HTMLVideoElement) => element.ended), { timeout: 30_000, message: "it plays to its end" }).toBe(true);
  expect(await position(page)).toBeGreaterThan(29);
});

test("its link and its embed play for somebody without an account", async ({ page, request, apiKey }) => {
  const videoId = await upload(request, apiKey, clip("car-detection.mp4"), "At once");
  expect(await status(request, apiKey, videoId)).toMatchObject({ status: "processing", playable: true });
  const { playbackId, embedUrl } = await stream(request, apiKey, videoId);
  await page.goto(`/watch/${playbackId}`);
  await expectToPlay(page);
  const site = await otherSite(`<iframe src="${embedUrl}" width="640" height="360" allow="autoplay; fullscreen"></iframe>`);
  try {
    await page.goto(site.url);
    await expectToPlay(page.frame({ url: embedUrl })!);
  } finally {
    await site.close();
  }
});

test("its link plays while the upload is on its way, and goes on when more has arrived", async ({ signedIn: page, request, apiKey, browser, server }) => {
  test.setTimeout(300_000);
  await page.addInitScript(() => {
    // A line that is known to be slow gets small parts.
    if (location.protocol.startsWith("http")) localStorage.setItem("millrace-upload-speed", "100000");
  });
  await page.goto("/");
  await hydrated(page);
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Network.enable");
  const line = (bytesPerSecond: number) => devtools.send("Network.emulateNetworkConditions", { offline: false, latency: 5, downloadThroughput: -1, uploadThroughput: bytesPerSecond });
  await line(250_000);
  // Its tables are at its end.
  await choose(page, clip("long.mp4"));
  await expect(card(page, "long")).toContainText("Playable", { timeout: 90_000 });
  await expect(card(page, "long")).toContainText(/Uploading \d+ %/);
  const videoId = (await card(page, "long").getByRole("link").first().getAttribute("href"))!.split("/").pop()!;
  const { playbackId } = await stream(request, apiKey, videoId);
  const visitor = await browser.newContext({ baseURL: server.origin });
  const watching = await visitor.newPage();
  await watching.goto(`/watch/${playbackId}`);
  await expectToPlay(watching);
  expect(await status(request, apiKey, videoId)).toMatchObject({ status: "uploading", playable: true });
  // Nothing more comes: it plays what is there, and says what it waits for.
  await line(1_000);
  await video(watching).evaluate((element: HTMLVideoElement) => (element.currentTime = element.buffered.end(element.buffered.length - 1) - 1));
  const words = watching.getByText("Waiting for the rest of the upload");
  await expect(words).toBeVisible({ timeout: 60_000 });
  await expect(words, "for eyes as well").not.toHaveCSS("width", "1px");
  const stalled = await position(watching);
  await line(-1);
  await expect.poll(() => position(watching), { timeout: 90_000, message: "it goes on by itself" }).toBeGreaterThan(stalled + 3);
  await expect.poll(async () => (await status(request, apiKey, videoId)).status, { timeout: 90_000 }).toBe("processing");
  // Until its player has read the playlist again, nothing behind what had arrived can be asked for.
  await expect.poll(() => video(watching).evaluate((element: HTMLVideoElement) => element.duration), { timeout: 90_000, message: "it knows the whole" }).toBeGreaterThan(205);
  await video(watching).evaluate((element: HTMLVideoElement) => (element.currentTime = 200));
  await expect.poll(() => position(watching), { timeout: 60_000, message: "all of it" }).toBeGreaterThan(202);
  await expect(watching.getByRole("alert")).toHaveCount(0);
  await visitor.close();
});

test("whoever is watching gets the ladder at their position when it is there", async ({ page, request, apiKey, server }) => {
  test.setTimeout(240_000);
  const videoId = await upload(request, apiKey, clip("car-detection.mp4"), "Grows under you");
  const { playbackId } = await stream(request, apiKey, videoId);
  const pictures = new Set<string>();
  page.on("request", (request) => {
    const [, rendition] = new URL(request.url()).pathname.match(/^\/media\/(.+)\/[^/]+$/) ?? [];
    if (rendition && !rendition.endsWith("/audio")) pictures.add(rendition);
  });
  await page.goto(`/watch/${playbackId}`);
  await expectToPlay(page);
  const settings = page.getByRole("button", { name: "Settings" });
  const rung = (name?: string | RegExp) => page.getByRole("group", { name: "Quality" }).getByRole("menuitemradio", { name });
  const rungs = async () => rung().count();
  await page.mouse.move(300, 300);
  await settings.click();
  expect(await rungs(), "Auto and the source").toBe(2);
  await page.keyboard.press("Escape");
  server.startWorker();
  await expect.poll(async () => (await status(request, apiKey, videoId)).status, { timeout: 120_000, intervals: [500] }).toBe("done");
  // The clip lasts 30 seconds: it is played slowly, so that its end is none of what follows.
  const slowlyFrom = (time: number) => video(page).evaluate((element: HTMLVideoElement, time) => ((element.playbackRate = 0.25), (element.currentTime = time)), time);
  // The player asks now and then; what it finds is shown when somebody asks what there is to choose from.
  await slowlyFrom(10);
  await expect(async () => {
    await page.mouse.move(300, 300 + Math.random() * 50);
    await settings.click({ timeout: 2_000 });
    const count = await rungs();
    await page.keyboard.press("Escape");
    expect(count, "the ladder is on offer").toBeGreaterThan(2);
  }).toPass({ timeout: 60_000, intervals: [2_000] });
  await expectToPlay(page);
  expect(await position(page), "where it was").toBeGreaterThan(10);
  // The source is one of the rungs, and there once: what it was played from before is what it is played from now.
  for (const height of [240, 432]) {
    await slowlyFrom(10);
    await expect(async () => {
      await page.mouse.move(300, 300 + Math.random() * 50);
      await settings.click({ timeout: 2_000 });
      const labels = await rung(/\d+p/).allTextContents();
      expect(labels.filter((label) => /^\d+p/.test(label)).map((label) => parseInt(label)), "each rung once").toEqual([432, 240]);
      await rung(new RegExp(`^${height}p`)).click({ timeout: 2_000 });
    }).toPass({ timeout: 60_000, intervals: [2_000] });
    await page.keyboard.press("Escape");
    await expect.poll(() => video(page).evaluate((element: HTMLVideoElement) => element.videoHeight), { timeout: 60_000, message: "it is on the screen" }).toBe(height);
    await expectToPlay(page);
  }
  expect([...pictures].filter((rendition) => rendition.endsWith("/432p")), "one place").toHaveLength(1);
  expect([...pictures].filter((rendition) => rendition.endsWith("/240p")), "one place").toHaveLength(1);
  await expect(page.getByRole("alert")).toHaveCount(0);
});

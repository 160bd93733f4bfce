// Pages that nobody sees: those that have been left, which browsers keep as they are for "Back", and tabs behind others. A browser has six connections to a
// server without HTTP/2, for all of them together.
import { chromium } from "@playwright/test";
import { clip } from "../fixtures/clips";
import { card } from "../fixtures/dashboard";
import { expect, test } from "../fixtures/test";
import { upload } from "../fixtures/video";

test.use({ room: "left-pages" });

test("they hold no connection, so that the seventh comes as fast as the first, and know the news when somebody comes back", async ({ session, server, request, apiKey }) => {
  // Playwright's own browsers keep no such pages.
  const keeping = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", ignoreDefaultArgs: ["--disable-back-forward-cache"] });
  try {
    const context = await keeping.newContext({ baseURL: server.origin, storageState: session });
    const page = await context.newPage();
    const listens = () => page.waitForRequest((request) => new URL(request.url()).pathname === "/api/v1/events", { timeout: 45_000 });
    for (const path of ["/people", "/storage", "/jobs", "/activity", "/settings", "/people", "/storage", "/"]) {
      await Promise.all([listens(), page.goto(path, { timeout: 45_000 })]);
    }
    await page.evaluate(() => Object.assign(window, { kept: true }));
    await Promise.all([listens(), page.goto("/settings")]);
    await upload(request, apiKey, clip("car-detection.mp4"), "While nobody looked");
    await Promise.all([listens(), page.goBack({ waitUntil: "commit" })]);
    expect(await page.evaluate(() => "kept" in window), "it is the very page that was left").toBe(true);
    await expect(card(page, "While nobody looked")).toBeVisible();
  } finally {
    await keeping.close();
  }
});

test("a tab behind others lets go of its connection as well, and knows the news when it is seen again", async ({ signedIn: page, request, apiKey }) => {
  const listens = () => page.waitForRequest((request) => new URL(request.url()).pathname === "/api/v1/events", { timeout: 45_000 });
  // Playwright shows all pages of a browser at once.
  const see = (seen: boolean) =>
    page.evaluate((seen) => {
      Object.defineProperty(document, "hidden", { value: !seen, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, seen);
  const [stream] = await Promise.all([listens(), page.goto("/")]);
  await expect.poll(async () => (await stream.response())?.status()).toBe(200);
  const letGo = page.waitForEvent("requestfailed", (request) => request === stream);
  await see(false);
  await letGo;
  await upload(request, apiKey, clip("car-detection.mp4"), "Behind others");
  await Promise.all([listens(), see(true)]);
  await expect(card(page, "Behind others")).toBeVisible();
});

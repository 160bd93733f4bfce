// Links of their own for a private video, and a player that renews what it plays by without anybody noticing.
import type { Page, Response } from "@playwright/test";
import { readFileSync } from "node:fs";
import { clip } from "../fixtures/clips";
import { expectNoSidewaysScroll, hydrated } from "../fixtures/dashboard";
import { otherSite } from "../fixtures/other-site";
import { expectToPlay } from "../fixtures/playback";
import { Server } from "../fixtures/server";
import { expect, owner, test } from "../fixtures/test";
import { finished } from "../fixtures/video";

test.use({ room: "grants" });
test.describe.configure({ mode: "default" });

const choose = (page: Page, visibility: string) => page.getByRole("group", { name: "Who may watch" }).getByRole("button", { name: visibility }).click();

/** What became of a page's requests for media and playlists, from now on, and when each was sent. */
function media(page: Page) {
  const seen: { url: string; status: number; sentAt: number }[] = [];
  page.on("response", (answer: Response) => {
    if (/\/(media|hls)\//.test(answer.url())) seen.push({ url: answer.url(), status: answer.status(), sentAt: answer.request().timing().startTime });
  });
  return seen;
}

/** Of these, the ones that were served though they were asked for later. What was on its way at that moment may be heard of late. */
const servedAfter = (seen: ReturnType<typeof media>, moment: number) => seen.filter(({ status, sentAt }) => status < 400 && sentAt > moment);

test("a link for somebody opens a private video until it is revoked", async ({ signedIn: page, request, apiKey, browser, server }) => {
  test.setTimeout(600_000);
  const { videoId, playbackId } = await finished(request, apiKey, clip("long.mp4"), "For Grace alone");
  await page.goto(`/videos/${videoId}`);
  await hydrated(page);
  await expect(page.getByLabel("Link", { exact: true })).toBeVisible();
  await choose(page, "Private");
  await expect(page.getByLabel("Link", { exact: true }), "a link that opens nothing is not offered").toBeHidden();
  const panel = page.locator("#share-with");
  await panel.getByLabel("For whom").fill("Grace");
  await panel.getByLabel("Ends").selectOption({ label: "In a day" });
  await panel.getByRole("button", { name: "Make a link" }).click();
  const link = await panel.getByRole("textbox", { name: "Grace", exact: true }).inputValue();
  expect(link).toContain(`/watch/${playbackId}?grant=`);
  await expect(panel.getByLabel("For whom"), "ready for the next one").toHaveValue("");
  await expect(panel.getByText("Ends in 24 hours")).toBeVisible();
  await expect(panel.getByText("Not used yet")).toBeVisible();

  const context = await browser.newContext({ baseURL: server.origin });
  const stranger = await context.newPage();
  expect((await stranger.goto(`/watch/${playbackId}`))?.status()).toBe(404);
  const seen = media(stranger);
  await stranger.goto(link);
  await expectToPlay(stranger);
  expect(await context.cookies(), "it needs no cookie").toEqual([]);
  const poster = await stranger.locator("video").getAttribute("poster");
  expect((await request.get(poster!)).status(), "the poster is under the same grant").toBe(200);
  const bare = new URL(poster!);
  bare.search = "";
  expect((await request.get(bare.href)).status(), "and under nothing else").toBe(403);
  expect(seen.filter(({ status }) => status >= 400)).toEqual([]);

  // By the same link, in a page of somebody else's.
  await panel.getByText("Embed by this link").click();
  const site = await otherSite(await panel.getByRole("textbox", { name: "Markup for Grace" }).inputValue());
  try {
    const guest = await context.newPage();
    await guest.goto(site.url);
    const embedUrl = link.replace("/watch/", "/embed/");
    await expect.poll(() => guest.frame({ url: embedUrl }) !== null).toBe(true);
    await expectToPlay(guest.frame({ url: embedUrl })!);
    await guest.close();
  } finally {
    await site.close();
  }

  await page.reload();
  await hydrated(page);
  await expect(panel.getByText("Last used")).toBeVisible();
  await panel.getByRole("button", { name: "Revoke the link for Grace" }).click();
  await panel.getByRole("button", { name: "Revoke link" }).click();
  await expect(panel.getByRole("textbox", { name: "Grace", exact: true })).toHaveCount(0);
  // From here on nothing is served any more; what was fetched before may still be shown.
  const revoked = Date.now();
  await expect(stranger.getByText("You can no longer watch this video")).toBeVisible({ timeout: 120_000 });
  expect(servedAfter(seen, revoked), "no byte after it was revoked").toEqual([]);
  const still = () => stranger.locator("video").evaluate((video: HTMLVideoElement) => [video.paused, video.currentSrc === "" || video.readyState === 0]);
  await expect.poll(still).toEqual([true, true]);
  expect((await request.get(poster!)).status()).toBe(403);
  expect((await stranger.goto(link))?.status()).toBe(404);
  await expect(stranger.getByRole("heading", { name: "This link does not work any more" })).toBeVisible();
  await stranger.setViewportSize({ width: 360, height: 640 });
  await expectNoSidewaysScroll(stranger);
  await context.close();

  const activity = await page.goto("/activity").then((answer) => answer!.text());
  expect(activity).toContain("Link made");
  expect(activity).toContain("Link revoked");
  const secret = new URL(link).searchParams.get("grant")!;
  expect(activity, "the log holds no secret").not.toContain(secret);
  expect(readFileSync(server.logFile, "utf8"), "nor does the server's").not.toContain(secret);
});

test("who watches by the video's own link is stopped when it becomes private, and its owner is not", async ({ signedIn: page, request, apiKey, browser, server }) => {
  test.setTimeout(600_000);
  const { videoId, playbackId } = await finished(request, apiKey, clip("long.mp4"), "Open at first");
  const context = await browser.newContext({ baseURL: server.origin });
  const stranger = await context.newPage();
  const seen = media(stranger);
  await stranger.goto(`/watch/${playbackId}`);
  await expectToPlay(stranger);
  await page.goto(`/videos/${videoId}`);
  await hydrated(page);
  await expectToPlay(page);
  const own = media(page);
  await choose(page, "Private");
  await expect.poll(async () => (await request.get(`/watch/${playbackId}`)).status()).toBe(404);
  const closed = Date.now();
  await expect(stranger.getByText("You can no longer watch this video")).toBeVisible({ timeout: 120_000 });
  expect(servedAfter(seen, closed), "no byte after it became private").toEqual([]);
  await expectToPlay(page);
  expect(own.filter(({ status }) => status >= 400), "its owner noticed nothing").toEqual([]);
  await context.close();
});

test("a film goes on past the end of its signatures without a stall", async ({ browser, playwright }) => {
  test.setTimeout(600_000);
  const server = await Server.start("renewal", { MILLRACE_PLAYBACK_RENEWAL_SECONDS: "6" });
  try {
    server.command(["user", "add", owner.email], `${owner.password}\n`);
    const key = server.command(["key", "add", owner.email, "--name", "end to end"]);
    const request = await playwright.request.newContext({ baseURL: server.origin });
    const { playbackId } = await finished(request, key, clip("long.mp4"), "Long");
    const page = await browser.newPage();
    // What hls.js really asks for, and what happens to the picture.
    await page.addInitScript(() => {
      const noted = window as unknown as { asked: string[]; happened: string[] };
      [noted.asked, noted.happened] = [[], []];
      const open = XMLHttpRequest.prototype.open;
      XMLHttpRequest.prototype.open = function (this: XMLHttpRequest, method: string, url: string | URL, ...rest: unknown[]) {
        noted.asked.push(String(url));
        return (open as (...all: unknown[]) => void).call(this, method, url, ...rest);
      } as typeof open;
      for (const name of ["emptied", "error", "waiting"]) addEventListener(name, () => noted.happened.push(name), { capture: true });
    });
    const seen = media(page);
    await page.goto(`${server.origin}/watch/${playbackId}`);
    await expectToPlay(page);
    const read = () =>
      page.evaluate(() => {
        const { asked, happened } = window as unknown as { asked: string[]; happened: string[] };
        const expiries = [...new Set(asked.map((url) => Number(/[?&]e=(\d+)/.exec(url)?.[1])).filter(Boolean))];
        return { expiries, happened, playlists: asked.filter((url) => url.includes("/index.m3u8")).length, time: document.querySelector("video")!.currentTime };
      });
    const begun = await read();
    // Past six lifetimes, counted by the server's own clock.
    await expect.poll(async () => Math.max(...(await read()).expiries), { timeout: 120_000, intervals: [500] }).toBeGreaterThan(Math.max(...begun.expiries) + 36);
    // The first signature may have been some seconds old when it was looked at: so much less was played since.
    await expect.poll(async () => (await read()).time, { timeout: 120_000 }).toBeGreaterThan(begun.time + 30);
    const now = await read();
    console.log(`${now.expiries.length} signatures used, ${now.happened.filter((name) => name === "waiting").length} waits, played to ${now.time.toFixed(1)} s`);
    expect(seen.filter(({ status }) => status >= 400), "nothing was asked for with a signature that had run out").toEqual([]);
    expect(now.playlists, "and nothing was opened anew").toBe(begun.playlists);
    expect(now.happened.slice(begun.happened.length), "it never ran dry").toEqual([]);
    await page.close();
    await request.dispose();
  } finally {
    await server.stop();
  }
});

// Links of their own for a private video, and a player that renews what it plays by without anybody noticing.
import { clip } from "../fixtures/clips";
import { hydrated } from "../fixtures/dashboard";
import { expectToPlay } from "../fixtures/playback";
import { Server } from "../fixtures/server";
import { expect, owner, test } from "../fixtures/test";
import { finished } from "../fixtures/video";

test("a link for somebody opens a private video until it is revoked", async ({ signedIn: page, request, apiKey, browser, server }) => {
  const { videoId, playbackId } = await finished(request, apiKey, clip("car-detection.mp4"), "For Grace alone");
  await page.goto(`/videos/${videoId}`);
  await hydrated(page);
  await page.getByRole("group", { name: "Who may watch" }).getByRole("button", { name: "Private" }).click();
  const panel = page.locator("#share-with");
  await panel.getByLabel("For whom").fill("Grace");
  await panel.getByLabel("Ends").selectOption({ label: "In a day" });
  await panel.getByRole("button", { name: "Make a link" }).click();
  const link = await panel.getByRole("textbox", { name: "Grace" }).inputValue();
  expect(link).toContain(`/watch/${playbackId}?grant=`);

  const context = await browser.newContext({ baseURL: server.origin });
  const stranger = await context.newPage();
  expect((await stranger.goto(`/watch/${playbackId}`))?.status()).toBe(404);
  await stranger.goto(link);
  await expectToPlay(stranger);
  expect(await context.cookies(), "it needs no cookie").toEqual([]);

  await page.reload();
  await hydrated(page);
  await expect(panel.getByText("last used")).toBeVisible();
  await panel.getByRole("button", { name: "Revoke the link for Grace" }).click();
  await panel.getByRole("button", { name: "Revoke link" }).click();
  await expect(panel.getByRole("textbox", { name: "Grace" })).toHaveCount(0);
  expect((await stranger.goto(link))?.status()).toBe(404);
  await context.close();
});

test("a film goes on past the end of its signatures without a stall", async ({ browser, playwright }) => {
  test.setTimeout(180_000);
  const server = await Server.start("renewal", { MILLRACE_PLAYBACK_RENEWAL_SECONDS: "6" });
  try {
    server.command(["user", "add", owner.email], `${owner.password}\n`);
    const key = server.command(["key", "add", owner.email, "--name", "end to end"]);
    const request = await playwright.request.newContext({ baseURL: server.origin });
    const { playbackId } = await finished(request, key, clip("long.mp4"), "Long");
    const page = await browser.newPage();
    // What hls.js really asks for.
    await page.addInitScript(() => {
      const late = (window as unknown as { asked: string[] });
      late.asked = [];
      const open = XMLHttpRequest.prototype.open;
      XMLHttpRequest.prototype.open = function (this: XMLHttpRequest, method: string, url: string | URL, ...rest: unknown[]) {
        late.asked.push(String(url));
        return (open as (...all: unknown[]) => void).call(this, method, url, ...rest);
      } as typeof open;
    });
    const refused: string[] = [];
    page.on("response", (answer) => {
      if (answer.status() >= 400 && /\/(media|hls)\//.test(answer.url())) refused.push(answer.url());
    });
    await page.goto(`${server.origin}/watch/${playbackId}`);
    await expectToPlay(page);
    const video = page.locator("video");
    // For 25 s: past four renewals at least.
    const longest = await video.evaluate(async (element: HTMLVideoElement) => {
      let [longest, last, moved] = [0, element.currentTime, performance.now()];
      const until = performance.now() + 25_000;
      while (performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        if (element.currentTime !== last) [last, moved] = [element.currentTime, performance.now()];
        longest = Math.max(longest, performance.now() - moved);
      }
      return longest;
    });
    const expiries = await page.evaluate(() => {
      const asked = (window as unknown as { asked: string[] }).asked;
      return [...new Set(asked.map((url) => /[?&]e=(\d+)/.exec(url)?.[1]).filter(Boolean))];
    });
    console.log(`longest stall ${Math.round(longest)} ms, ${expiries.length} signatures used`);
    expect(refused, "nothing was asked for with a signature that had run out").toEqual([]);
    expect(expiries.length, "signatures were renewed while it played").toBeGreaterThan(2);
    expect(longest, "the longest stall, in ms").toBeLessThan(1_000);
    await page.close();
    await request.dispose();
  } finally {
    await server.stop();
  }
});

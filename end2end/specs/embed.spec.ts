// Which sites may show an embed: an allowed one plays, another is refused by the browser; and what is typed by users is inert.
import { clip } from "../fixtures/clips";
import { otherSite } from "../fixtures/other-site";
import { expectToPlay } from "../fixtures/playback";
import { expect, test } from "../fixtures/test";
import { finished } from "../fixtures/video";
import { hydrated } from "../fixtures/dashboard";

test.use({ room: "embed" });

const hostile = '</title><script>window.pwned=1</script><img src=x onerror="window.pwned=1">';

test("an allowed site plays and another one is refused", async ({ signedIn: page, request, apiKey, browser }) => {
  const { videoId, embedUrl, playbackId } = await finished(request, apiKey, clip("car-detection.mp4"), hostile);
  const frame = `<iframe src="${embedUrl}" width="640" height="360" allow="autoplay"></iframe>`;
  const [allowed, other] = [await otherSite(frame), await otherSite(frame)];
  try {
    await page.goto(`/videos/${videoId}`);
    await hydrated(page);
    const panel = page.locator("#share-with");
    await panel.getByLabel("Sites that may embed").fill("a;script-src *");
    await panel.getByRole("button", { name: "Save sites" }).click();
    await expect(panel.getByText("is not a host")).toBeVisible();
    await panel.getByLabel("Sites that may embed").fill(`${new URL(allowed.url).host} *.example.org`);
    await panel.getByRole("button", { name: "Save sites" }).click();
    await expect(panel.getByText("Saved.")).toBeVisible();

    const context = await browser.newContext();
    const visitor = await context.newPage();
    await visitor.goto(allowed.url);
    await expectToPlay(visitor.frame({ url: embedUrl })!);
    expect(await visitor.frame({ url: embedUrl })!.evaluate(() => "pwned" in window)).toBe(false);

    const [refused] = await Promise.all([
      visitor.waitForResponse((answer) => answer.url() === embedUrl),
      visitor.goto(other.url),
    ]);
    expect(refused.status()).toBe(403);
    expect(await refused.text().catch(() => ""), "no grant in it").not.toContain("/hls/");
    expect(visitor.frames().some((inner) => inner.url() === embedUrl), "the browser shows nothing of it").toBe(false);
    expect(await context.cookies()).toEqual([]);
    await context.close();

    for (const [from, status] of [[allowed.url, 200], [other.url, 403], [`http://evil-${new URL(allowed.url).host}/`, 403]] as const) {
      const answer = await request.get(`/embed/${playbackId}`, { headers: { "sec-fetch-dest": "iframe", referer: from, cookie: "millrace=AAAA" } });
      expect(answer.status(), from).toBe(status);
      expect(answer.headers()["set-cookie"]).toBeUndefined();
      expect(answer.headers()["content-security-policy"]).toContain(`frame-ancestors ${new URL(allowed.url).host} *.example.org`);
    }
  } finally {
    await allowed.close();
    await other.close();
  }
});

// Which sites may show an embed: an allowed one plays, another is refused by the server and by the browser; the embed needs no cookie and
// hears nobody; and what is typed by users is inert on every page that shows it.
import { chromium, type APIRequestContext, type Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import { clip } from "../fixtures/clips";
import { hydrated } from "../fixtures/dashboard";
import { otherSite } from "../fixtures/other-site";
import { expectToPlay } from "../fixtures/playback";
import { expect, test } from "../fixtures/test";
import { finished, status, stream } from "../fixtures/video";

test.use({ room: "embed" });
test.describe.configure({ mode: "default" });

const iframe = (embedUrl: string, more = "") => `<iframe src="${embedUrl}" width="640" height="360" allow="autoplay"${more}></iframe>`;

/** Says on the video's page which sites may embed it. */
async function allow(page: Page, videoId: string, hosts: string) {
  await page.goto(`/videos/${videoId}`);
  await hydrated(page);
  const panel = page.locator("#embed-sites");
  await panel.getByLabel("Sites that may embed").fill(hosts);
  await panel.getByRole("button", { name: "Save sites" }).click();
  return panel;
}

/** What the server answers to a frame in a page. */
async function framed(request: APIRequestContext, embedUrl: string, from: string) {
  const answer = await request.get(embedUrl, { headers: { "sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site", referer: from } });
  return { status: answer.status(), grants: (await answer.text()).includes("/hls/"), headers: answer.headers() };
}

test("allowed sites play; others, sub-domains and look-alikes are refused", async ({ signedIn: page, request, apiKey }) => {
  const { videoId, embedUrl } = await finished(request, apiKey, clip("car-detection.mp4"), "For two sites");
  const site = await otherSite(iframe(embedUrl));
  const silent = await otherSite(iframe(embedUrl, ' referrerpolicy="no-referrer"'));
  const { port } = new URL(site.url);
  // Real names for the sites: all of them lead here.
  const named = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--autoplay-policy=no-user-gesture-required", "--mute-audio", "--host-resolver-rules=MAP *.example localhost"],
  });
  try {
    await expect((await allow(page, videoId, "a;script-src *")).getByText("is not a host")).toBeVisible();
    await expect((await allow(page, videoId, `http://a.example:${port}/ *.b.example:${port}`)).getByText("Saved.")).toBeVisible();
    const hosts = `a.example:${port} *.b.example:${port}`;
    await page.reload();
    await expect(page.getByLabel("Sites that may embed"), "as it was understood").toHaveValue(hosts);

    const context = await named.newContext();
    const visitor = await context.newPage();
    for (const host of ["a.example", "x.b.example"]) {
      const from = `http://${host}:${port}/`;
      await visitor.goto(from);
      await expectToPlay(visitor.frame({ url: embedUrl })!);
      const answer = await framed(request, embedUrl, from);
      expect(answer).toMatchObject({ status: 200, grants: true });
      expect(answer.headers["content-security-policy"]).toContain(`frame-ancestors ${hosts}`);
    }
    const lookAlikes = ["b.example", "x.a.example", "evil-a.example", "a.example.evil.example", "xb.example", "evil.example"];
    for (const host of lookAlikes) {
      const from = `http://${host}:${port}/`;
      const answered = visitor.waitForResponse((answer) => answer.url() === embedUrl);
      await visitor.goto(from);
      expect((await answered).status(), host).toBe(403);
      expect(visitor.frames().map((frame) => frame.url()), `the browser shows nothing in ${host}`).not.toContain(embedUrl);
      expect(await framed(request, embedUrl, from), host).toMatchObject({ status: 403, grants: false });
    }
    // Who hides where the frame stands is refused by the browser.
    await visitor.goto(`http://evil.example:${new URL(silent.url).port}/`);
    await expect.poll(() => visitor.frames().length).toBe(2);
    expect(visitor.frames().map((frame) => frame.url())).not.toContain(embedUrl);
    expect(await context.cookies(), "nobody needed a cookie").toEqual([]);
    await context.close();
    expect((await request.get(embedUrl)).status(), "in no frame").toBe(200);
  } finally {
    await named.close();
    await site.close();
    await silent.close();
  }
});

test("the embed page neither reads nor sends a cookie, and the whole account has a list, too", async ({ signedIn: page, request, apiKey, session }) => {
  const { videoId, embedUrl, playbackId } = await finished(request, apiKey, clip("silent.mp4"), "For everybody");
  const headers = { cookie: session.cookies.map(({ name, value }) => `${name}=${value}`).join("; ") };
  const site = await otherSite(iframe(embedUrl));
  try {
    const asked = page.waitForRequest(embedUrl);
    await page.goto(site.url);
    expect((await (await asked).allHeaders()).cookie, "somebody signed in sends none from another site").toBeUndefined();
    await expectToPlay(page.frame({ url: embedUrl })!);

    await page.goto("/settings");
    await hydrated(page);
    const settings = page.locator("#embed-hosts");
    await settings.getByLabel("Sites that may embed").fill("intranet.example");
    await settings.getByRole("button", { name: "Save sites" }).click();
    await expect(settings.getByText("Saved.")).toBeVisible();
    expect(await framed(request, embedUrl, site.url)).toMatchObject({ status: 403, grants: false });
    await settings.getByLabel("Sites that may embed").fill("");
    await settings.getByRole("button", { name: "Save sites" }).click();
    await expect.poll(async () => (await framed(request, embedUrl, site.url)).status).toBe(200);

    await page.goto(`/videos/${videoId}`);
    await hydrated(page);
    await page.getByRole("group", { name: "Who may watch" }).getByRole("button", { name: "Private" }).click();
    await expect.poll(async () => (await request.get(`/watch/${playbackId}`)).status()).toBe(404);
    expect((await request.get(`/watch/${playbackId}`, { headers })).status(), "its owner may watch").toBe(200);
    const embed = await request.get(embedUrl, { headers });
    expect(embed.status(), "the embed page does not know its owner").toBe(404);
    expect(embed.headers()["set-cookie"]).toBeUndefined();
    const activity = await request.get("/activity", { headers });
    const said = await activity.text();
    for (const act of ["Visibility changed", "from: unlisted, to: private", "Sites that may embed changed", "sites: intranet.example"]) {
      expect(said, "in the activity").toContain(act);
    }
  } finally {
    await site.close();
  }
});

const mark = "millrace: hls.js has taken over";

/** Notes each step back of the clock and each hole in what is buffered, from the first moment on. */
async function noteJumps(page: Page) {
  await page.addInitScript(() => {
    const seen = ((window as unknown as { seen: object }).seen = { back: 0, holes: 0 });
    new MutationObserver((_, observer) => {
      const video = document.querySelector("video");
      if (!video) return;
      observer.disconnect();
      let last = 0;
      video.addEventListener("timeupdate", () => {
        if (video.currentTime < last) seen.back++;
        if (video.buffered.length > 1) seen.holes++;
        last = video.currentTime;
      });
    }).observe(document, { childList: true, subtree: true });
  });
}

/** Waits until hls.js has the element and it plays what only hls.js can have loaded: nothing jumped until then. */
async function expectTakenOver(page: Page) {
  await page.waitForFunction((mark) => performance.getEntriesByName(mark).length > 0, mark, { timeout: 60_000 });
  const end = await page.locator("video").evaluate((video: HTMLVideoElement) => Math.min(video.buffered.end(0) + 1, video.duration - 1));
  await page.waitForFunction((end) => document.querySelector("video")!.buffered.end(0) >= end, end, { timeout: 60_000 });
  expect(await page.evaluate(() => (window as unknown as { seen: object }).seen), "no step back, no hole").toEqual({ back: 0, holes: 0 });
}

test("the first frame waits for no player, and hls.js goes on with it", async ({ page, request, apiKey }) => {
  test.slow();
  const { embedUrl } = await finished(request, apiKey, clip("car-detection.mp4"), "At once");
  await noteJumps(page);
  const asked: string[] = [];
  page.on("request", (sent) => asked.push(new URL(sent.url()).pathname));
  for (let start = 0; start < 10; start++) {
    asked.length = 0;
    await page.goto(`${embedUrl}?autoplay=1&muted=1`);
    await expectTakenOver(page);
    const player = asked.findIndex((path) => /\.(wasm|js|m3u8)$/.test(path));
    const picture = asked.findIndex((path) => path.endsWith(".m4s"));
    expect(picture >= 0 && picture < player, `the picture is asked for before the player: ${asked}`).toBe(true);
    expect(asked.filter((path) => path.endsWith(".css")), "no file stands before it").toEqual([]);
  }
  await page.locator("video").evaluate((video: HTMLVideoElement) => (video.currentTime = 20));
  await expect.poll(() => page.locator("video").evaluate((video: HTMLVideoElement) => video.currentTime), "seeks as ever").toBeGreaterThan(20.5);
});

test("what does not play by itself waits for a click, which it hears before the player is there", async ({ page, request, apiKey }) => {
  const { embedUrl } = await finished(request, apiKey, clip("car-detection.mp4"), "At a click");
  await noteJumps(page);
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route("**/*.wasm", async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`${embedUrl}?muted=1`);
  const video = page.locator("video");
  await expect.poll(() => video.evaluate((video: HTMLVideoElement) => video.readyState), "its first frame is there").toBeGreaterThan(1);
  expect(await video.evaluate((video: HTMLVideoElement) => [video.paused, video.currentTime])).toEqual([true, 0]);
  await page.getByRole("button", { name: /^play/i }).first().click();
  await expect.poll(() => video.evaluate((video: HTMLVideoElement) => video.currentTime)).toBeGreaterThan(0.5);
  await expect(page.locator(".player-big"), "the button is gone").toBeHidden();
  release();
  await expectTakenOver(page);
  await page.getByRole("button", { name: /^pause/i }).first().focus();
  await page.keyboard.press("k");
  await expect.poll(() => video.evaluate((video: HTMLVideoElement) => video.paused), "the player hears").toBe(true);
});

test("a start that fails is the player's to make good", async ({ page, request, apiKey }) => {
  const { embedUrl } = await finished(request, apiKey, clip("car-detection.mp4"), "Second try");
  let refused = 0;
  await page.route("**/media/**/*.m4s*", (route) => (refused++ < 2 ? route.fulfill({ status: 500 }) : route.continue()));
  // Once the page has brought the first picture along, there is something to go on with; without it there is nothing.
  let brought = 0;
  await page.route("**/embed/*?autoplay=1&muted=1&bare", async (route) => {
    const answer = await route.fetch();
    const pieces = /<script nonce="[^"]*">window\.millraceStarter\?\.take[^<]*<\/script>/g;
    const body = (await answer.text()).replace(pieces, "").replace(/,"opening":\{[^}]*\}/g, () => (brought++, ""));
    await route.fulfill({ response: answer, body });
  });
  for (const query of ["autoplay=1&muted=1", "autoplay=1&muted=1&bare"]) {
    refused = 0;
    await page.goto(`${embedUrl}?${query}`);
    await expectToPlay(page);
    const time = () => page.locator("video").evaluate((video: HTMLVideoElement) => video.currentTime);
    await expect.poll(time, { timeout: 60_000, message: "past the first segment" }).toBeGreaterThan(5);
    expect(refused, "what was refused was asked for again").toBeGreaterThan(2);
  }
  expect(brought, "the page had brought it").toBeGreaterThan(0);
  expect(await page.evaluate((mark) => performance.getEntriesByName(mark).length, mark), "by hls.js from the beginning").toBe(0);
});

test("a start that waits for something that never comes is the player's to make good", async ({ page, request, apiKey }) => {
  test.slow();
  const { embedUrl } = await finished(request, apiKey, clip("car-detection.mp4"), "Third try");
  // The picture's last piece in the page: what came before it shows, and then nobody hears of it again.
  let lost = 0;
  await page.route("**/embed/*?autoplay=1&muted=1", async (route) => {
    const answer = await route.fetch();
    const body = (await answer.text()).replace(/window\.millraceStarter\?\.take\(0,'[^']*',1\)/, () => (lost++, ""));
    await route.fulfill({ response: answer, body });
  });
  await page.goto(`${embedUrl}?autoplay=1&muted=1`);
  const time = () => page.locator("video").evaluate((video: HTMLVideoElement) => video.currentTime);
  await expect.poll(time, { timeout: 60_000, message: "past the first segment" }).toBeGreaterThan(5);
  expect(lost).toBe(1);
});

test("what a page around it says to the player changes nothing", async ({ page, request, apiKey }) => {
  const { embedUrl } = await finished(request, apiKey, clip("car-detection.mp4"), "Deaf");
  const site = await otherSite(iframe(embedUrl));
  await page.addInitScript(() => {
    const heard = (window as unknown as { listens: number });
    heard.listens = 0;
    const listen = EventTarget.prototype.addEventListener;
    EventTarget.prototype.addEventListener = function (this: EventTarget, name: string, ...rest: unknown[]) {
      if (this === window && name === "message") heard.listens += 1;
      return (listen as (...all: unknown[]) => void).call(this, name, ...rest);
    } as typeof listen;
  });
  try {
    await page.goto(site.url);
    const frame = page.frame({ url: embedUrl })!;
    await expectToPlay(frame);
    await page.evaluate(() => {
      const said = ["pause", "x".repeat(1_000_000), { event: "command", func: "pauseVideo" }, { type: "seek", at: 1e9 }, null, [], new ArrayBuffer(8), { __proto__: { url: "javascript:alert(1)" } }];
      for (const word of said) frames[0].postMessage(word, "*");
      for (const word of said) frames[0].postMessage(JSON.stringify(word), "*");
    });
    await expectToPlay(frame);
    expect(await frame.evaluate(() => [(window as unknown as { listens: number }).listens, window.onmessage]), "nobody listens").toEqual([0, null]);
  } finally {
    await site.close();
  }
});

test("scripts in titles, file names and names are inert on every page that shows them", async ({ signedIn: page, request, apiKey }) => {
  const script = '</title></script><script>window.pwned=1</script><img src=x onerror="window.pwned=1">{{1}}<!--';
  const answer = await request.post("/api/upload", {
    headers: { authorization: `Bearer ${apiKey}` },
    multipart: { title: `Hostile ${script}`, file: { name: `"><img src=x onerror=window.pwned=1>'.mp4`, mimeType: "text/html", buffer: readFileSync(clip("silent.mp4")) } },
  });
  expect(answer.status(), await answer.text()).toBe(202);
  const { videoId } = await answer.json();
  await expect.poll(async () => (await status(request, apiKey, videoId)).status, { timeout: 240_000, intervals: [500] }).toBe("done");
  const { playbackId, embedUrl } = await stream(request, apiKey, videoId);
  const alarms: string[] = [];
  page.on("dialog", (dialog) => alarms.push(dialog.message()));
  const inert = async (where: string, shown: string | RegExp = "window.pwned=1") => {
    await page.goto(where);
    await page.waitForLoadState("networkidle");
    await expect(page.locator("body"), `${where} shows it as text`).toContainText(shown);
    expect(await page.evaluate(() => "pwned" in window), where).toBe(false);
    expect(await page.locator("img[onerror], body script:not([src]):not([nonce]):not([type])").count(), `no element of it in ${where}`).toBe(0);
  };

  await inert(`/videos/${videoId}`, "onerror=window.pwned=1");
  await hydrated(page);
  const panel = page.locator("#share-with");
  await panel.getByLabel("For whom").fill(`Grace ${script}`.slice(0, 100));
  await panel.getByRole("button", { name: "Make a link" }).click();
  await expect(panel.locator(".grants li")).toHaveCount(1);
  const link = await panel.locator(".grants input").first().inputValue();
  await panel.getByRole("button", { name: /^Revoke the link/ }).click();
  await expect(panel.getByRole("dialog")).toContainText("Grace </title>");
  await panel.getByRole("button", { name: "Cancel" }).click();
  for (const where of [`/videos/${videoId}`, "/", "/?q=Hostile", `/watch/${playbackId}`, link]) await inert(where);
  await inert("/activity", videoId);
  await page.goto(`/?q=${encodeURIComponent(script)}`);
  expect(await page.evaluate(() => "pwned" in window), "what was searched for").toBe(false);

  await page.goto(embedUrl);
  await expectToPlay(page);
  expect(await page.evaluate(() => "pwned" in window), "the embed").toBe(false);
  const site = await otherSite((await (await request.get("/oembed", { params: { url: embedUrl } })).json()).html);
  try {
    await page.goto(site.url);
    await expect(page.locator("iframe")).toHaveAttribute("title", /^Hostile <\/title>/);
    expect(await page.evaluate(() => "pwned" in window), "a page with the oEmbed markup in it").toBe(false);
  } finally {
    await site.close();
  }
  expect(alarms).toEqual([]);
});

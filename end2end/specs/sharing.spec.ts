// Who may see what, and how a link looks where it is pasted.
import { clip } from "../fixtures/clips";
import { hydrated } from "../fixtures/dashboard";
import { expect, test } from "../fixtures/test";
import { finished, stream } from "../fixtures/video";

let videoId: string;
let playbackId: string;

test.beforeAll(async ({ playwright, server, apiKey }) => {
  const request = await playwright.request.newContext({ baseURL: server.origin });
  ({ videoId, playbackId } = await finished(request, apiKey, clip("portrait.mp4"), 'Tall & "quoted" <video>'));
  await request.dispose();
});

test("a shared link carries a card", async ({ page, request, server }) => {
  await page.goto(`/watch/${playbackId}`);
  const meta = (name: string) => page.locator(`meta[property="${name}"], meta[name="${name}"]`).first().getAttribute("content");
  expect(await meta("og:title")).toBe('Tall & "quoted" <video>');
  expect(await meta("og:url")).toBe(`${server.origin}/watch/${playbackId}`);
  expect(await meta("twitter:card")).toBe("player");
  expect(await meta("twitter:player")).toBe(`${server.origin}/embed/${playbackId}`);
  const [width, height] = [Number(await meta("og:video:width")), Number(await meta("og:video:height"))];
  expect(width / height).toBeCloseTo(360 / 640, 1);
  const image = await meta("og:image");
  const poster = await request.get(image as string);
  expect(poster.status()).toBe(200);
  expect(poster.headers()["content-type"]).toBe("image/jpeg");
});

test("oEmbed is found and answers", async ({ page, request, server }) => {
  await page.goto(`/watch/${playbackId}`);
  const href = await page.locator('link[type="application/json+oembed"]').getAttribute("href");
  const answer = await request.get(href as string);
  expect(answer.status()).toBe(200);
  const card = await answer.json();
  expect(card).toMatchObject({ type: "video", version: "1.0", title: 'Tall & "quoted" <video>' });
  expect(card.html).toContain(`${server.origin}/embed/${playbackId}`);
  expect(card.width / card.height).toBeCloseTo(360 / 640, 1);
  const unknown = await request.get("/oembed", { params: { url: `${server.origin}/watch/2222222222222222`, format: "json" } });
  expect(unknown.status()).toBe(404);
});

test("only the embed page lets itself be framed", async ({ request, session }) => {
  const cookie = session.cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
  const refuses = async (path: string) => {
    const { ["content-security-policy"]: policy = "", ["x-frame-options"]: options = "" } = (await request.get(path, { headers: { cookie } })).headers();
    return /frame-ancestors '(none|self)'/.test(policy) || /deny|sameorigin/i.test(options);
  };
  for (const path of ["/", "/sign-in", "/settings", `/videos/${videoId}`, `/watch/${playbackId}`]) {
    expect(await refuses(path), `${path} refuses to be framed`).toBe(true);
  }
  expect(await refuses(`/embed/${playbackId}`), "the embed page does not").toBe(false);
});

test("other sites cannot act with a visitor's cookie", async ({ request, session }) => {
  const cookie = session.cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
  const post = async (headers: Record<string, string>) => (await request.post("/app/sign-out", { headers: { cookie, ...headers }, maxRedirects: 0 })).status();
  expect(await post({ "sec-fetch-site": "cross-site" })).toBe(403);
  expect(await post({ "sec-fetch-site": "same-site" })).toBe(403);
  expect(await post({ origin: "https://evil.example" })).toBe(403);
  expect(await request.get("/settings", { headers: { cookie } }).then((answer) => answer.url()), "still signed in").toMatch(/\/settings$/);
});

test("private ends the link, for the page, the player and the media", async ({ signedIn: page, request, apiKey, browser, server }) => {
  const before = await stream(request, apiKey, videoId);
  await page.goto(`/videos/${videoId}`);
  await hydrated(page);
  const choice = (name: string) => page.getByRole("group", { name: "Who may watch" }).getByRole("button", { name });
  await choice("Private").click();
  const stranger = await (await browser.newContext({ baseURL: server.origin })).newPage();
  await expect.poll(async () => (await stranger.request.get(`/watch/${playbackId}`)).status()).toBe(404);
  expect((await stranger.request.get(`/embed/${playbackId}`)).status()).toBe(404);
  expect((await stranger.request.get(`/api/v1/playback/${playbackId}`)).status()).toBe(404);
  expect((await stranger.request.get(before.url)).status(), "a link given before").toBeGreaterThanOrEqual(400);
  await stranger.context().close();

  await page.reload();
  await hydrated(page);
  await expect(choice("Private")).toHaveAttribute("aria-pressed", "true");
  await choice("With link").click();
  await expect.poll(async () => (await request.get(`/watch/${playbackId}`)).status()).toBe(200);
});

test("search engines may index public videos only", async ({ signedIn: page, request }) => {
  const robots = async () => {
    const answer = await request.get(`/watch/${playbackId}`);
    return `${answer.headers()["x-robots-tag"] ?? ""} ${/<meta name="robots" content="([^"]*)"/.exec(await answer.text())?.[1] ?? ""}`;
  };
  await page.goto(`/videos/${videoId}`);
  expect(await robots()).toContain("noindex");
  await hydrated(page);
  await page.getByRole("group", { name: "Who may watch" }).getByRole("button", { name: "Public" }).click();
  await expect.poll(robots).not.toContain("noindex");
});

test("no byte of media without a signature", async ({ request, apiKey }) => {
  const { url, posterUrl } = await stream(request, apiKey, videoId);
  const playlist = await (await request.get(url)).text();
  const media = playlist.split("\n").find((line) => line && !line.startsWith("#")) as string;
  const mediaPlaylist = await (await request.get(new URL(media, url).href)).text();
  const segment = new URL(mediaPlaylist.split("\n").find((line) => line && !line.startsWith("#")) as string, new URL(media, url));
  expect((await request.get(segment.href)).status()).toBe(200);
  for (const address of [segment, new URL(posterUrl)]) {
    const bare = new URL(address);
    bare.search = "";
    expect((await request.get(bare.href)).status(), "unsigned").toBe(403);
    const forged = new URL(address);
    forged.search = address.search.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    expect((await request.get(forged.href)).status(), "forged").toBe(403);
  }
});

// The same binary, by configuration alone: upload, processing, playing, embedding and deleting in Chromium on each of the set-ups that the
// README names. (All embedded is what every other spec runs on.)
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { test as base, expect, type Page } from "@playwright/test";
import { clip } from "../../fixtures/clips";
import { card, choose, hydrated } from "../../fixtures/dashboard";
import { otherSite } from "../../fixtures/other-site";
import { expectToPlay } from "../../fixtures/playback";
import { Server } from "../../fixtures/server";
import { owner, signIn } from "../../fixtures/test";
import { status, stream, upload } from "../../fixtures/video";
import { setups, type Setup } from "../setups";

const given = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this by make test-aws`);
  return value;
};

/** A database of its own on the PostgreSQL of this run. */
function database(): string {
  const url = new URL(given("TEST_POSTGRES_URL"));
  const name = `e2e_${Date.now()}_${Math.floor(Math.random() * 1e6)}`;
  execFileSync("psql", [url.href, "-qc", `CREATE DATABASE ${name}`]);
  url.pathname = `/${name}`;
  return url.href;
}

const metricsToken = "what these tests read numbers with";

const test = base.extend<{ page: Page }, { setup: Setup; server: Server }>({
  setup: [setups[0], { option: true, scope: "worker" }],
  server: [
    async ({ setup }, use) => {
      const log = setup.name.replaceAll(/\W+/g, "-");
      const server = await Server.start(log, { ...setup.settings, MILLRACE_DATABASE_URL: database(), MILLRACE_METRICS_TOKEN: metricsToken }, setup.workers);
      server.command(["user", "add", owner.email], `${owner.password}\n`);
      if (setup.cdn === "cloudfront") {
        const answer = await fetch(`${given("AWS_TEST_EDGE")}/_edge/app`, { method: "PUT", body: server.origin });
        expect(answer.ok, "the edge knows where the app is").toBe(true);
      }
      await use(server);
      await server.stop();
    },
    { scope: "worker", timeout: 360_000 },
  ],
  baseURL: async ({ server }, use) => use(server.origin),
});

test("upload, processing, play, embed, delete", async ({ page, request, server, setup }) => {
  const heard: string[] = [];
  page.on("pageerror", (error) => heard.push(String(error)));
  const sent: { method: string; url: string }[] = [];
  page.on("request", (request) => sent.push({ method: request.method(), url: request.url() }));

  await signIn(page);
  await hydrated(page);
  await choose(page, clip("car-detection.mp4"));
  await expect(card(page, "car-detection")).toContainText("Ready", { timeout: 360_000 });
  await expect(card(page, "car-detection")).toContainText("0:30");
  await expect(card(page, "car-detection").locator("img")).toBeVisible();

  const puts = sent.filter(({ method }) => method === "PUT").map(({ url }) => new URL(url).origin);
  expect(puts.length, "the file was sent").toBeGreaterThan(0);
  const store = setup.store === "s3" ? new URL(given("AWS_TEST_ENDPOINT")).origin : server.origin;
  expect(new Set(puts), "every part went straight to the store").toEqual(new Set([store]));
  const numbers = await request.get("/metrics", { headers: { authorization: `Bearer ${metricsToken}` } });
  const received = /^millrace_upload_received_bytes_total (\d+)$/m.exec(await numbers.text());
  expect(Number(received?.[1]), "bytes are counted, whichever way they came").toBeGreaterThanOrEqual(statSync(clip("car-detection.mp4")).size);

  await card(page, "car-detection").getByRole("link").first().click();
  await expect(page).toHaveURL(/\/videos\//);
  await expectToPlay(page);
  const media = sent.filter(({ url }) => /\.(m4s|mp4|cmfv|cmfa|m3u8)(\?|$)/.test(url)).map(({ url }) => new URL(url).origin);
  const deliverer = setup.cdn === "cloudfront" ? new URL(given("AWS_TEST_EDGE")).origin : server.origin;
  expect(new Set(media), "playlists and media come from the deliverer").toEqual(new Set([deliverer]));

  const apiKey = server.command(["key", "add", owner.email, "--name", "end to end"]);
  const videoId = new URL(page.url()).pathname.split("/").pop() as string;
  const playing = await stream(request, apiKey, videoId);
  expect(new URL(playing.url).origin).toBe(deliverer);
  expect((await request.get(playing.url)).status()).toBe(200);
  if (setup.cdn === "cloudfront") {
    const { pathname } = new URL(playing.url);
    expect((await request.get(deliverer + pathname)).status(), "unsigned at the edge").toBe(403);
    expect((await request.get(server.origin + pathname)).status(), "past the edge").toBe(404);
  }

  const site = await otherSite(`<iframe src="${playing.embedUrl}" width="640" height="360" allow="autoplay; fullscreen"></iframe>`);
  await page.goto(site.url);
  const frame = page.frame({ url: /\/embed\// });
  expect(frame).not.toBeNull();
  if (frame) await expectToPlay(frame);
  await site.close();

  expect((await request.get(playing.posterUrl)).status()).toBe(200);
  await page.goto(`/videos/${videoId}`);
  await hydrated(page);
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete video" }).click();
  await expect(card(page, "car-detection")).toHaveCount(0);
  await expect.poll(async () => (await request.get(playing.posterUrl)).status(), { timeout: 120_000, message: "its bytes are gone" }).toBeGreaterThanOrEqual(400);
  expect(heard, "errors in the page").toEqual([]);
});

test("what is packaged from the source comes from the deliverer, before anything is encoded", async ({ request, server, setup }) => {
  const apiKey = server.command(["key", "add", owner.email, "--name", "at once"]);
  const videoId = await upload(request, apiKey, clip("car-detection.mp4"), "At once");
  // Known by the time of the answer, or a moment later where the store is far; an encode takes longer.
  await expect.poll(async () => (await status(request, apiKey, videoId)).playable, { intervals: [50] }).toBe(true);
  const { url } = await stream(request, apiKey, videoId);
  const multivariant = await (await request.get(url)).text();
  const [first] = multivariant.split("\n").filter((line) => line && !line.startsWith("#"));
  const playlist = await (await request.get(new URL(first, url).href)).text();
  const segments = playlist.split("\n").filter((line) => line && !line.startsWith("#"));
  expect(segments.length).toBeGreaterThan(3);
  const deliverer = setup.cdn === "cloudfront" ? new URL(given("AWS_TEST_EDGE")).origin : server.origin;
  for (const segment of segments) {
    const { origin, pathname } = new URL(segment);
    expect(origin).toBe(deliverer);
    expect(pathname.split("/")[1]).toBe(setup.cdn === "cloudfront" ? "packaged" : "media");
    expect((await request.get(segment)).status()).toBe(200);
    expect((await request.get(origin + pathname)).status(), "unsigned").toBe(403);
    if (setup.cdn === "cloudfront") expect((await request.get(server.origin + pathname)).status(), "past the edge").toBe(404);
  }
});

test("a file that is no video ends as a sentence", async ({ page }) => {
  await signIn(page);
  await hydrated(page);
  await choose(page, clip("not-a-video.mp4"));
  await expect(card(page, "not-a-video")).toContainText("Failed", { timeout: 240_000 });
});

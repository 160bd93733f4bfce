// Uploads by tus 1.0, with the clients that people use: tus-js-client in Node by API key, and Uppy in a page by the session's cookie.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import * as tus from "tus-js-client";
import { clip } from "../fixtures/clips";
import { Server } from "../fixtures/server";
import { expect, owner, test } from "../fixtures/test";
import { status } from "../fixtures/video";

test.use({ room: "tus" });

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

/** Digests of the sources that the server has. */
function sources(server: Server): string[] {
  const folder = join(server.dataFolder, "store", "sources");
  return readdirSync(folder).map((name) => sha256(readFileSync(join(folder, name))));
}

/** Names of what is on its way. */
const incoming = (server: Server) => readdirSync(join(server.dataFolder, "store", "incoming"));

interface Uploaded {
  videoId: string;
  /** Bytes that were acknowledged, before each question where the upload stands, and the answer to it. */
  resumed: { acknowledged: number; offset: number }[];
}

/** Uploads by tus-js-client; `during` hears how much was acknowledged and may meddle. */
function upload(endpoint: string, apiKey: string, bytes: Buffer, options: tus.UploadOptions, during: (upload: tus.Upload, acknowledged: number) => void = () => {}): Promise<Uploaded> {
  return new Promise((resolve, reject) => {
    const uploaded: Uploaded = { videoId: "", resumed: [] };
    let acknowledged = 0;
    const one = new tus.Upload(bytes, {
      endpoint,
      headers: { authorization: `Bearer ${apiKey}` },
      metadata: { filename: "by-tus.mp4", filetype: "video/mp4" },
      // As long as a server may take to start again on a slow machine.
      retryDelays: [100, 300, 1000, 1000, ...Array<number>(40).fill(2000)],
      onChunkComplete: (_size, accepted) => {
        acknowledged = accepted;
        during(one, accepted);
      },
      onAfterResponse: (request, response) => {
        uploaded.videoId = response.getHeader("Millrace-Video-Id") ?? uploaded.videoId;
        if (request.getMethod() === "HEAD" && response.getStatus() === 200) {
          uploaded.resumed.push({ acknowledged, offset: Number(response.getHeader("Upload-Offset")) });
        }
      },
      onSuccess: () => resolve(uploaded),
      onError: reject,
      ...options,
    });
    one.start();
  });
}

test("tus-js-client: pieces, a pause, and a server killed in the middle", async ({ playwright }) => {
  test.setTimeout(600_000);
  const server = await Server.start("tus-killed");
  try {
    server.command(["user", "add", owner.email], `${owner.password}\n`);
    const apiKey = server.command(["key", "add", owner.email, "--name", "tus"]);
    const file = readFileSync(clip("large.mp4"));
    let paused = false;
    let killed: Promise<void> | undefined;
    const { videoId, resumed } = await upload(`${server.origin}/api/v1/tus`, apiKey, file, { chunkSize: 3_000_000 }, (one, acknowledged) => {
      if (!paused && acknowledged > file.length / 4) {
        paused = true;
        void one.abort().then(() => setTimeout(() => one.start(), 300));
      } else if (!killed && acknowledged > file.length / 2) {
        killed = server.killAndStart();
      }
    });
    await killed;
    expect(paused && killed, "both have happened").toBeTruthy();
    expect(resumed.length).toBeGreaterThanOrEqual(2);
    for (const { acknowledged, offset } of resumed) expect(offset, "what was acknowledged is there").toBeGreaterThanOrEqual(acknowledged);
    expect(sources(server)).toEqual([sha256(file)]);
    expect(incoming(server)).toEqual([]);
    const request = await playwright.request.newContext({ baseURL: server.origin });
    await expect.poll(async () => (await status(request, apiKey, videoId)).status, { timeout: 300_000, intervals: [500] }).toBe("done");
    await request.dispose();
  } finally {
    await server.stop();
  }
});

test("tus-js-client: a wrong checksum is refused, and the right one taken", async ({ server, apiKey }) => {
  const file = readFileSync(clip("portrait.mp4"));
  const refused: number[] = [];
  let wrong = true;
  const { videoId } = await upload(`${server.origin}/api/v1/tus`, apiKey, file, {
    chunkSize: 100_000,
    onBeforeRequest: (request) => {
      if (request.getMethod() !== "PATCH") return;
      const offset = Number(request.getHeader("Upload-Offset"));
      const piece = file.subarray(offset + (wrong ? 1 : 0), offset + 100_000);
      wrong = false;
      request.setHeader("Upload-Checksum", `sha1 ${createHash("sha1").update(piece).digest("base64")}`);
    },
    onShouldRetry: (error) => {
      refused.push(error.originalResponse?.getStatus() ?? 0);
      return true;
    },
  });
  expect(refused).toEqual([460]);
  expect(videoId).not.toBe("");
  expect(sources(server)).toContain(sha256(file));
});

test("tus-js-client: what is given up leaves nothing", async ({ server, apiKey, request }) => {
  const file = readFileSync(clip("large.mp4"));
  let videoId = "";
  await new Promise<void>((resolve, reject) => {
    const one = new tus.Upload(file, {
      endpoint: `${server.origin}/api/v1/tus`,
      headers: { authorization: `Bearer ${apiKey}` },
      chunkSize: 1_000_000,
      onAfterResponse: (_request, response) => {
        videoId = response.getHeader("Millrace-Video-Id") ?? videoId;
      },
      onChunkComplete: () => void one.abort(true).then(resolve, reject),
      onSuccess: () => reject(new Error("it was not given up")),
      onError: reject,
    });
    one.start();
  });
  await expect.poll(() => incoming(server)).toEqual([]);
  const answer = await request.get("/api/status", { headers: { authorization: `Bearer ${apiKey}` }, params: { videoId } });
  expect(answer.status()).toBe(404);
});

test("Uppy in a page of ours: through a lost network to a video that is done", async ({ page, context, session, server, apiKey, request }) => {
  test.setTimeout(600_000);
  const script = buildSync({ entryPoints: [join(__dirname, "..", "tus", "uppy-page.ts")], bundle: true, format: "iife", write: false, logLevel: "error" });
  await context.addCookies(session.cookies);
  // A page at our address, as if somebody had put Uppy beside the dashboard.
  await page.route("**/uppy-test", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html><title>Uppy</title><input type=file>" }));
  await page.goto("/uppy-test");
  await page.addScriptTag({ content: script.outputFiles[0].text });
  const devtools = await context.newCDPSession(page);
  const line = (offline: boolean, bytesPerSecond: number) => devtools.send("Network.emulateNetworkConditions", { offline, latency: 5, downloadThroughput: -1, uploadThroughput: offline ? 0 : bytesPerSecond });
  await devtools.send("Network.enable");
  // So slow that it is not through before a slow machine has looked again.
  await line(false, 2_000_000);
  await page.locator("input").setInputFiles(clip("large.mp4"));
  const size = statSync(clip("large.mp4")).size;
  await expect.poll(() => page.evaluate(() => window.uppyTest.bytes), { timeout: 120_000, intervals: [100] }).toBeGreaterThan(size / 4);
  await line(true, 0);
  await page.waitForTimeout(1_000);
  expect(await page.evaluate(() => window.uppyTest.done)).toBe(false);
  await line(false, -1);
  await expect.poll(() => page.evaluate(() => window.uppyTest), { timeout: 180_000 }).toMatchObject({ done: true, failed: [] });
  const videoId = (await page.evaluate(() => window.uppyTest.videoId)) ?? "";
  expect(sources(server)).toContain(sha256(readFileSync(clip("large.mp4"))));
  await expect.poll(async () => (await status(request, apiKey, videoId)).status, { timeout: 300_000, intervals: [500] }).toBe("done");
});

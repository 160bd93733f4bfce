// What pages may load: the browser refuses everything that their policy does not name, and nothing of theirs is refused.
import { clip } from "../fixtures/clips";
import { hydrated } from "../fixtures/dashboard";
import { expectToPlay } from "../fixtures/playback";
import { expect, test } from "../fixtures/test";
import { finished } from "../fixtures/video";

let videoId: string;
let playbackId: string;

test.beforeAll(async ({ playwright, server, apiKey }) => {
  const request = await playwright.request.newContext({ baseURL: server.origin });
  ({ videoId, playbackId } = await finished(request, apiKey, clip("car-detection.mp4"), "Under a policy"));
  await request.dispose();
});

test("pages work under a policy that lets no stranger's script run", async ({ signedIn: page }) => {
  for (const path of ["/", `/videos/${videoId}`, "/settings"]) {
    const answer = await page.goto(path);
    const policy = answer?.headers()["content-security-policy"] ?? "";
    expect(policy, path).toMatch(/script-src 'self' 'nonce-[\w-]{22}' 'wasm-unsafe-eval';/);
    expect(policy, path).not.toMatch(/unsafe-inline|'unsafe-eval'|data:/);
    await hydrated(page);
  }
  const nonces = new Set<string>();
  for (const path of [`/videos/${videoId}`, `/watch/${playbackId}`, `/embed/${playbackId}`]) {
    const answer = await page.goto(path);
    const nonce = /script-src 'self' 'nonce-([\w-]{22})' 'wasm-unsafe-eval';/.exec(answer?.headers()["content-security-policy"] ?? "");
    expect(nonce, path).not.toBeNull();
    nonces.add(nonce![1]);
    await expectToPlay(page);
  }
  expect(nonces.size, "each is used once").toBe(3);
});

test.describe(() => {
  test.use({ refusalsExpected: true });
  test("a script that got into a page does not run", async ({ browser, server, session }) => {
    const context = await browser.newContext({ baseURL: server.origin });
    await context.addCookies(session.cookies);
    const page = await context.newPage();
    for (const path of ["/", `/watch/${playbackId}`, `/embed/${playbackId}`]) {
      await page.goto(path);
      const ran = await page.evaluate(async () => {
        const window_ = window as unknown as { ran?: boolean };
        const inline = document.createElement("script");
        inline.textContent = "window.ran = true";
        document.body.append(inline);
        const handler = document.createElement("img");
        handler.setAttribute("onerror", "window.ran = true");
        handler.src = "/nothing.png";
        document.body.append(handler);
        const base = document.createElement("base");
        base.href = "https://evil.example/";
        document.head.append(base);
        await new Promise((resolve) => setTimeout(resolve, 500));
        return { ran: window_.ran ?? false, base: document.baseURI };
      });
      expect(ran.ran, path).toBe(false);
      expect(ran.base, path).not.toContain("evil.example");
    }
    await context.close();
  });
});

test("media are anybody's to read, the rest is nobody's", async ({ request, apiKey }) => {
  const headers = { origin: "https://other.example", authorization: `Bearer ${apiKey}` };
  const stream = await request.get(`/api/stream?videoId=${videoId}`, { headers });
  expect(stream.headers()["access-control-allow-origin"]).toBeUndefined();
  expect(stream.headers()["cache-control"]).toContain("no-store");
  const playlist = await request.get((await stream.json()).url, { headers: { origin: "https://other.example" } });
  expect(playlist.headers()["access-control-allow-origin"]).toBe("*");
  expect(playlist.headers()["access-control-allow-credentials"]).toBeUndefined();
  const page = await request.get("/sign-in", { headers });
  expect(page.headers()["access-control-allow-origin"]).toBeUndefined();
});

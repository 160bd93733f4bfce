// Every page held against WCAG 2.2 AA by axe, light and dark, and looked at in two widths. Screenshots are left in results/shots.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { clip } from "../fixtures/clips";
import { expectNoSidewaysScroll, hydrated } from "../fixtures/dashboard";
import { Server } from "../fixtures/server";
import { expect, owner, signIn, test } from "../fixtures/test";
import { finished, status, upload } from "../fixtures/video";

test.use({ room: "accessibility" });

const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const shots = join(__dirname, "..", "results", "shots");

interface Violation {
  id: string;
  nodes: { target: string[]; failureSummary: string }[];
}

async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found: Violation[] = await page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run(root: Document, options: object): Promise<{ violations: Violation[] }> } };
    const runOnly = { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] };
    return (await axe.run(document, { runOnly })).violations;
  });
  return found.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")}: ${node.failureSummary}`));
}

/** Looks at one page in both schemes and both widths. */
async function inspect(page: Page, name: string, path: string): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const width of [1280, 360]) {
      await page.setViewportSize({ width, height: 800 });
      await page.goto(path, { waitUntil: "load" });
      await page.waitForTimeout(500);
      await page.screenshot({ path: join(shots, `${name}-${colorScheme}-${width}.png`), fullPage: true });
      expect.soft(await violations(page), `${name}, ${colorScheme}, ${width}`).toEqual([]);
      await expectNoSidewaysScroll(page);
    }
  }
}

test("signing in", async ({ page }) => inspect(page, "sign-in", "/sign-in"));

test("the empty library", async ({ signedIn: page }) => inspect(page, "library-empty", "/"));

test("the settings", async ({ signedIn: page }) => inspect(page, "settings", "/settings"));

test("what needs somebody", async ({ browser }) => {
  // A disk that is low, and a mail server that is not there.
  const server = await Server.start("accessibility-alerts", {
    MILLRACE_ALERTS_LOW_DISK_BYTES: String(2 ** 59),
    MILLRACE_ALERTS_SMTP_URL: "smtp://127.0.0.1:1",
    MILLRACE_ALERTS_FROM: "millrace@example.org",
    MILLRACE_ALERTS_TO: owner.email,
  });
  server.command(["user", "add", owner.email], `${owner.password}\n`);
  const context = await browser.newContext({ baseURL: server.origin });
  const page = await context.newPage();
  await signIn(page);
  await page.goto("/activity");
  await expect(async () => {
    await page.reload();
    await expect(page.locator("#alerts")).toContainText("A disk is filling up", { timeout: 3_000 });
  }).toPass({ timeout: 180_000 });
  await inspect(page, "activity", "/activity");
  await context.close();
  await server.stop();
});

test("everything with videos in it", async ({ signedIn: page, request, apiKey }) => {
  // Nine pages, each four times: a minute and a half where nothing else runs.
  test.setTimeout(900_000);
  const { videoId, playbackId } = await finished(request, apiKey, clip("car-detection.mp4"), "Cars at a crossing");
  await finished(request, apiKey, clip("portrait.mp4"), "Tall");
  const failed = await upload(request, apiKey, clip("not-a-video.mp4"), "Quarterly numbers, final version 3 with a long name that needs two lines");
  await expect.poll(async () => (await status(request, apiKey, failed)).status, { timeout: 120_000 }).toBe("failed");
  await inspect(page, "library", "/");
  await inspect(page, "video", `/videos/${videoId}`);
  await inspect(page, "video-failed", `/videos/${failed}`);
  await inspect(page, "jobs", "/jobs");
  await inspect(page, "storage", "/storage");
  await hydrated(page);
  await page.getByRole("button", { name: "Check now" }).click();
  await expect(page.locator("#store-audit")).toContainText(/A check is running|Last check/);
  await expect(async () => {
    await page.reload();
    await expect(page.locator("#store-audit .notice")).toContainText("Last check", { timeout: 3_000 });
  }).toPass({ timeout: 180_000 });
  await inspect(page, "storage-checked", "/storage");
  await inspect(page, "watch", `/watch/${playbackId}`);
  await inspect(page, "embed", `/embed/${playbackId}`);
});

// Uploading in the browser: what a user sees, and what survives.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { CDPSession, Page } from "@playwright/test";
import { clip } from "../fixtures/clips";
import { card, choose, hydrated, uploadLine } from "../fixtures/dashboard";
import { expectToPlay } from "../fixtures/playback";
import { expect, test } from "../fixtures/test";
import type { Server } from "../fixtures/server";

test.use({ room: "upload" });

/** Holds the connection down, so that an upload lasts long enough to be looked at. Takes effect on what is sent after it. */
async function throttle(page: Page, bytesPerSecond: number): Promise<CDPSession> {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Network.enable");
  await devtools.send("Network.emulateNetworkConditions", { offline: false, latency: 5, downloadThroughput: -1, uploadThroughput: bytesPerSecond });
  return devtools;
}

/** Digests of all files of the server's store that have a certain length. */
function storedWithLength(server: Server, length: number): string[] {
  return readdirSync(server.dataFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((file) => statSync(file).size === length)
    .map((file) => createHash("sha256").update(readFileSync(file)).digest("hex"));
}

test("from the file chooser to a moving picture", async ({ signedIn: page }) => {
  await page.goto("/");
  await hydrated(page);
  await choose(page, clip("car-detection.mp4"));
  await expect(card(page, "car-detection")).toBeVisible();
  await expect(card(page, "car-detection")).toContainText("Ready", { timeout: 240_000 });
  await expect(card(page, "car-detection")).toContainText("0:30");
  await expect(card(page, "car-detection").locator("img")).toBeVisible();
  await card(page, "car-detection").getByRole("link").first().click();
  await expect(page).toHaveURL(/\/videos\//);
  await expectToPlay(page);
});

test("says how far it is, goes on while the user moves about, and asks before it is cut off", async ({ signedIn: page }) => {
  await page.goto("/");
  await hydrated(page);
  await throttle(page, 800_000);
  await choose(page, clip("large.mp4"));
  const line = uploadLine(page, "large.mp4");
  await expect(line.getByRole("progressbar")).toBeVisible();
  await expect(line).toContainText(/[1-9]\d? %/);
  await expect(line).toContainText(/MB\/s|kB\/s/);
  await expect(line).toContainText(/left/);

  await page.getByRole("navigation").getByRole("link", { name: "Settings" }).click();
  await expect(page).toHaveURL(/\/settings/);
  await expect(line.getByRole("progressbar")).toBeVisible();
  const percent = async () => Number(/(\d+) ?%/.exec(await line.innerText())?.[1] ?? 100);
  const before = await percent();
  await expect.poll(percent, { timeout: 90_000 }).toBeGreaterThan(before);

  const asked = page.waitForEvent("dialog", { timeout: 45_000 });
  const leaving = page.close({ runBeforeUnload: true });
  const dialog = await asked;
  expect(dialog.type()).toBe("beforeunload");
  await dialog.dismiss();
  await leaving;
  expect(page.isClosed()).toBe(false);

  await line.getByRole("button", { name: /cancel/i }).click();
  await expect(line).toHaveCount(0);
  await page.goto("/");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(card(page, "large")).toHaveCount(0);
});

test("an upload outlives a lost network, and every byte arrives", async ({ signedIn: page, context, server }) => {
  test.setTimeout(600_000);
  await page.goto("/");
  await hydrated(page);
  const devtools = await throttle(page, 1_000_000);
  await choose(page, clip("large.mp4"));
  const line = uploadLine(page, "large.mp4");
  await expect(line).toContainText(/[1-9]\d? ?%/);
  await context.setOffline(true);
  await expect(line).toContainText("Waiting for the network; will go on by itself", { timeout: 60_000 });
  await page.waitForTimeout(4_000);
  await context.setOffline(false);
  await devtools.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await expect(card(page, "large")).toContainText(/Checking|Encoding|In line|Publishing|Ready/, { timeout: 180_000 });
  const file = readFileSync(clip("large.mp4"));
  await expect
    .poll(() => storedWithLength(server, file.length), { timeout: 120_000 })
    .toContain(createHash("sha256").update(file).digest("hex"));
  await expect(card(page, "large")).toContainText("Ready", { timeout: 300_000 });
});

test("many at once, bad ones among them: each ends for itself, in words", async ({ signedIn: page }) => {
  await page.goto("/");
  await hydrated(page);
  await choose(page, [clip("not-a-video.mp4"), clip("empty.mp4"), clip("truncated.mp4"), clip("silent.mp4")]);
  await expect(uploadLine(page, "empty.mp4")).toContainText("The file is empty. Choose another one.");
  await expect(card(page, "not-a-video")).toContainText("Failed", { timeout: 120_000 });
  await expect(card(page, "truncated")).toContainText("Failed", { timeout: 120_000 });
  await expect(card(page, "silent")).toContainText("Ready", { timeout: 120_000 });
  await card(page, "not-a-video").getByRole("link").first().click();
  await expect(page.getByText(/This file is not a video that Millrace can read/).first()).toBeVisible();
});

test("files dropped on any page are taken", async ({ signedIn: page }) => {
  await page.goto("/settings");
  await hydrated(page);
  const bytes = readFileSync(clip("portrait.mp4")).toString("base64");
  const transfer = await page.evaluateHandle((base64) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], "dropped.mp4", { type: "video/mp4" }));
    return data;
  }, bytes);
  for (const type of ["dragenter", "dragover", "drop"]) await page.dispatchEvent("body", type, { dataTransfer: transfer });
  await page.getByRole("link", { name: "Videos", exact: true }).click();
  await expect(card(page, "dropped")).toBeVisible();
});

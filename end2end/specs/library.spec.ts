// The library: live, searchable, and the owner's to change.
import { clip } from "../fixtures/clips";
import { card, hydrated } from "../fixtures/dashboard";
import { expect, test } from "../fixtures/test";
import { finished, upload } from "../fixtures/video";

test.use({ room: "library" });

test("is empty at first and says what to do", async ({ signedIn: page }) => {
  await page.goto("/");
  await expect(page.getByRole("article")).toHaveCount(0);
  await expect(page.getByRole("main")).toContainText(/drop|upload/i);
});

test("shows what others send in, without reloading", async ({ signedIn: page, request, apiKey }) => {
  await page.goto("/");
  await hydrated(page);
  await upload(request, apiKey, clip("silent.mp4"), "Sent by a program");
  await expect(card(page, "Sent by a program")).toBeVisible();
  await expect(card(page, "Sent by a program")).toContainText("Ready", { timeout: 180_000 });
});

test("finds by title", async ({ signedIn: page, request, apiKey }) => {
  await upload(request, apiKey, clip("silent.mp4"), "Needle in the hay");
  await upload(request, apiKey, clip("silent.mp4"), "100 % straw");
  await page.goto("/");
  await hydrated(page);
  await page.getByRole("searchbox").fill("needle");
  await page.keyboard.press("Enter");
  await expect(card(page, "Needle in the hay")).toBeVisible();
  await expect(card(page, "100 % straw")).toHaveCount(0);
  await page.getByRole("searchbox").fill("%");
  await page.keyboard.press("Enter");
  await expect(card(page, "100 % straw")).toBeVisible();
  await expect(card(page, "Needle in the hay")).toHaveCount(0);
});

test("a video is renamed, and deleted with everything of it", async ({ signedIn: page, request, apiKey }) => {
  const { videoId, playbackId, url } = await finished(request, apiKey, clip("silent.mp4"), "To be renamed");
  await page.goto(`/videos/${videoId}`);
  await hydrated(page);
  await page.locator("summary", { hasText: "Rename" }).click();
  await page.getByLabel("Title", { exact: true }).fill("A better title");
  await page.keyboard.press("Enter");
  await expect(page).toHaveTitle(/A better title/);
  await page.goto("/");
  await expect(card(page, "A better title")).toBeVisible();

  await page.goto(`/videos/${videoId}`);
  await hydrated(page);
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete video" }).click();
  await expect(page).toHaveURL(/\/$/);
  await expect(card(page, "A better title")).toHaveCount(0);
  expect((await request.get(`/watch/${playbackId}`)).status()).toBe(404);
  expect((await request.get(url)).status()).toBeGreaterThanOrEqual(400);
});

test("an unknown video is a page that says so", async ({ signedIn: page }) => {
  const answer = await page.goto("/videos/01890000-0000-7000-8000-000000000000");
  expect(answer?.status()).toBe(404);
  await expect(page.getByRole("main")).toContainText("There is nothing here");
});

// What was given up, for whoever runs the server: a list, the reason, and another try.
import { clip } from "../fixtures/clips";
import { expect, test } from "../fixtures/test";
import { status, upload } from "../fixtures/video";

test.use({ room: "jobs" });

test("the owner of a server reads what was given up and has it tried again", async ({ signedIn: page, request, apiKey, server }) => {
  const videoId = await upload(request, apiKey, clip("not-a-video.mp4"), "A list of songs");
  await expect.poll(async () => (await status(request, apiKey, videoId)).status, { timeout: 120_000 }).toBe("failed");
  expect(server.command(["job", "list", "--failed"])).toContain(videoId);

  await page.goto("/settings");
  await page.getByRole("link", { name: "Jobs" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Jobs" })).toBeVisible();
  const failed = page.locator("#bad-files li").filter({ hasText: videoId });
  await expect(failed).toContainText("not a video that Millrace can read");
  await expect(page.locator("#failed")).toContainText("None.");
  await expect(page.locator("main"), "a title is its owner's own").not.toContainText("A list of songs");
  await page.setViewportSize({ width: 360, height: 740 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);

  // Until that is answered, the video is the failed one that it was, and a reload might take the question back.
  const answered = page.waitForResponse((answer) => answer.url().endsWith("/app/jobs/retry") && answer.request().method() === "POST");
  await failed.getByRole("button", { name: /^Try again/ }).click();
  await answered;
  // It fails again, as a new job, and the old one is no longer what somebody has to look at.
  await expect.poll(async () => (await status(request, apiKey, videoId)).status, { timeout: 120_000 }).toBe("failed");
  await page.reload();
  await expect(page.locator("#bad-files li").filter({ hasText: videoId })).toHaveCount(1);
  await page.goto("/activity");
  await expect(page.getByText("Failed video tried again").first()).toBeVisible();
});

// With JavaScript off: signing in and the list of videos still work.
import { clip } from "../fixtures/clips";
import { card } from "../fixtures/dashboard";
import { expect, signIn, test } from "../fixtures/test";
import { upload } from "../fixtures/video";

test.use({ javaScriptEnabled: false });

test("signs in by the form and lists the videos", async ({ page, request, apiKey }) => {
  await upload(request, apiKey, clip("silent.mp4"), "Seen without a script");
  await page.goto("/sign-in");
  await page.getByLabel("E-mail address").fill("ada@example.org");
  await page.getByLabel("Password", { exact: true }).fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.locator("form").getByRole("alert").filter({ hasText: /\w/ })).toBeVisible();

  await signIn(page);
  await expect(card(page, "Seen without a script")).toBeVisible();
  await page.goto("/?q=without+a+script");
  await expect(card(page, "Seen without a script")).toBeVisible();
});

// The settings page: keys for programs, and the password.
import { hydrated } from "../fixtures/dashboard";
import { expect, owner, test } from "../fixtures/test";

test.use({ room: "settings" });

test("a key made here works for a program until it is revoked", async ({ signedIn: page, playwright, server }) => {
  await page.goto("/settings");
  await hydrated(page);
  await page.getByLabel("Name of the new key").fill("backup script");
  await page.getByRole("button", { name: "Create key" }).click();
  const key = await page.getByLabel("Key", { exact: true }).inputValue();
  expect(key.length).toBeGreaterThan(20);

  const program = await playwright.request.newContext({ baseURL: server.origin });
  const asks = async () => (await program.get("/api/status?videoId=01890000-0000-7000-8000-000000000000", { headers: { authorization: `Bearer ${key}` } })).status();
  expect(await asks(), "known, and the video is not").toBe(404);
  expect((await program.get("/api/status?videoId=01890000-0000-7000-8000-000000000000")).status()).toBe(401);

  await page.reload();
  await hydrated(page);
  expect(await page.content()).not.toContain(key);
  await page.getByRole("button", { name: "Revoke backup script" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke key" }).click();
  await expect.poll(asks).toBe(401);
  await program.dispose();
});

test("the password is changed, and other sessions end", async ({ signedIn: page, browser, server, session }) => {
  const elsewhere = await browser.newContext({ baseURL: server.origin });
  const other = await elsewhere.newPage();
  await other.goto("/sign-in");
  await other.getByLabel("E-mail address").fill(owner.email);
  await other.getByLabel("Password", { exact: true }).fill(owner.password);
  await other.getByRole("button", { name: "Sign in" }).click();
  await other.waitForURL(`${server.origin}/`);

  await page.goto("/settings");
  await hydrated(page);
  const change = async (current: string, next: string) => {
    await page.getByLabel("Current password", { exact: true }).fill(current);
    await page.getByLabel("New password", { exact: true }).fill(next);
    await page.getByRole("button", { name: "Change password" }).click();
  };
  await change("wrong", "another good password");
  await expect(page.locator("form").getByRole("alert").filter({ hasText: /\w/ })).toBeVisible();
  await change(owner.password, "another good password");
  await expect(page.getByText(/^Password changed/)).toBeVisible();

  await other.goto("/");
  await expect(other).toHaveURL(/\/sign-in/);
  await page.goto("/");
  await expect(page).toHaveURL(`${server.origin}/`);
  await elsewhere.close();
  expect(session.cookies).not.toEqual([]);
});

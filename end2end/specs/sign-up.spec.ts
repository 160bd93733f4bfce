// A fresh server: the first visitor becomes its owner, nobody after that.
import { expect, owner, signIn, test } from "../fixtures/test";

test.use({ hasOwner: false, room: "sign-up" });

test("the first visitor creates the owner's account, the second cannot", async ({ page, browser, server, context }) => {
  await page.goto("/");
  await expect(page).toHaveURL(/\/sign-up$/);
  await page.getByLabel("E-mail address").fill(owner.email);
  await page.getByLabel("Password", { exact: true }).fill("short");
  await page.getByRole("button", { name: /create/i }).click();
  await expect(page).toHaveURL(/\/sign-up/);

  const password = page.getByLabel("Password", { exact: true });
  await password.fill(owner.password);
  await page.route("/app/sign-up", (route) => route.abort());
  await page.getByRole("button", { name: /create/i }).click();
  await expect(password, "the hint stays with its field").toHaveAccessibleDescription(/cannot be reached.*At least 8 characters/);
  await page.unroute("/app/sign-up");

  await page.getByRole("button", { name: /create/i }).click();
  await expect(page).toHaveURL(`${server.origin}/`);
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();

  const [cookie] = await context.cookies();
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Lax" });

  const stranger = await (await browser.newContext({ baseURL: server.origin })).newPage();
  await stranger.goto("/");
  await expect(stranger).toHaveURL(/\/sign-in/);
  await stranger.goto("/sign-up");
  await expect(stranger.getByRole("button", { name: /create/i })).toHaveCount(0);
  await stranger.context().close();

  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/sign-in/);
  // Nor does the way back lead to what was there.
  await page.goBack();
  await expect(page).toHaveURL(/\/sign-in/);
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
  await page.goto("/");
  await expect(page).toHaveURL(/\/sign-in/);

  await page.getByLabel("E-mail address").fill(owner.email);
  await page.getByLabel("Password", { exact: true }).fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  const alert = page.locator("form").getByRole("alert").filter({ hasText: /\w/ });
  await expect(alert).toBeVisible();
  const refusal = await alert.innerText();
  await page.getByLabel("E-mail address").fill("nobody@example.org");
  await page.getByLabel("Password", { exact: true }).fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("button", { name: "Sign in" })).not.toHaveAttribute("aria-disabled", "true");
  await expect(alert).toHaveText(refusal);

  await signIn(page);
});

// The people of a server: invited by a link, disabled, deleted; sessions ended from the settings; what was done, on a page.
import { expectNoSidewaysScroll, hydrated } from "../fixtures/dashboard";
import { expect, test } from "../fixtures/test";

test.use({ room: "accounts" });

test("an invited person comes in once, is disabled, and is deleted", async ({ signedIn: page, browser, server }) => {
  await page.goto("/people");
  await hydrated(page);
  await page.getByLabel("Whom it is for").fill("Bob");
  await page.getByRole("button", { name: "Invite", exact: true }).click();
  const link = await page.getByLabel("Link", { exact: true }).inputValue();
  expect(link).toContain("/sign-up?invite=");

  const bob = await (await browser.newContext({ baseURL: server.origin })).newPage();
  await bob.goto(link);
  await bob.getByLabel("E-mail address").fill("bob@example.org");
  await bob.getByLabel("Password", { exact: true }).fill("bob has a password");
  await bob.getByRole("button", { name: /create/i }).click();
  await expect(bob).toHaveURL(`${server.origin}/`);
  for (const path of ["/people", "/jobs", "/activity"]) {
    expect((await bob.goto(path))?.status(), path).toBe(403);
    await expect(bob.getByRole("heading", { name: "This page is not for you" })).toBeVisible();
  }

  const late = await (await browser.newContext({ baseURL: server.origin })).newPage();
  await late.goto(link);
  await expect(late.getByRole("heading", { name: "This invitation does not work" })).toBeVisible();
  await late.context().close();

  await page.goto("/people");
  await hydrated(page);
  expect(await page.content()).not.toContain(link);
  await page.getByRole("button", { name: "Disable bob@example.org" }).click();
  await expect(page.getByRole("button", { name: "Enable bob@example.org" })).toBeVisible();
  await bob.goto("/");
  await expect(bob).toHaveURL(/\/sign-in/);
  await bob.goto("/people");
  await expect(bob).toHaveURL(/\/sign-in/);

  await page.getByRole("button", { name: "Delete bob@example.org" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete account and videos" }).click();
  await expect(page.locator("#people").getByText("bob@example.org")).toHaveCount(0);

  await page.goto("/activity");
  for (const act of ["Account deleted", "Account disabled", "Invitation used", "Invitation made", "Signed in"]) {
    await expect(page.getByText(act, { exact: true }).first()).toBeVisible();
  }
  for (const path of ["/people", "/jobs", "/activity", "/settings"]) {
    await page.setViewportSize({ width: 360, height: 800 });
    await page.goto(path);
    await expectNoSidewaysScroll(page);
  }
  await bob.context().close();
});

test.describe("without scripts", () => {
  test.use({ javaScriptEnabled: false });

  test("a session is ended from the settings", async ({ signedIn: page, browser, server }) => {
    const other = await browser.newContext({ baseURL: server.origin, javaScriptEnabled: false });
    const elsewhere = await other.newPage();
    const { signIn } = await import("../fixtures/test");
    await signIn(elsewhere);
    await page.goto("/settings");
    await expect(page.getByText("This browser")).toBeVisible();
    const rows = page.locator("#sessions").getByRole("button", { name: /^Sign out Chrome/ });
    const before = await rows.count();
    expect(before).toBeGreaterThan(0);
    await rows.first().click();
    await expect(page).toHaveURL(/\/settings/);
    await expect(rows).toHaveCount(before - 1);
    await elsewhere.goto("/");
    await expect(elsewhere).toHaveURL(/\/sign-in/);
    await other.close();
  });
});

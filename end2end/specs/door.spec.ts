// The pages before the door: what a visitor sees first, and how little it takes. They work with their own few lines of script, and without any.
import type { Page, Request } from "@playwright/test";
import { expect, owner, test } from "../fixtures/test";

test.use({ room: "door" });

/** Most bytes that a visitor's first page may need, headers and all. What it fetches ahead has a budget of its own (budgets.json). */
const BUDGET = 25_000;

const alert = (page: Page) => page.locator("form").getByRole("alert");

async function fill(page: Page, password: string): Promise<void> {
  await page.getByLabel("E-mail address").fill(owner.email);
  await page.getByLabel("Password", { exact: true }).fill(password);
}

test("it is alive without the dashboard's code, which comes ahead for the page behind it", async ({ page }) => {
  const sent: Request[] = [];
  page.on("requestfinished", (request) => sent.push(request));
  await page.goto("/sign-in", { waitUntil: "load" });
  await expect(page.getByRole("button", { name: "Show password" })).toBeVisible();
  expect((await page.content()).match(/modulepreload|type="module"/g), "nothing of the page waits for a module").toBeNull();
  await page.waitForLoadState("networkidle");
  // Asked for now that everything has ended: what is asked for while a page closes is refused, into the test that runs by then.
  const files = await Promise.all(
    sent.map(async (request) => {
      const { responseBodySize, responseHeadersSize } = await request.sizes();
      return { path: new URL(request.url()).pathname, bytes: responseBodySize + responseHeadersSize };
    }),
  );
  const isCode = ({ path }: { path: string }) => /\.(wasm|js)$/.test(path);
  const ahead = files.filter(isCode).map(({ path }) => path.split("/").at(-1));
  expect(ahead.sort(), "what the library needs, and no more").toEqual(["__wasm_split.______________________.js", "millrace.js", "millrace.wasm"]);
  const needed = files.filter((file) => !isCode(file));
  expect(needed.reduce((sum, { bytes }) => sum + bytes, 0), JSON.stringify(needed)).toBeLessThan(BUDGET);

  await fill(page, owner.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname === "/");
  await expect(page.getByRole("button", { name: "Upload", exact: true })).toBeEnabled();
  const again = await page.evaluate(() =>
    performance
      .getEntriesByType("resource")
      .filter(({ name }) => /\/millrace\.(wasm|js)$/.test(name))
      .map((entry) => (entry as PerformanceResourceTiming).transferSize),
  );
  expect(again.length).toBeGreaterThanOrEqual(2);
  expect(again, "nothing of it comes over the line again").toEqual(again.map(() => 0));
});

test("what is wrong is said where it stands, and nothing that was typed is lost", async ({ page }) => {
  // Not even what is fetched ahead is to be had.
  await page.route(/\/pkg\/.*\.(wasm|js)$/, (route) => route.abort());
  await page.goto("/sign-in");
  const password = page.getByLabel("Password", { exact: true });
  await fill(page, "not the password");
  await expect(alert(page)).toBeHidden();
  await expect(password).not.toHaveAttribute("aria-invalid");
  await password.press("Enter");
  await expect(alert(page)).toHaveText(/\w/);
  await expect(page).toHaveURL(/\/sign-in$/);
  await expect(password).toBeFocused();
  await expect(password).toHaveValue("not the password");
  await expect(password).toHaveAttribute("aria-invalid", "true");
  await expect(password).toHaveAccessibleDescription(await alert(page).innerText());

  await page.getByRole("button", { name: "Show password" }).click();
  await expect(password).toHaveAttribute("type", "text");
  await expect(page.getByRole("button", { name: "Show password" })).toHaveAttribute("aria-pressed", "true");
  await page.getByRole("button", { name: "Show password" }).click();
  await expect(password).toHaveAttribute("type", "password");

  // One answer at a time; a server that is away is said to be.
  let asked = 0;
  await page.route("/app/sign-in", async (route) => {
    asked += 1;
    await new Promise((resolve) => setTimeout(resolve, 500));
    await route.abort();
  });
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("button", { name: "Signing in" })).toHaveAttribute("aria-disabled", "true");
  await expect(alert(page)).toBeHidden();
  await password.press("Enter");
  await expect(alert(page)).toHaveText(/cannot be reached/);
  await expect(page.getByRole("button", { name: "Sign in" })).not.toHaveAttribute("aria-disabled");
  expect(asked).toBe(1);
});

test("who cannot sign up is told so, and where to go", async ({ page }) => {
  await page.goto("/sign-up");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Signing up is closed");
  await page.getByRole("link", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/sign-in$/);
});

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? "with scripts" : "without scripts", () => {
    test.use({ javaScriptEnabled });

    test("it leads to where somebody was going, and to no other site", async ({ page, context, server }) => {
      await page.goto("/settings?saved=password");
      await expect(page).toHaveURL(/\/sign-in\?next=/);
      await fill(page, "not the password");
      await page.getByRole("button", { name: "Sign in" }).click();
      await expect(alert(page)).toHaveText(/\w/);
      await fill(page, owner.password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await expect(page).toHaveURL(`${server.origin}/settings?saved=password`);
      // Who is signed in has no business here.
      await page.goto("/sign-in");
      await expect(page).toHaveURL(`${server.origin}/`);
      await context.clearCookies();
      await page.goto("/sign-in?next=https://evil.example/");
      await fill(page, owner.password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await expect(page).toHaveURL(`${server.origin}/`);
    });
  });
}

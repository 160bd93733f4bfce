// The dashboard's code comes in parts: each page with its own, and a part that cannot be had is no dead end.
import { hydrated } from "../fixtures/dashboard";
import { expect, owner, test } from "../fixtures/test";

test.use({ room: "parts" });

const part = (name: string) => new RegExp(`/pkg/v-[0-9a-f]+/split_${name}\\.wasm$`);

test("a page comes with its own part, is kept by the browser, and works", async ({ signedIn: page }) => {
  const answers = new Map<string, string>();
  page.on("response", (response) => answers.set(new URL(response.url()).pathname, response.headers()["cache-control"] ?? ""));
  const html = await (await page.goto("/settings"))?.text();
  await hydrated(page);
  const own = [...answers].find(([path]) => part("office").test(path));
  expect(own?.[1]).toContain("immutable");
  expect(html, "the head names it, so that it comes with the main part").toMatch(/<link rel="preload" href="\/pkg\/v-[0-9a-f]+\/split_office\.wasm"/);
  await page.getByRole("link", { name: "Videos", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Videos", exact: true })).toBeVisible();
  await page.getByRole("link", { name: "Settings", exact: true }).click();
  await expect(page.getByText(`Signed in as ${owner.email}`)).toBeVisible();
});

test("where a part cannot be had, the browser goes to the page by itself", async ({ signedIn: page }) => {
  await page.goto("/");
  await hydrated(page);
  await page.evaluate(() => Object.assign(window, { before: true }));
  // Asked for when the link is pointed at, and again when it is clicked.
  let there = false;
  page.on("request", (request) => (there ||= request.isNavigationRequest() && new URL(request.url()).pathname === "/settings"));
  await page.route(part("office"), (route) => (there ? route.continue() : route.abort()));
  await page.getByRole("link", { name: "Settings", exact: true }).click();
  await expect(page.getByText(`Signed in as ${owner.email}`)).toBeVisible();
  await expect.poll(() => page.evaluate(() => "before" in window)).toBe(false);
  expect(new URL(page.url()).pathname).toBe("/settings");
  await hydrated(page);
});

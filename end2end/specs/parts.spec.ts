// The dashboard's code comes in parts: each page with its own, and a part that cannot be had is no dead end.
import type { Page } from "@playwright/test";
import { clip } from "../fixtures/clips";
import { card, choose, hydrated, uploadLine } from "../fixtures/dashboard";
import { expect, owner, test as base } from "../fixtures/test";

/** A page of its own, signed in: what cannot be fetched is an error on its console, which the shared one must not have. */
const test = base.extend<{ apart: Page }>({
  apart: async ({ browser, session, server }, use) => {
    const context = await browser.newContext({ baseURL: server.origin, storageState: session });
    await use(await context.newPage());
    await context.close();
  },
});

test.use({ room: "parts" });

const part = (name: string) => new RegExp(`/pkg/v-[0-9a-f]+/split_${name}\\.wasm$`);

test("a page comes with its own part, is kept by the browser, and works", async ({ signedIn: page }) => {
  const answers = new Map<string, string>();
  page.on("response", (response) => answers.set(new URL(response.url()).pathname, response.headers()["cache-control"] ?? ""));
  // Leptos leaves them out now and then, where a page is drawn on by another thread: they come a little later then.
  const named = /<link as="fetch"[^>]* href="\/pkg\/v-[0-9a-f]+\/split_office\.wasm" rel="preload"/;
  const head = async () => (await page.goto("/settings"))?.text();
  await expect.poll(head, "the head names it, so that it comes with the main part").toMatch(named);
  await hydrated(page);
  const own = [...answers].find(([path]) => part("office").test(path));
  expect(own?.[1]).toContain("immutable");
  await page.getByRole("link", { name: "Videos", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Videos", exact: true })).toBeVisible();
  await page.getByRole("link", { name: "Settings", exact: true }).click();
  await expect(page.getByText(`Signed in as ${owner.email}`)).toBeVisible();
});

test("where a part cannot be had, the browser goes to the page by itself", async ({ apart: page }) => {
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

test("offline, a page that is not here says why, and comes when the network is back", async ({ apart: page }) => {
  // Nothing is fetched ahead: the part is not here when the network goes.
  await page.route(part("office"), (route) => route.abort());
  await page.goto("/");
  await hydrated(page);
  await page.context().setOffline(true);
  await page.getByRole("link", { name: "Settings", exact: true }).click();
  await expect(page.getByText("Either the network is gone, or Millrace has been updated.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Upload", exact: true })).toBeVisible();
  await page.context().setOffline(false);
  await page.unroute(part("office"));
  await page.getByRole("link", { name: "Load the page anew" }).click();
  await expect(page.getByText(`Signed in as ${owner.email}`)).toBeVisible();
  await hydrated(page);
});

test("while a page is on its way, it is said, and the page before it stays", async ({ signedIn: page }) => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route(part("office"), async (route) => {
    await held;
    await route.continue();
  });
  await page.goto("/");
  await hydrated(page);
  await page.getByRole("link", { name: "Settings", exact: true }).click();
  await expect(page.getByText("The page is coming…")).toBeVisible();
  await expect(page.getByRole("heading", { name: "Videos", exact: true })).toBeVisible();
  release();
  await expect(page.getByText(`Signed in as ${owner.email}`)).toBeVisible();
  await expect(page.getByText("The page is coming…")).toBeHidden();
  await page.goBack();
  await expect(page.getByRole("heading", { name: "Videos", exact: true })).toBeVisible();
  await page.goForward();
  await expect(page.getByText(`Signed in as ${owner.email}`)).toBeVisible();
});

test("files that are chosen before the uploader's part is here are not lost", async ({ signedIn: page }) => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route(part("uploads"), async (route) => {
    await held;
    await route.continue();
  });
  await page.goto("/");
  await hydrated(page);
  await choose(page, clip("car-detection.mp4"));
  await expect(page.getByText("Your upload begins in a moment.")).toBeVisible();
  release();
  await expect(uploadLine(page, "car-detection.mp4")).toBeVisible();
  await expect(card(page, "car-detection")).toBeVisible();
});

test("a page whose own part never comes says that it has stopped, and stays readable", async ({ apart: page }) => {
  await page.route(part("office"), (route) => route.abort());
  await page.goto("/settings");
  await expect(page.getByRole("alert").filter({ hasText: "Something on this page has stopped working" })).toBeVisible();
  await expect(page.getByText(`Signed in as ${owner.email}`)).toBeVisible();
  await page.unroute(part("office"));
  await page.getByRole("button", { name: "Load the page anew" }).click();
  await hydrated(page);
});

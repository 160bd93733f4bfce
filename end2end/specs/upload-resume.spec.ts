// Uploads that go on: after a lost network, a reload, another browser, in the right tab only, after a session that ended. Each time every byte is
// there at the end, and a cut costs at most the part that was on its way.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BrowserContext, CDPSession, Locator, Page } from "@playwright/test";
import { clip } from "../fixtures/clips";
import { card, choose, expectNoSidewaysScroll, hydrated, uploadLine } from "../fixtures/dashboard";
import { expect, owner, test } from "../fixtures/test";
import type { Server } from "../fixtures/server";

test.use({ room: "upload-resume" });
test.describe.configure({ timeout: 900_000 });

const large = clip("large.mp4");

/** A page whose uploader believes that the line is slow: parts of 1 MiB, and one at a time for as long as each takes more than 1.5 s. */
async function openSlowly(page: Page): Promise<void> {
  await page.addInitScript(() => {
    if (location.protocol.startsWith("http")) localStorage.setItem("millrace-upload-speed", "100000");
  });
  await page.goto("/");
  await hydrated(page);
}

/** Sets the line's speed, or cuts it: both through one session, since the conditions of several undo each other. */
const line = (devtools: CDPSession, bytesPerSecond: number, offline = false) =>
  devtools.send("Network.emulateNetworkConditions", { offline, latency: 5, downloadThroughput: -1, uploadThroughput: bytesPerSecond });

async function throttle(page: Page, bytesPerSecond: number): Promise<CDPSession> {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Network.enable");
  await line(devtools, bytesPerSecond);
  return devtools;
}

/** The numbers of the parts that were sent, in their order, from any page of these contexts. */
function sentParts(...contexts: BrowserContext[]): string[] {
  const sent: string[] = [];
  for (const context of contexts) {
    context.on("request", (request) => {
      const part = /\/api\/v1\/uploads\/([0-9a-f-]+\/parts\/\d+)$/.exec(request.url());
      if (part && request.method() === "PUT") sent.push(part[1]);
    });
  }
  return sent;
}

/** How many parts went more than once, counted as often as they did. */
const again = (sent: string[]) => sent.length - new Set(sent).size;

const percentOf = async (row: Locator) => Number(/(\d+) ?%/.exec((await row.count()) ? await row.innerText() : "")?.[1] ?? 0);

const passes = (row: Locator, percent: number) => expect.poll(() => percentOf(row), { timeout: 180_000, intervals: [100] }).toBeGreaterThanOrEqual(percent);

/**
 * The source of a file's name as stored, by its digest: exactly one file of that length and content more than before; and its upload is complete.
 * The bytes are there a moment before the row says so, and a page that is closed in between takes its request with it.
 */
async function expectStored(server: Server, apiKey: string, bytes: Buffer, times: number): Promise<void> {
  const wanted = createHash("sha256").update(bytes).digest("hex");
  const stored = () =>
    readdirSync(join(server.dataFolder, "store", "sources"), { withFileTypes: true })
      .map((entry) => join(server.dataFolder, "store", "sources", entry.name))
      .filter((file) => statSync(file).size === bytes.length)
      .filter((file) => createHash("sha256").update(readFileSync(file)).digest("hex") === wanted).length;
  await expect.poll(stored, { timeout: 180_000 }).toBe(times);
  const unfinished = async () => {
    const answer = await fetch(`${server.origin}/api/v1/uploads`, { headers: { authorization: `Bearer ${apiKey}` } });
    expect(answer.status).toBe(200);
    const { uploads }: { uploads: { size: number }[] } = await answer.json();
    return uploads.filter(({ size }) => size === bytes.length).length;
  };
  await expect.poll(unfinished, "its upload is complete").toBe(0);
}

/** A file of this test alone: the large clip with something behind its end, which players pass over. */
function ownFile(name: string): { path: string; bytes: Buffer; size: number } {
  const clipBytes = readFileSync(large);
  const box = Buffer.alloc(1024, name);
  box.writeUInt32BE(box.length, 0);
  box.write("free", 4);
  const bytes = Buffer.concat([clipBytes.subarray(0, clipBytes.length), box]);
  const path = test.info().outputPath(name);
  writeFileSync(path, bytes);
  return { path, bytes, size: bytes.length };
}

const resumeCard = (page: Page) => page.getByRole("region", { name: /can be continued/ });

/** Chooses the file of an upload again. */
async function chooseAgain(page: Page, name: string, path: string): Promise<void> {
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), resumeCard(page).getByRole("button", { name: `Choose ${name} again` }).click()]);
  await chooser.setFiles(path);
}

test("five lost networks in one upload cost at most five parts", async ({ signedIn: page, context, server, apiKey }) => {
  const file = ownFile("cuts.mp4");
  const sent = sentParts(context);
  await openSlowly(page);
  const devtools = await throttle(page, 600_000);
  await choose(page, file.path);
  const row = uploadLine(page, "cuts.mp4");
  for (let cut = 0; cut < 5; cut++) {
    await passes(row, 5 + cut * 14);
    await line(devtools, 600_000, true);
    await expect(row).toContainText("Waiting for the network; will go on by itself", { timeout: 60_000 });
    await line(devtools, 600_000);
  }
  await line(devtools, -1);
  await expectStored(server, apiKey, file.bytes, 1);
  expect(again(sent), `parts sent again: ${sent}`).toBeLessThanOrEqual(5);
  test.info().annotations.push({ type: "parts", description: `${sent.length} sent, ${again(sent)} of them again, after 5 cuts` });
});

test("after a reload the file is chosen again, and a wrong one is refused before a byte is sent", async ({ signedIn: page, context, server, apiKey }) => {
  const file = ownFile("reload.mp4");
  const sent = sentParts(context);
  await openSlowly(page);
  await throttle(page, 600_000);
  await choose(page, file.path);
  await passes(uploadLine(page, "reload.mp4"), 30);
  page.once("dialog", (dialog) => dialog.accept());
  await page.reload();
  await hydrated(page);
  await expect(resumeCard(page)).toContainText("1 upload can be continued");
  await expect(resumeCard(page)).toContainText(/\d\d % of \d+\.\d MB, kept until \d+ \w+ \d{4}/);
  const before = sent.length;

  const shorter = test.info().outputPath("shorter.mp4");
  writeFileSync(shorter, file.bytes.subarray(0, 1000));
  await chooseAgain(page, "reload.mp4", shorter);
  await expect(resumeCard(page)).toContainText("its size differs. Choose the same file as before.");
  const other = Buffer.from(file.bytes);
  other[other.length - 1] ^= 1;
  const changed = test.info().outputPath("changed.mp4");
  writeFileSync(changed, other);
  await chooseAgain(page, "reload.mp4", changed);
  await expect(resumeCard(page)).toContainText("its bytes differ. Choose the same file as before.");
  expect(sent.length, "nothing was sent of a wrong file").toBe(before);

  await chooseAgain(page, "reload.mp4", file.path);
  await expect(resumeCard(page)).toHaveCount(0);
  await expect(uploadLine(page, "reload.mp4")).toBeVisible();
  await expectStored(server, apiKey, file.bytes, 1);
  expect(again(sent), `parts sent again: ${sent}`).toBeLessThanOrEqual(1);
});

test("in another browser, by dropping the file", async ({ browser, signedIn: page, context, server, session, apiKey }) => {
  const file = ownFile("browser.mp4");
  const second = await browser.newContext({ baseURL: server.origin, storageState: session });
  const sent = sentParts(context, second);
  await openSlowly(page);
  await throttle(page, 600_000);
  await choose(page, file.path);
  await passes(uploadLine(page, "browser.mp4"), 40);
  await page.close({ runBeforeUnload: false });

  const elsewhere = await second.newPage();
  await openSlowly(elsewhere);
  await expect(resumeCard(elsewhere)).toContainText("browser.mp4");
  await choose(elsewhere, file.path);
  await expect(resumeCard(elsewhere)).toHaveCount(0);
  await expectStored(server, apiKey, file.bytes, 1);
  expect(again(sent), `parts sent again: ${sent}`).toBeLessThanOrEqual(1);
  expect(new Set(sent.map((part) => part.split("/")[0])).size, "one upload").toBe(1);
  await second.close();
});

test("two tabs never send one upload, and the second may when the first is gone", async ({ signedIn: page, context, server, apiKey }) => {
  const file = ownFile("tabs.mp4");
  const sent = sentParts(context);
  await openSlowly(page);
  await throttle(page, 600_000);
  await choose(page, file.path);
  await passes(uploadLine(page, "tabs.mp4"), 5);

  const second = await context.newPage();
  await openSlowly(second);
  await expect(resumeCard(second)).toContainText("This upload is running in another tab.");
  await expect(resumeCard(second).getByRole("button", { name: "Choose tabs.mp4 again" })).toBeHidden();

  await page.close({ runBeforeUnload: false });
  await expect(resumeCard(second).getByRole("button", { name: "Choose tabs.mp4 again" })).toBeVisible();
  await chooseAgain(second, "tabs.mp4", file.path);
  await expectStored(server, apiKey, file.bytes, 1);
  expect(again(sent), `parts sent again: ${sent}`).toBeLessThanOrEqual(1);
  await second.close();
});

test("a session that ends under an upload: signing in again on the spot goes on", async ({ browser, server, apiKey }) => {
  const file = ownFile("session.mp4");
  const context = await browser.newContext({ baseURL: server.origin });
  const page = await context.newPage();
  await page.goto("/sign-in");
  await page.getByLabel("E-mail address").fill(owner.email);
  await page.getByLabel("Password", { exact: true }).fill(owner.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname === "/");
  const sent = sentParts(context);
  await openSlowly(page);
  // So slow that it is not through before a slow machine has looked again.
  const devtools = await throttle(page, 1_000_000);
  await choose(page, file.path);
  const row = uploadLine(page, "session.mp4");
  await passes(row, 20);
  // Ended on the server, as by "Sign out everywhere".
  const ended = await page.evaluate(async () => (await fetch("/app/sign-out", { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" } })).ok);
  expect(ended).toBe(true);
  await expect(row).toContainText("You are signed out; sign in again, and it goes on by itself");
  const form = page.getByRole("form", { name: "Sign in again" });
  await expect(form).toContainText(owner.email);
  await form.getByLabel("Password", { exact: true }).fill("not the password");
  await form.getByRole("button", { name: "Sign in and go on" }).click();
  await expect(form.getByRole("alert")).toContainText(/\w/);
  await form.getByLabel("Password", { exact: true }).fill(owner.password);
  await form.getByRole("button", { name: "Sign in and go on" }).click();
  await expect(form).toHaveCount(0);
  await expect(page).toHaveURL("/");
  await line(devtools, -1);
  await expectStored(server, apiKey, file.bytes, 1);
  // What was on its way when the session ended goes again, once: until somebody is signed in, no part is tried.
  expect(again(sent), `parts sent again: ${sent}`).toBeLessThanOrEqual(3);
  await context.close();
});

test("somebody else who signs in does not go on with it", async ({ browser, server, session, apiKey }) => {
  const file = ownFile("whose.mp4");
  const eve = { email: "eve@example.org", password: "another long passphrase" };
  server.command(["user", "add", eve.email], `${eve.password}\n`);
  const hers = await browser.newContext({ baseURL: server.origin });
  const door = await hers.newPage();
  await door.goto("/sign-in");
  await door.getByLabel("E-mail address").fill(eve.email);
  await door.getByLabel("Password", { exact: true }).fill(eve.password);
  await door.getByRole("button", { name: "Sign in" }).click();
  await door.waitForURL((url) => url.pathname === "/");

  const context = await browser.newContext({ baseURL: server.origin, storageState: session });
  const page = await context.newPage();
  await openSlowly(page);
  // So slow that it is not through before a slow machine has looked again.
  const devtools = await throttle(page, 1_000_000);
  await choose(page, file.path);
  const row = uploadLine(page, "whose.mp4");
  await passes(row, 20);
  await context.addCookies(await hers.cookies());
  await expect(row).toContainText(`Waits until ${owner.email} signs in again`, { timeout: 120_000 });
  await door.goto("/");
  await hydrated(door);
  await expect(card(door, "whose")).toHaveCount(0);
  await context.addCookies(session.cookies);
  await line(devtools, -1);
  await expectStored(server, apiKey, file.bytes, 1);
  await hers.close();
  await context.close();
});

test("what is unfinished can be discarded, fits a phone, and is readable in the dark", async ({ signedIn: page, context, server, request, apiKey }) => {
  for (const [fileName, fingerprint] of [["A rather long name of a holiday video from the lake, second take.mp4", "c1-0123456789abcdef"], ["by-a-program.mov", undefined]]) {
    const begun = await request.post("/api/v1/uploads", { headers: { authorization: `Bearer ${apiKey}` }, data: { fileName, size: 1_200_000_000, fingerprint } });
    expect(begun.status(), await begun.text()).toBe(201);
  }
  await openSlowly(page);
  await expect(resumeCard(page)).toContainText("2 uploads can be continued");
  await expect(resumeCard(page)).toContainText("known by name and size only");
  for (const [width, scheme] of [[360, "light"], [360, "dark"], [1280, "light"], [1280, "dark"]] as const) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme: scheme });
    await expectNoSidewaysScroll(page);
    await page.screenshot({ path: test.info().outputPath(`resume-${width}-${scheme}.png`) });
  }
  await resumeCard(page).getByRole("button", { name: "Discard the upload of by-a-program.mov" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard", exact: true }).click();
  await expect(resumeCard(page)).toContainText("1 upload can be continued");
  await expect(card(page, "by-a-program")).toHaveCount(0);
  await resumeCard(page).getByRole("button", { name: /Discard the upload of A rather long/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard", exact: true }).click();
  await expect(resumeCard(page)).toHaveCount(0);
  // The page hears of the discard as soon as the row is gone; the bytes go right after it.
  await expect.poll(() => readdirSync(join(server.dataFolder, "store", "incoming")), "its space is free").toEqual([]);
  await context.close();
});

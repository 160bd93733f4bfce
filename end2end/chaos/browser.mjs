// Chooses files in the dashboard as a user does. The first line of standard input says where and as whom; each further one names a file. Says
// "uploaded FILE" when the page does; whatever breaks meanwhile is the page's business.
import { createInterface } from "node:readline";
import { basename } from "node:path";
import { chromium } from "@playwright/test";

const PATIENCE_MS = 600_000;

/** Goes to the dashboard and signs in; again, where the server is away just then. */
async function open(page, { origin, email, password }) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      await page.goto(`${origin}/sign-in`);
      await page.getByLabel("E-mail address").fill(email);
      await page.getByLabel("Password", { exact: true }).fill(password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("button", { name: "Upload", exact: true }).and(page.locator(":enabled")).waitFor({ timeout: 30_000 });
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
      console.error(`not signed in yet: ${error}`);
      await page.waitForTimeout(500);
    }
  }
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const account = JSON.parse((await lines.next()).value);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || undefined });
const page = await browser.newPage();
page.on("pageerror", (error) => console.error(`in the page: ${error}`));
await open(page, account);
for await (const file of lines) {
  const line = page.getByRole("region", { name: "Uploads" }).getByRole("listitem").filter({ hasText: basename(file) });
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.getByRole("button", { name: "Upload", exact: true }).click()]);
  await chooser.setFiles(file);
  await line.filter({ hasText: "Uploaded," }).waitFor({ timeout: PATIENCE_MS });
  console.log(`uploaded ${file}`);
}
await browser.close();

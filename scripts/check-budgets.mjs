// Holds what a browser loads, in bytes as Brotli sends them, against the budgets. Ends non-zero when one is exceeded or names no file.
// A budget is raised in the change that needs it, with the reason in the commit's message.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";

const [site, budgetFile] = process.argv.slice(2);
const budgets = JSON.parse(readFileSync(budgetFile, "utf8"));
const twins = readdirSync(site, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".br"))
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name));

let failed = 0;
for (const [name, { files, bytes: budget }] of Object.entries(budgets)) {
  const matching = twins.filter((twin) => new RegExp(files).test(relative(site, twin).replaceAll("\\", "/").slice(0, -3)));
  const bytes = matching.reduce((sum, twin) => sum + statSync(twin).size, 0);
  const verdict = matching.length === 0 ? "NO SUCH FILE" : bytes > budget ? "TOO LARGE" : "ok";
  if (verdict !== "ok") failed += 1;
  process.stdout.write(`${verdict.padEnd(12)} ${String(bytes).padStart(8)} of ${String(budget).padStart(8)} bytes  ${name}\n`);
}
process.stdout.write(`budgets: ${Object.keys(budgets).length - failed} passed, ${failed} failed\n`);
process.exitCode = failed ? 1 : 0;

// Holds what a browser loads, in bytes as Brotli sends them, against the budgets. Ends non-zero when one is exceeded or names no file.
// A budget may name a part of the dashboard, as app/src cuts it: then the files that the browser fetches for that part count as well.
// A budget is raised in the change that needs it, with the reason in the commit's message.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { basename, join, relative } from "node:path";

const [site, budgetFile] = process.argv.slice(2);
const budgets = JSON.parse(readFileSync(budgetFile, "utf8"));
const twins = readdirSync(site, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".br"))
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name));

const manifest = readdirSync(site, { recursive: true, withFileTypes: true }).find((entry) => entry.name === "__wasm_split_manifest.json");
const parts = manifest ? JSON.parse(readFileSync(join(manifest.parentPath ?? manifest.path, manifest.name), "utf8")) : {};

let failed = 0;
for (const [name, { files, part, bytes: budget }] of Object.entries(budgets)) {
  if (part && !parts[part]) throw new Error(`the dashboard has no part ${part}`);
  const ofPart = new Set((parts[part] ?? []).map((file) => `${file}.wasm`));
  const isMeant = (path) => new RegExp(files).test(path) || ofPart.has(basename(path));
  const matching = twins.filter((twin) => isMeant(relative(site, twin).replaceAll("\\", "/").slice(0, -3)));
  const bytes = matching.reduce((sum, twin) => sum + statSync(twin).size, 0);
  const verdict = matching.length === 0 ? "NO SUCH FILE" : bytes > budget ? "TOO LARGE" : "ok";
  if (verdict !== "ok") failed += 1;
  process.stdout.write(`${verdict.padEnd(12)} ${String(bytes).padStart(8)} of ${String(budget).padStart(8)} bytes  ${name}\n`);
}
process.stdout.write(`budgets: ${Object.keys(budgets).length - failed} passed, ${failed} failed\n`);
process.exitCode = failed ? 1 : 0;

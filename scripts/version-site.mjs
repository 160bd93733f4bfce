// Moves the dashboard's files into a folder of their own, whose name is made of all that is in them: a browser keeps them for as long as it likes, and
// what belongs together comes from one build. They name each other by relative paths, so nothing in them changes. The style sheet is also left where
// it was, for the pages that are not the dashboard's.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";

const folder = join(process.argv[2], "pkg");
const files = readdirSync(folder).sort();
const hash = createHash("sha256");
for (const file of files) hash.update(`${file}\0`).update(readFileSync(join(folder, file)));
const versioned = join(folder, `v-${hash.digest("hex").slice(0, 16)}`);
mkdirSync(versioned);
for (const file of files) {
  if (file.endsWith(".css")) copyFileSync(join(folder, file), join(versioned, file));
  else renameSync(join(folder, file), join(versioned, file));
}

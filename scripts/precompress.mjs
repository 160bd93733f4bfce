// Writes a Brotli twin (name + ".br") beside every text and WASM file of the site: compressed once here, at full strength, instead of
// at each request. A twin that is newer than its file stays.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const compressible = /\.(wasm|js|mjs|css|svg|json|txt|html)$/;

for (const entry of readdirSync(process.argv[2], { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !compressible.test(entry.name)) continue;
  const file = join(entry.parentPath ?? entry.path, entry.name);
  const twin = `${file}.br`;
  if ((statSync(twin, { throwIfNoEntry: false })?.mtimeMs ?? 0) > statSync(file).mtimeMs) continue;
  const bytes = readFileSync(file);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  writeFileSync(twin, brotliCompressSync(bytes, { params }));
}

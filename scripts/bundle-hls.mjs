// Bundles hls.js from the npm package's own source into public/vendor/hls-VERSION.js, a classic script that leaves one
// global, `Hls`. Everything the player does not use is switched off by the package's own build flags; alternate audio
// stays, because our playlists always carry sound as a group of its own (the ready-made light build cannot play that).
// Does nothing when the bundle is already the one that these inputs make.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { build } from 'esbuild';

/** The bundle may not outgrow this; who raises it says why. Brotli 11, bytes. */
const BUDGET = 104_000;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const packageFile = require.resolve('hls.js/package.json');
const { version } = JSON.parse(await readFile(packageFile, 'utf8'));
const folder = join(root, 'public', 'vendor');
const outfile = join(folder, `hls-${version}.js`);

/** The flags are read off the source, so that a new one in a later version is off too, and not an undefined name. */
async function flags() {
    const declared = await readFile(join(dirname(packageFile), 'src', 'define-plugin.d.ts'), 'utf8');
    const names = [...declared.matchAll(/const (__USE_[A-Z0-9_]+__): boolean/g)].map(match => match[1]);
    if (!names.includes('__USE_ALT_AUDIO__')) throw new Error('hls.js no longer knows __USE_ALT_AUDIO__: look at its build flags again');
    return Object.fromEntries(names.map(name => [name, String(name === '__USE_ALT_AUDIO__')]));
}

/** The lockfile fixes every package that goes in, and this file how; together they name the result. */
async function inputsDigest() {
    const hash = createHash('sha256');
    for (const file of [fileURLToPath(import.meta.url), join(root, 'package-lock.json')]) hash.update(await readFile(file));
    return hash.digest('hex').slice(0, 16);
}

const banner = `/*! hls.js ${version}, Apache-2.0, github.com/video-dev/hls.js; bundled for Millrace, inputs ${await inputsDigest()} */`;
const present = await readFile(outfile, 'utf8').catch(() => '');
if (present.startsWith(banner)) {
    console.log(`hls.js: ${basename(outfile)} is up to date`);
} else {
    await mkdir(folder, { recursive: true });
    const result = await build({
        stdin: { contents: `import Hls from './hls'; globalThis.Hls = Hls;`, resolveDir: join(dirname(packageFile), 'src'), loader: 'ts' },
        bundle: true,
        minify: true,
        format: 'iife',
        target: 'es2022',
        tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
        banner: { js: banner },
        legalComments: 'none',
        write: false,
        // `__IN_WORKER__` and `__HLS_WORKER_BUNDLE__` stay undefined: the source asks by `typeof`, and we run without a worker.
        define: { ...(await flags()), __VERSION__: JSON.stringify(version) },
    });
    const [{ contents }] = result.outputFiles;
    const size = brotliCompressSync(contents, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
    if (size > BUDGET) throw new Error(`hls.js: ${size} bytes brotli, over the budget of ${BUDGET}`);
    for (const old of await readdir(folder)) if (/^hls-.*\.js$/.test(old)) await rm(join(folder, old));
    await writeFile(outfile, contents);
    console.log(`hls.js: ${basename(outfile)}, ${contents.length} bytes, ${size} brotli`);
}

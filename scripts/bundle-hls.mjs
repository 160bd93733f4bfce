// Bundles hls.js from the npm package's own source into public/vendor/hls-VERSION.js, a classic script that leaves one
// global, `Hls`. Everything the player does not use is switched off by the package's own build flags; alternate audio
// stays, because our playlists always carry sound as a group of its own (the ready-made light build cannot play that).
// What has no flag is cut out of the source on its way in: our segments are fMP4, never encrypted, with no timed metadata, so MPEG-TS, AAC and
// MP3 are not taken apart, nothing is decrypted and no ID3 is read.
// Does nothing when the bundle is already the one that these inputs make.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { build } from 'esbuild';

/** The bundle may not outgrow this; who raises it says why. Brotli 11, bytes. */
const BUDGET = 79_100;

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

/** Modules of which only the shape is left, with the names that others import. */
const HOLLOW = {
    'controller/id3-track-controller.ts': 'export default class { constructor() {} destroy() {} }',
    // The one that measures dropped frames is off by its own setting.
    'controller/fps-controller.ts': 'export default class { constructor() {} setStreamController() {} destroy() {} }',
    // No worker: nothing is transmuxed.
    'demux/inject-worker.ts': `export const hasUMDWorker = () => false, injectWorker = () => null, loadWorker = () => null, removeWorkerFromStore = () => {};`,
    // XMLHttpRequest loads everything.
    'utils/fetch-loader.ts': 'export default class {} export const fetchSupported = () => false;',
    'controller/cmcd-controller.ts': 'export default class {}',
    'loader/date-range.ts': 'export class DateRange { constructor() { this.isValid = false; } }',
    'utils/vttcue.ts': 'export default class {}',
    'utils/vttparser.ts': 'export const parseTimeStamp = Number, fixLineBreaks = String; export class VTTParser {}',
    'loader/key-loader.ts': `export default class {
        constructor() { this.emeController = null; } abort() {} detach() {} destroy() {} loadClear() { return null; }
        load() { return Promise.reject(new Error('this player decrypts nothing')); }
    }`,
    'crypt/decrypter.ts': `export default class {
        constructor() {} destroy() {} isSync() { return true; } flush() { return null; } reset() {}
        decrypt() { return Promise.reject(new Error('this player decrypts nothing')); }
        softwareDecrypt() { return null; } webCryptoDecrypt() { return this.decrypt(); }
    }`,
};

/** What is cut out of a module: each of these has to be there, once. */
const CUTS = {
    'demux/transmuxer.ts': [
        ['  { demux: TSDemuxer, remux: MP4Remuxer },\n', ''],
        ['  { demux: AACDemuxer, remux: MP4Remuxer },\n', ''],
        ['  { demux: MP3Demuxer, remux: MP4Remuxer },\n', ''],
        ['TSDemuxer.probe(initSegmentData, this.logger)', 'false'],
    ],
};

/** Lines that do nothing but tell the log, which is never on: they go, with their words, unless something else is done in them. */
const TALK = /^(\s*)(?=(?:(?:this|self|hls|this\.hls)\.(?:logger\.)?|logger\.)(?:log|warn|debug|info)\()/gm;

/** Cuts out what no flag does. A version of the package in which there is nothing to cut any more, or not as much, is looked at again. */
const trimmed = source => ({
    name: 'trimmed',
    setup(build) {
        const missing = new Set([...Object.keys(HOLLOW), ...Object.keys(CUTS)]);
        build.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
            const module = relative(source, path).replaceAll('\\', '/');
            missing.delete(module);
            if (HOLLOW[module]) return { contents: HOLLOW[module], loader: 'ts' };
            let contents = (await readFile(path, 'utf8')).replace(TALK, '$1/* @__PURE__ */ ');
            for (const [from, to] of CUTS[module] ?? []) {
                if (contents.split(from).length !== 2) throw new Error(`hls.js: ${module} has no single ${JSON.stringify(from)}; look at it again`);
                contents = contents.replace(from, to);
            }
            return { contents, loader: 'ts' };
        });
        build.onEnd(() => {
            if (missing.size) throw new Error(`hls.js: ${[...missing]} is not part of it any more; look at what is cut out again`);
        });
    },
});

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
        plugins: [trimmed(join(dirname(packageFile), 'src'))],
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

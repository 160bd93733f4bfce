// Paths as no browser writes them, byte for byte on a socket: none leads to what was not signed for, or out of the folder of static files.
import { connect } from "node:net";
import { clip } from "../fixtures/clips";
import { expect, test } from "../fixtures/test";
import { finished } from "../fixtures/video";

test.use({ room: "paths" });

/** Sends one request line as it is; returns status and body. */
function raw(origin: string, target: string, method = "GET"): Promise<{ status: number; body: string }> {
  const { hostname, port, host } = new URL(origin);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      socket.write(Buffer.from(`${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, "latin1"));
    });
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => {
      const answer = Buffer.concat(chunks).toString("latin1");
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0), body: answer.slice(answer.indexOf("\r\n\r\n") + 4) });
    });
  });
}

test("no spelling of a path opens anything that was not signed for", async ({ request, apiKey, server }) => {
  const mine = await finished(request, apiKey, clip("silent.mp4"), "Mine");
  const other = await finished(request, apiKey, clip("silent.mp4"), "Other");
  const segment = async (url: string) => {
    const lines = async (address: string) => (await (await request.get(address)).text()).split("\n").filter((line) => line && !line.startsWith("#"));
    const playlist = new URL((await lines(url))[0], url).href;
    const found = new URL((await lines(playlist)).find((line) => line.includes(".m4s"))!, playlist);
    const [, generation, file] = /^\/media\/([^/]+)\/(.+)$/.exec(found.pathname)!;
    return { token: /\/hls\/([^/]+)\//.exec(url)![1], generation, file, query: found.search };
  };
  const [a, b] = [await segment(mine.url), await segment(other.url)];
  expect((await raw(server.origin, `/media/${a.generation}/${a.file}${a.query}`)).status, "as it is signed").toBe(200);

  const targets: string[] = [];
  const rendition = a.file.split("/")[0];
  for (const up of ["..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..%00", "%c0%ae%c0%ae", "..;", "%uff0e%uff0e", "..%09"]) {
    for (const slash of ["/", "%2f", "%2F", "%252f", "\\", "%5c", "//", "/./"]) {
      targets.push(
        `/media/${a.generation}/${up}${slash}${b.generation}${slash}${b.file}${a.query}`,
        `/media/${a.generation}/${rendition}${slash}${up}${slash}${up}${slash}${b.generation}/${b.file}${a.query}`,
        `/media/${a.generation}/${`${up}${slash}`.repeat(8)}etc${slash}passwd${a.query}`,
        `/media/${up}${slash}${up}${slash}millrace.db${a.query}`,
        `/hls/${a.token}/${up}${slash}${b.token}x/index.m3u8`,
        `/hls/${a.token}/${a.generation}/${up}${slash}${b.generation}${slash}${rendition}.m3u8`,
        `/hls/${`${up}${slash}`.repeat(4)}etc${slash}passwd`,
        `/pkg/${`${up}${slash}`.repeat(8)}etc${slash}passwd`,
        `/vendor/${up}${slash}${up}${slash}${up}${slash}Cargo.toml`,
        `/${`${up}${slash}`.repeat(8)}etc${slash}passwd`,
      );
    }
  }
  const path = `/media/${a.generation}/${a.file}`;
  targets.push(
    `/media/${b.generation}/${b.file}${a.query}`,
    `/media/${a.generation.toUpperCase()}/${a.file}${a.query}`,
    `/media/${a.generation}/${a.file.toUpperCase()}${a.query}`,
    `/MEDIA/${a.generation}/${a.file}${a.query}`,
    `/media//${a.generation}/${a.file}${a.query}`,
    `//media/${a.generation}/${a.file}${a.query}`,
    `/media/${a.generation}//${a.file}${a.query}`,
    `${path}/${a.query}`,
    `${path}%00${a.query}`,
    `${path}%20${a.query}`,
    `${path}${a.query}&${a.query.slice(1)}`,
    `${path}${a.query.replace("?", "?e=9999999999&")}`,
    `${path}${a.query}&e=9999999999`,
    `${path}${a.query}&s=AAAA`,
    `${path}${a.query.replace("&s=", "&S=")}`,
    `${path}${a.query.replace("?e=", "?E=")}`,
    `${path}${a.query.replace("?e=", "?%65=")}`,
    `${path}?${a.query}`,
    `${path};${a.query.slice(1)}`,
    `${path}%3f${a.query.slice(1)}`,
    `${path}#${a.query}`,
    path,
    `/hls/${a.token}/index.M3U8`,
    `/HLS/${a.token}/index.m3u8`,
    `/hls//${a.token}/index.m3u8`,
    `/hls/${a.token}//index.m3u8`,
    `/hls/${a.token}=/index.m3u8`,
    `/hls/${a.token}%00/index.m3u8`,
    `/hls/${a.token}/${b.generation}/${rendition}.m3u8`,
    `/hls/${a.token}/${a.generation}/poster.jpg`,
  );
  let tried = 0;
  for (const target of targets) {
    for (const method of ["GET", "HEAD"]) {
      const { status, body } = await raw(server.origin, target, method);
      expect([400, 403, 404, 405], `${method} ${target}`).toContain(status);
      expect(/root:|\[workspace\]|SQLite format|styp|moof/.test(body), `${method} ${target}`).toBe(false);
      tried += 1;
    }
  }
  console.log(`${tried} paths refused`);
  expect((await raw(server.origin, `/media/${a.generation}/${a.file}${a.query}`)).status, "still as it is signed").toBe(200);
});

// A peer of the bench, as its documentation starts it.
// usage: node peers.mjs tus|uploadx FOLDER PORT
import { createServer } from "node:http";

const [kind, directory, port] = process.argv.slice(2);
const listen = { host: "127.0.0.1", port: Number(port) };

if (kind === "tus") {
  const { Server } = await import("@tus/server");
  const { FileStore } = await import("@tus/file-store");
  new Server({ path: "/files", datastore: new FileStore({ directory }) }).listen(listen);
} else {
  const { DiskStorage, Uploadx } = await import("@uploadx/core");
  const uploads = new Uploadx({ path: "/files", storage: new DiskStorage({ directory, maxUploadSize: "100GB", allowMIME: ["*/*"] }) });
  createServer((request, response) => uploads.handle(request, response)).listen(listen);
}

// What a page with Uppy would do: the file that is chosen goes to the server by tus, with the session's cookie.
import Uppy from "@uppy/core";
import Tus from "@uppy/tus";

declare global {
  interface Window {
    /** What the test looks at. */
    uppyTest: { bytes: number; done: boolean; failed: string[]; videoId: string | null };
  }
}

window.uppyTest = { bytes: 0, done: false, failed: [], videoId: null };
const said = window.uppyTest;
const uppy = new Uppy({ autoProceed: true }).use(Tus, {
  endpoint: "/api/v1/tus",
  chunkSize: 3_000_000,
  retryDelays: [200, 500, 1000, 2000, 2000, 2000, 2000],
  onAfterResponse: (_request, response) => {
    said.videoId = response.getHeader("Millrace-Video-Id") ?? said.videoId;
  },
});
uppy.on("upload-progress", (_file, progress) => {
  said.bytes = progress.bytesUploaded || 0;
});
uppy.on("complete", (result) => {
  said.done = (result.successful ?? []).length === 1;
  said.failed = (result.failed ?? []).map((file) => String(file.error));
});
document.querySelector<HTMLInputElement>("input[type=file]")!.addEventListener("change", (event) => {
  for (const file of Array.from((event.target as HTMLInputElement).files ?? [])) {
    uppy.addFile({ name: file.name, type: file.type, data: file });
  }
});

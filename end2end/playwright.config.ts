// End-to-end tests: the real binary, in real Chromium. `make e2e` builds what they need and runs them.
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "specs",
  outputDir: "results/traces",
  // One server and one browser already fill two cores while a video is encoded.
  workers: 1,
  retries: 0,
  forbidOnly: !!process.env.CI,
  // Patient: a machine that is five times slower, with an encode beside, is no fault of the product's. What never comes is late by this much.
  timeout: 600_000,
  expect: { timeout: 45_000 },
  reporter: [["list"]],
  globalSetup: "./fixtures/clips.ts",
  use: {
    viewport: { width: 1280, height: 800 },
    actionTimeout: 45_000,
    navigationTimeout: 90_000,
    trace: "retain-on-failure",
    launchOptions: {
      // The system's Chromium, since it decodes H.264 and AAC; Playwright's own build does not.
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--autoplay-policy=no-user-gesture-required", "--mute-audio"],
    },
  },
});

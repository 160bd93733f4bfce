// The product in Firefox as it is installed: `make test-firefox`. Playwright runs the test, but drives only a Firefox of its own: `bidi.ts` drives this one.
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: ".",
  outputDir: "../results/traces",
  workers: 1,
  forbidOnly: !!process.env.CI,
  timeout: 600_000,
  expect: { timeout: 45_000 },
  reporter: [["list"]],
  globalSetup: "../fixtures/clips.ts",
});

// End-to-end tests of the other set-ups: PostgreSQL, S3, SQS, MediaConvert and CloudFront, as emulators on this machine. `make test-aws` starts
// those and runs this inside.
import { defineConfig } from "@playwright/test";
import local from "../playwright.config";
import { setups, type Setup } from "./setups";

export default defineConfig<object, { setup: Setup }>({
  ...local,
  testDir: "specs",
  outputDir: "../results/aws",
  globalSetup: "../fixtures/clips.ts",
  timeout: 900_000,
  projects: setups.map((setup) => ({ name: setup.name, use: { setup } })),
});

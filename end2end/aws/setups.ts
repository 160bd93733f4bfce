// The set-ups that the README names, each one a project of the run. (All embedded is what every other spec runs on.)
export interface Setup {
  name: string;
  /** What differs from the environment that the emulators give. */
  settings: Record<string, string>;
  workers: number;
  store: "s3" | "files";
  cdn: "cloudfront" | "origin";
}

/** The settings that the emulators gave, as an operator gets them from Terraform. */
const aws = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith("MILLRACE_"))) as Record<string, string>;

export const setups: Setup[] = [
  { name: "all AWS and PostgreSQL", settings: aws, workers: 0, store: "s3", cdn: "cloudfront" },
  {
    name: "S3, SQS, CloudFront and a fleet of ffmpeg workers",
    settings: { ...aws, MILLRACE_PORTS_TRANSCODER: "ffmpeg", MILLRACE_TRANSCODE_IN_SERVE: "false" },
    workers: 2,
    store: "s3",
    cdn: "cloudfront",
  },
  { name: "PostgreSQL and the rest local", settings: {}, workers: 0, store: "files", cdn: "origin" },
];


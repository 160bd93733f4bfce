"""The edge of CloudFront, for tests: MiniStack has its control plane and its way to S3, but checks no signatures."""

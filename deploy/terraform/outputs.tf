# What the application is started with:
#
#   terraform output -raw settings_file        > millrace.env
#   terraform output -raw secret_settings_file >> millrace.env
#
# Missing there, because Terraform does not know them: MILLRACE_CLOUDFRONT_PRIVATE_KEY_FILE (the private half of the signing key),
# MILLRACE_SIGNING_KEY (openssl rand -hex 32) and MILLRACE_DATABASE_URL.

locals {
  settings = {
    MILLRACE_PUBLIC_URL                 = var.app_origins[0]
    MILLRACE_UPLOAD_UNFINISHED_DAYS     = tostring(var.unfinished_days)
    MILLRACE_PORTS_STORE                = "s3"
    MILLRACE_PORTS_QUEUE                = "sqs"
    MILLRACE_PORTS_TRANSCODER           = "mediaconvert"
    MILLRACE_PORTS_CDN                  = "cloudfront"
    MILLRACE_AWS_REGION                 = var.region
    MILLRACE_S3_INPUT_BUCKET            = aws_s3_bucket.input.id
    MILLRACE_S3_OUTPUT_BUCKET           = aws_s3_bucket.output.id
    MILLRACE_S3_ENCRYPTION              = "bucket"
    MILLRACE_SQS_QUEUE_URL              = aws_sqs_queue.jobs.id
    MILLRACE_MEDIACONVERT_ROLE_ARN      = aws_iam_role.mediaconvert.arn
    MILLRACE_MEDIACONVERT_QUEUE_ARN     = aws_media_convert_queue.this.arn
    MILLRACE_MEDIACONVERT_ENVIRONMENT   = var.environment
    MILLRACE_CLOUDFRONT_URL             = "https://${var.cdn_domain != "" ? var.cdn_domain : aws_cloudfront_distribution.media.domain_name}"
    MILLRACE_CLOUDFRONT_DISTRIBUTION_ID = aws_cloudfront_distribution.media.id
    MILLRACE_CLOUDFRONT_KEY_ID          = aws_cloudfront_public_key.signing[local.signing_key].id
  }
  secret_settings = {
    MILLRACE_CLOUDFRONT_ORIGIN_SECRET = var.origin_secret
  }
}

output "settings" {
  description = "The application's settings, by the names of its environment variables."
  value       = local.settings
}

output "settings_file" {
  description = "The same as lines of an environment file."
  value       = join("", [for name, value in local.settings : "${name}=${value}\n"])
}

output "secret_settings" {
  description = "Settings that nobody else should see."
  value       = local.secret_settings
  sensitive   = true
}

output "secret_settings_file" {
  description = "The same as lines of an environment file."
  value       = join("", [for name, value in local.secret_settings : "${name}=${value}\n"])
  sensitive   = true
}

output "app_policy_arn" {
  description = "Attach this policy to what the application runs as; see app_policy.tf."
  value       = aws_iam_policy.app.arn
}

output "dead_letter_queue_url" {
  description = "Where messages end that were given up on."
  value       = aws_sqs_queue.dead.id
}

output "cloudfront_domain" {
  description = "CloudFront's own name for the distribution: what a CNAME of cdn_domain points to."
  value       = aws_cloudfront_distribution.media.domain_name
}

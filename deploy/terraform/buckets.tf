# Two private buckets. `input` takes the sources, straight from browsers; `output` holds what is published, for CloudFront to read.
# They are two because their readers are: no mistake in one's policy opens the other.

resource "aws_s3_bucket" "input" {
  bucket = "${local.prefix}-input-${local.account}"
}

resource "aws_s3_bucket" "output" {
  bucket = "${local.prefix}-output-${local.account}"
}

locals {
  buckets = {
    input  = aws_s3_bucket.input
    output = aws_s3_bucket.output
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.buckets

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# No ACLs: policies alone decide.
resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets

  bucket = each.value.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.buckets

  bucket = each.value.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == "" ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn == "" ? null : var.kms_key_arn
    }
    # One call to KMS a bucket and hour instead of one a segment.
    bucket_key_enabled = var.kms_key_arn != ""
  }
}

# Browsers PUT the parts themselves. They must be let see each part's ETag: completing an upload names them.
resource "aws_s3_bucket_cors_configuration" "input" {
  bucket = aws_s3_bucket.input.id

  cors_rule {
    id              = "browser-uploads"
    allowed_methods = ["PUT"]
    allowed_origins = var.app_origins
    allowed_headers = ["content-type", "x-amz-checksum-crc32c", "x-amz-sdk-checksum-algorithm"]
    expose_headers  = ["ETag"]
    max_age_seconds = 3600
  }
}

# The application gives up on an unfinished upload var.unfinished_days after its last part and frees its parts. This is for what it could not.
# S3 counts from the beginning of an upload, and a slow one that is resumed day after day must not lose what it has: so much later.
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.buckets

  bucket = each.value.id
  rule {
    id     = "abort-unfinished-uploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = var.unfinished_days + 90
    }
  }
}

data "aws_iam_policy_document" "tls_only" {
  for_each = local.buckets

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [each.value.arn, "${each.value.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

data "aws_iam_policy_document" "output_bucket" {
  source_policy_documents = var.require_tls ? [data.aws_iam_policy_document.tls_only["output"].json] : []

  # This one distribution reads what is published. Nobody else does without a right of his own.
  statement {
    sid       = "CloudFrontReads"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.output.arn}/${local.published}"]
    principals {
      type        = "Service"
      identifiers = ["cloudfront.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "AWS:SourceArn"
      values   = [aws_cloudfront_distribution.media.arn]
    }
  }
}

resource "aws_s3_bucket_policy" "input" {
  count = var.require_tls ? 1 : 0

  bucket     = aws_s3_bucket.input.id
  policy     = data.aws_iam_policy_document.tls_only["input"].json
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_policy" "output" {
  bucket     = aws_s3_bucket.output.id
  policy     = data.aws_iam_policy_document.output_bucket.json
  depends_on = [aws_s3_bucket_public_access_block.this]
}

# MediaConvert: a queue of our own, so that its jobs and its metrics are ours alone, and the role that it takes on to reach the buckets.

resource "aws_media_convert_queue" "this" {
  name         = local.prefix
  description  = "Millrace, ${var.environment}"
  pricing_plan = "ON_DEMAND"
}

data "aws_iam_policy_document" "mediaconvert_assumes" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["mediaconvert.amazonaws.com"]
    }
    # The service acts for many accounts: only for us, please.
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "mediaconvert" {
  name               = "${local.prefix}-mediaconvert"
  description        = "What MediaConvert may do: read sources, write published renditions"
  assume_role_policy = data.aws_iam_policy_document.mediaconvert_assumes.json
}

data "aws_iam_policy_document" "mediaconvert" {
  statement {
    sid       = "ReadSources"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.input.arn}/${local.sources}"]
  }

  statement {
    sid       = "WritePublished"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.output.arn}/${local.published}"]
  }

  statement {
    sid       = "FindBuckets"
    actions   = ["s3:GetBucketLocation", "s3:ListBucket"]
    resources = [aws_s3_bucket.input.arn, aws_s3_bucket.output.arn]
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == "" ? [] : [1]
    content {
      sid       = "UseTheKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.kms_key_arn]
    }
  }
}

resource "aws_iam_role_policy" "mediaconvert" {
  name   = "buckets"
  role   = aws_iam_role.mediaconvert.id
  policy = data.aws_iam_policy_document.mediaconvert.json
}

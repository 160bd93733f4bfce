# What the application may do, and nothing more. Attach it to whatever the application runs as:
#
#   ECS:      aws iam attach-role-policy --role-name TASK_ROLE --policy-arn "$(terraform output -raw app_policy_arn)"
#   EC2 / VM: the same with the instance profile's role
#   else:     a user with an access key: aws iam attach-user-policy --user-name NAME --policy-arn ...
#
# No role or user is made here, since how the application runs is yours to choose; prefer a role, which has no key that could leak.

data "aws_iam_policy_document" "app" {
  statement {
    sid = "Sources"
    # PutObject covers creating, writing and completing a multipart upload.
    actions   = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    resources = ["${aws_s3_bucket.input.arn}/${local.sources}"]
  }

  statement {
    sid       = "Published"
    actions   = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    resources = ["${aws_s3_bucket.output.arn}/${local.published}"]
  }

  statement {
    sid = "Listing"
    # Not narrowed to a prefix: without ListBucket on the bucket itself, S3 answers 403 instead of 404 for an object that is not there.
    # Uploads that no row names any more are found by listing them (`millrace audit`).
    actions   = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
    resources = [aws_s3_bucket.input.arn, aws_s3_bucket.output.arn]
  }

  statement {
    sid = "Queue"
    actions = [
      "sqs:SendMessage",
      "sqs:ReceiveMessage",
      "sqs:DeleteMessage",
      "sqs:ChangeMessageVisibility",
      "sqs:GetQueueAttributes",
    ]
    resources = [aws_sqs_queue.jobs.arn]
  }

  statement {
    sid       = "StartJobs"
    actions   = ["mediaconvert:CreateJob", "mediaconvert:TagResource", "mediaconvert:GetQueue"]
    resources = [aws_media_convert_queue.this.arn]
  }

  statement {
    sid = "FollowJobs"
    # A job's ARN holds an id that MediaConvert makes up, so all jobs of the account and region it is.
    actions   = ["mediaconvert:GetJob", "mediaconvert:CancelJob", "mediaconvert:TagResource"]
    resources = ["arn:${local.partition}:mediaconvert:${var.region}:${local.account}:jobs/*"]
  }

  statement {
    sid = "FindJobsAndProbe"
    # These name no resource that could be limited to. Probe reads with the caller's own rights to the object.
    actions   = ["mediaconvert:ListJobs", "mediaconvert:Probe"]
    resources = ["*"]
  }

  statement {
    sid       = "HandRoleToMediaConvert"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.mediaconvert.arn]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["mediaconvert.amazonaws.com"]
    }
  }

  statement {
    sid = "TakeDown"
    # GetDistribution and those below are for `millrace doctor`: is the key that we sign with one that CloudFront trusts?
    actions   = ["cloudfront:CreateInvalidation", "cloudfront:GetDistribution"]
    resources = [aws_cloudfront_distribution.media.arn]
  }

  statement {
    sid = "CheckKeys"
    # CloudFront knows no narrower resource for these; they read public keys.
    actions   = ["cloudfront:GetKeyGroup", "cloudfront:GetPublicKey"]
    resources = ["*"]
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

resource "aws_iam_policy" "app" {
  name        = "${local.prefix}-app"
  description = "What the Millrace application may do"
  policy      = data.aws_iam_policy_document.app.json
}

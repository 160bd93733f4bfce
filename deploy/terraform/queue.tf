# One queue carries both kinds of messages: the application's wake-ups and MediaConvert's events. The job rows are the truth; a message
# only says "look", so a lost, late or doubled one costs a moment and never a video.

resource "aws_sqs_queue" "dead" {
  name = "${local.prefix}-jobs-dead"
  # As long as SQS keeps anything: somebody has to look.
  message_retention_seconds = 14 * 24 * 3600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "jobs" {
  name = "${local.prefix}-jobs"
  # The application renews it by heartbeat while it works (setting sqs.visibility_seconds).
  visibility_timeout_seconds = 60
  receive_wait_time_seconds  = 20
  message_retention_seconds  = 4 * 24 * 3600
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = 5
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.jobs.arn]
  })
}

locals {
  queues = {
    jobs = aws_sqs_queue.jobs
    dead = aws_sqs_queue.dead
  }
}

# EventBridge delivers into the queue, and into the dead-letter queue what it could not deliver.
data "aws_iam_policy_document" "queue" {
  for_each = local.queues

  statement {
    sid       = "EventBridgeSends"
    actions   = ["sqs:SendMessage"]
    resources = [each.value.arn]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.mediaconvert.arn]
    }
  }

  dynamic "statement" {
    for_each = var.require_tls ? [1] : []
    content {
      sid       = "TlsOnly"
      effect    = "Deny"
      actions   = ["sqs:*"]
      resources = [each.value.arn]
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
}

resource "aws_sqs_queue_policy" "this" {
  for_each = local.queues

  queue_url = each.value.id
  policy    = data.aws_iam_policy_document.queue[each.key].json
}

# Every job carries `app` and `environment` in its userMetadata. The filter keeps other environments of the account, and whatever else uses
# MediaConvert in it, out of this queue.
resource "aws_cloudwatch_event_rule" "mediaconvert" {
  name        = "${local.prefix}-mediaconvert"
  description = "What becomes of this environment's MediaConvert jobs, for the application's queue"

  event_pattern = jsonencode({
    source      = ["aws.mediaconvert"]
    detail-type = ["MediaConvert Job State Change"]
    detail = {
      # STATUS_UPDATE is the progress; PROGRESSING comes once only.
      status = ["INPUT_INFORMATION", "PROGRESSING", "STATUS_UPDATE", "COMPLETE", "CANCELED", "ERROR"]
      userMetadata = {
        app         = ["millrace"]
        environment = [var.environment]
      }
    }
  })
}

resource "aws_cloudwatch_event_target" "jobs" {
  rule      = aws_cloudwatch_event_rule.mediaconvert.name
  target_id = "jobs"
  arn       = aws_sqs_queue.jobs.arn

  retry_policy {
    # Older news is no news: the application asks by itself long before.
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead.arn
  }
}

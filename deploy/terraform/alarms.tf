# What somebody should look at. Each says in its description what it means and what to do.

locals {
  alarms = {
    dead-letters = {
      description = "Messages were given up on. Read them in ${local.prefix}-jobs-dead; their videos go on by themselves."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.dead.name }
      statistic   = "Maximum"
      threshold   = 0
      minutes     = 5
    }
    # Rather than their age, which says little here: a worker keeps its message in flight for as long as the job runs, and that may be hours.
    messages-wait = {
      description = "Messages have been waiting for ${var.waiting_minutes} minutes. Is a worker running, and are there enough?"
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.jobs.name }
      statistic   = "Minimum"
      threshold   = 0
      minutes     = var.waiting_minutes
    }
    # Beyond what any job takes. SQS forgets a message after four days.
    messages-old = {
      description = "The oldest message is older than ${var.oldest_message_hours} hours. Does a worker hang, or does nobody work?"
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = aws_sqs_queue.jobs.name }
      statistic   = "Maximum"
      threshold   = var.oldest_message_hours * 3600
      minutes     = 5
    }
    events-undelivered = {
      description = "EventBridge could not deliver MediaConvert's events. Compare the queue's policy with queue.tf."
      namespace   = "AWS/Events"
      metric      = "FailedInvocations"
      dimensions  = { RuleName = aws_cloudwatch_event_rule.mediaconvert.name }
      statistic   = "Sum"
      threshold   = 0
      minutes     = 5
    }
    jobs-failed = {
      description = "More than 5 MediaConvert jobs failed within 15 minutes: rather the set-up than the videos. See the jobs' messages."
      namespace   = "AWS/MediaConvert"
      metric      = "JobsErroredCount"
      dimensions  = { Queue = aws_media_convert_queue.this.arn }
      statistic   = "Sum"
      threshold   = 5
      minutes     = 15
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${local.prefix}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.minutes * 60
  evaluation_periods  = 1
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanThreshold"
  # An idle queue and a month without a failed job report nothing at all.
  treat_missing_data = "notBreaching"
  alarm_actions      = var.alarm_topic_arns
  ok_actions         = var.alarm_topic_arns
}

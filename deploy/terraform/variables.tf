variable "name" {
  description = "First part of every resource's name. Change it only if the name is taken."
  type        = string
  default     = "millrace"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,15}$", var.name))
    error_message = "Use 2 to 16 lower-case letters, digits and hyphens, a letter first: bucket names begin with it."
  }
}

variable "environment" {
  description = "Second part of every name. Several environments share an account: each gets only its own events."
  type        = string
  default     = "production"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,15}$", var.environment))
    error_message = "Use 2 to 16 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "region" {
  description = "Where everything is; MediaConvert has to be there. CloudFront is everywhere."
  type        = string
  default     = "us-east-1"
}

variable "app_origins" {
  description = "Where the dashboard is, as browsers name it: https://video.example.com. Uploads to S3 are allowed from there only. The first one becomes MILLRACE_PUBLIC_URL."
  type        = list(string)

  validation {
    condition     = length(var.app_origins) > 0 && alltrue([for origin in var.app_origins : can(regex("^https?://[^/]+$", origin))])
    error_message = "Give at least one origin, with its scheme and without a path: https://video.example.com"
  }
}

variable "unfinished_days" {
  description = "Days until the application gives up an upload that nobody goes on with."
  type        = number
  default     = 7

  validation {
    condition     = var.unfinished_days >= 1 && floor(var.unfinished_days) == var.unfinished_days
    error_message = "Use a whole number of days, at least 1."
  }
}

variable "app_domain" {
  description = "Host name of the application, where CloudFront fetches playlists from: video.example.com. It has to answer HTTPS."
  type        = string
}

variable "origin_secret" {
  description = "What CloudFront tells the application to prove that a request came through it. Make it with: openssl rand -hex 32"
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.origin_secret) >= 32
    error_message = "Use at least 32 characters. Make it with: openssl rand -hex 32"
  }
}

variable "cloudfront_public_keys" {
  description = "Name => public key (PEM) of every key that may sign URLs. Two of them during a rotation; see README.md."
  type        = map(string)

  validation {
    condition = length(var.cloudfront_public_keys) > 0 && alltrue([
      for key in values(var.cloudfront_public_keys) : strcontains(key, "BEGIN PUBLIC KEY")
    ])
    error_message = "Give at least one public key as PEM. The private key stays with you and never comes here."
  }
}

variable "cloudfront_signing_key" {
  description = "Name of the key that the application signs with. Empty: the last one by name, so names by date work."
  type        = string
  default     = ""
}

variable "cdn_domain" {
  description = "A host name of your own for the CDN, or empty for CloudFront's *.cloudfront.net."
  type        = string
  default     = ""
}

variable "cdn_certificate_arn" {
  description = "Certificate for cdn_domain, from ACM in us-east-1: CloudFront takes it from nowhere else."
  type        = string
  default     = ""
}

variable "price_class" {
  description = "How far CloudFront reaches: PriceClass_100 (North America, Europe), PriceClass_200, PriceClass_All."
  type        = string
  default     = "PriceClass_100"
}

variable "kms_key_arn" {
  description = "A KMS key of your own for both buckets, or empty for S3's keys. Its policy must let CloudFront decrypt; see README.md."
  type        = string
  default     = ""
}

variable "alarm_topic_arns" {
  description = "SNS topics that hear alarms and their end. Without any, alarms are seen in the console only."
  type        = list(string)
  default     = []
}

variable "waiting_minutes" {
  description = "Messages may wait without a break for this long before an alarm: nobody works, or all are busy for long."
  type        = number
  default     = 15
}

variable "oldest_message_hours" {
  description = "How old a message may become before an alarm: longer than the longest job takes, shorter than the four days that SQS keeps it."
  type        = number
  default     = 24

  validation {
    condition     = var.oldest_message_hours > 0 && var.oldest_message_hours < 96
    error_message = "Use more than 0 and fewer than 96 hours."
  }
}

variable "require_tls" {
  description = "Refuse plain HTTP everywhere. False is for emulators, which have no TLS."
  type        = bool
  default     = true
}

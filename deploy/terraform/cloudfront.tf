# One distribution, two origins: media from the output bucket, playlists from the application. Both want a signed URL. Playlists come
# through here as well so that the URL a player gets is on one host, and the application's is not told to viewers.

resource "aws_cloudfront_public_key" "signing" {
  for_each = var.cloudfront_public_keys

  name        = "${local.prefix}-${each.key}"
  comment     = "Signs playback URLs of ${local.prefix}"
  encoded_key = "${trimspace(each.value)}\n"

  # A key that leaves the map is deleted only after the group has let go of it.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudfront_key_group" "signing" {
  name    = "${local.prefix}-signing"
  comment = "Keys that playback URLs may be signed with: two during a rotation"
  items   = [for key in aws_cloudfront_public_key.signing : key.id]
}

locals {
  signing_key = var.cloudfront_signing_key != "" ? var.cloudfront_signing_key : reverse(sort(keys(var.cloudfront_public_keys)))[0]
}

resource "aws_cloudfront_origin_access_control" "output" {
  name                              = "${local.prefix}-output"
  description                       = "Signs CloudFront's requests to the output bucket"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

# Published objects never change, so what identifies one is its path alone. Signatures are in the query, and must not be in the cache's key:
# every viewer has another one.
resource "aws_cloudfront_cache_policy" "media" {
  name    = "${local.prefix}-media"
  comment = "Immutable media: a year, by path alone"
  # The application's own objects say `private`, since their URLs carry somebody's right; CloudFront keeps such ones for the minimum only.
  min_ttl     = 365 * 24 * 3600
  default_ttl = 365 * 24 * 3600
  max_ttl     = 365 * 24 * 3600

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_gzip   = false
    enable_accept_encoding_brotli = false
    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

# Playlists carry a viewer's own signatures: the application sends `private` and they are not kept. The managed policy "CachingDisabled"
# would do so too, but with it CloudFront does not pass Accept-Encoding on, and a long playlist shrinks a hundredfold by gzip.
resource "aws_cloudfront_cache_policy" "playlists" {
  name        = "${local.prefix}-playlists"
  comment     = "Playlists: not kept, but compressed by the application"
  min_ttl     = 0
  default_ttl = 0
  max_ttl     = 1

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_gzip   = true
    enable_accept_encoding_brotli = true
    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

# Players run on pages of any origin; the signature is what protects, so `*` gives nothing away, and without credentials it may be `*`.
# No Cache-Control here: it would stand on errors as well, and browsers would keep a segment that was refused once. What the application
# publishes has its own; MediaConvert's objects have none, and browsers go by their age.
resource "aws_cloudfront_response_headers_policy" "this" {
  name    = "${local.prefix}-players"
  comment = "What players on other sites need"

  cors_config {
    access_control_allow_credentials = false
    access_control_max_age_sec       = 86400
    origin_override                  = true
    access_control_allow_headers {
      items = ["*"]
    }
    access_control_allow_methods {
      items = ["GET", "HEAD", "OPTIONS"]
    }
    access_control_allow_origins {
      items = ["*"]
    }
    access_control_expose_headers {
      items = ["Content-Length", "Content-Range", "Date", "ETag"]
    }
  }

  security_headers_config {
    content_type_options {
      override = true
    }
    strict_transport_security {
      access_control_max_age_sec = 31536000
      override                   = true
    }
  }

  custom_headers_config {
    items {
      header   = "Cross-Origin-Resource-Policy"
      value    = "cross-origin"
      override = true
    }
  }
}

resource "aws_cloudfront_distribution" "media" {
  comment         = "${local.prefix}: media and playlists"
  enabled         = true
  is_ipv6_enabled = true
  http_version    = "http2and3"
  price_class     = var.price_class
  aliases         = var.cdn_domain == "" ? [] : [var.cdn_domain]

  origin {
    origin_id                = "output"
    domain_name              = aws_s3_bucket.output.bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.output.id
  }

  origin {
    origin_id   = "app"
    domain_name = var.app_domain

    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = var.require_tls ? "https-only" : "http-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }

    # CloudFront takes its signature off before the origin sees the request. By this header the application knows that one was checked.
    custom_header {
      name  = "x-millrace-origin"
      value = var.origin_secret
    }
  }

  default_cache_behavior {
    target_origin_id           = "output"
    viewer_protocol_policy     = var.require_tls ? "https-only" : "allow-all"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD"]
    cache_policy_id            = aws_cloudfront_cache_policy.media.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.this.id
    trusted_key_groups         = [aws_cloudfront_key_group.signing.id]
  }

  ordered_cache_behavior {
    path_pattern               = "/hls/*"
    target_origin_id           = "app"
    viewer_protocol_policy     = var.require_tls ? "https-only" : "allow-all"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD"]
    compress                   = true
    cache_policy_id            = aws_cloudfront_cache_policy.playlists.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.this.id
    trusted_key_groups         = [aws_cloudfront_key_group.signing.id]
  }

  # Segments that the application cuts from a source on request: what plays before anything is encoded. Kept as those in the bucket are.
  ordered_cache_behavior {
    path_pattern               = "/packaged/*"
    target_origin_id           = "app"
    viewer_protocol_policy     = var.require_tls ? "https-only" : "allow-all"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD"]
    cache_policy_id            = aws_cloudfront_cache_policy.media.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.this.id
    trusted_key_groups         = [aws_cloudfront_key_group.signing.id]
  }

  # CloudFront keeps errors for 10 s by itself. A segment that was asked for a moment too early should be there on the next try.
  dynamic "custom_error_response" {
    for_each = toset([403, 404])
    content {
      error_code            = custom_error_response.value
      error_caching_min_ttl = 1
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = var.cdn_domain == ""
    acm_certificate_arn            = var.cdn_domain == "" ? null : var.cdn_certificate_arn
    ssl_support_method             = var.cdn_domain == "" ? null : "sni-only"
    minimum_protocol_version       = var.cdn_domain == "" ? "TLSv1" : "TLSv1.2_2021"
  }

  lifecycle {
    precondition {
      condition     = contains(keys(var.cloudfront_public_keys), local.signing_key)
      error_message = "cloudfront_signing_key must be the name of one of cloudfront_public_keys."
    }
    precondition {
      condition     = var.cdn_domain == "" || var.cdn_certificate_arn != ""
      error_message = "A cdn_domain of your own needs cdn_certificate_arn as well."
    }
  }
}

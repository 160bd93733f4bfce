//! What settings must hold to beyond their types, checked on the text so that a fault names the setting.

use std::net::SocketAddr;

use toml::{Table, Value};

use super::{ConfigError, Networks, operator};

/// Checks what types alone do not say.
pub(super) fn check_values(table: &Table) -> Result<(), ConfigError> {
    let fail = |name: &str, message: String| ConfigError::Value { name: name.into(), origin: "see the settings".into(), message };
    let text = |name: &str| lookup(table, name).and_then(Value::as_str).unwrap_or_default();
    if text("bind").parse::<SocketAddr>().is_err() {
        return Err(fail("bind", format!("must be an address and a port, such as 127.0.0.1:3000, not `{}`", text("bind"))));
    }
    let url = text("public_url");
    if !(url.is_empty() || url.starts_with("http://") || url.starts_with("https://")) || url.contains(['"', ' ', '<', '>']) {
        return Err(fail("public_url", format!("must start with http:// or https://, such as https://video.example.com, not `{url}`")));
    }
    if url.is_empty() && text("bind").parse::<SocketAddr>().is_ok_and(|bind| bind.ip().is_unspecified()) {
        let message = format!("must be set when `bind` is {}, or links would lead nowhere: such as http://192.168.1.20:3000", text("bind"));
        return Err(fail("public_url", message));
    }
    if text("data_dir").is_empty() {
        return Err(fail("data_dir", "must name a folder".into()));
    }
    for (name, words) in [
        ("registration", &["open", "invite", "closed"][..]),
        ("transcode.sandbox", &["auto", "bubblewrap", "landlock", "off"][..]),
        ("log_format", &["human", "json"][..]),
        ("ports.store", &["files", "s3"][..]),
        ("ports.queue", &["database", "sqs"][..]),
        ("ports.transcoder", &["ffmpeg", "mediaconvert"][..]),
        ("ports.cdn", &["origin", "cloudfront"][..]),
        ("s3.encryption", &["bucket", "AES256", "aws:kms"][..]),
        ("http.client_address_header", &["x-forwarded-for", "forwarded"][..]),
    ] {
        if !words.contains(&text(name)) {
            return Err(fail(name, format!("must be one of {}, not `{}`", words.join(", "), text(name))));
        }
    }
    let database = text("database.url");
    if !database.is_empty() && !["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| database.starts_with(scheme)) {
        return Err(fail("database.url", "must be empty or start with sqlite: or postgres://".into()));
    }
    if let Err(error) = text("http.trusted_proxies").parse::<Networks>() {
        return Err(fail("http.trusted_proxies", error.to_string()));
    }
    check_ports(table, &text)?;
    operator::check(&text)?;
    for (name, least, most) in [
        ("http.hsts_days", 0, 3_650),
        ("http.max_connections", 16, 1_000_000),
        ("http.max_connections_per_address", 8, 1_000_000),
        ("http.header_seconds", 1, 3_600),
        ("http.body_seconds", 1, 3_600),
        ("http.upload_idle_seconds", 1, 3_600),
        ("http.answer_idle_seconds", 1, 86_400),
        ("http.drain_seconds", 0, 600),
        ("http.requests_per_minute_address", 0, 10_000_000),
        ("http.requests_per_minute_account", 0, 10_000_000),
        ("database.max_connections", 2, 1_000),
        ("session.days", 1, 3_650),
        ("upload.max_size_bytes", 1, 1 << 46),
        ("upload.quota_bytes", 0, 1 << 60),
        ("upload.max_unfinished", 0, 1_000_000),
        ("upload.unfinished_days", 1, 3_650),
        ("upload.source_retention_days", 0, 36_500),
        ("storage.min_free_bytes", 0, 1 << 60),
        ("storage.orphan_grace_hours", 0, 100_000),
        ("database.acquire_timeout_seconds", 1, 600),
        ("database.statement_timeout_seconds", 0, 3_600),
        ("s3.presign_minutes", 1, 720),
        ("sqs.visibility_seconds", 30, 43_200),
        ("mediaconvert.poll_seconds", 1, 3_600),
        ("transcode.jobs", 0, 256),
        ("transcode.max_duration_minutes", 1, 100_000),
        ("transcode.max_pixels", 10_000, 1 << 32),
        ("transcode.memory_mib", 256, 1 << 20),
        ("delivery.cache_mb", 0, 1 << 24),
        ("playback.link_lifetime_minutes", 1, 525_600),
        ("playback.renewal_seconds", 4, 86_400),
        ("telemetry.sample_percent", 0, 100),
        ("alerts.old_queue_minutes", 1, 100_000),
        ("alerts.low_disk_bytes", 0, 1 << 60),
        ("alerts.remind_hours", 1, 10_000),
    ] {
        let value = lookup(table, name).and_then(Value::as_integer).unwrap_or_default();
        if !(least..=most).contains(&value) {
            return Err(fail(name, format!("must lie between {least} and {most}, not {value}")));
        }
    }
    Ok(())
}

/// What 10,000 parts of a body of unknown length hold (see the S3 store), and a little less: 8 TB.
const LARGEST_ON_S3: i64 = 8_000_000_000_000;

/// Checks that what the chosen adapters need is there, and that they go together.
fn check_ports<'a>(table: &Table, text: &impl Fn(&str) -> &'a str) -> Result<(), ConfigError> {
    let fail = |name: &str, message: String| Err(ConfigError::Value { name: name.into(), origin: "see the settings".into(), message });
    let chosen = |port: &str, adapter: &str| text(port) == adapter;
    let wants_s3 = [("ports.transcoder", "mediaconvert"), ("ports.cdn", "cloudfront")];
    for (port, adapter) in wants_s3 {
        if chosen(port, adapter) && !chosen("ports.store", "s3") {
            return fail("ports.store", format!("must be s3 where `{port}` is {adapter}: it reads and writes there"));
        }
    }
    let needed: [(&str, &str, &[&str]); 4] = [
        ("ports.store", "s3", &["s3.input_bucket", "s3.output_bucket"]),
        ("ports.queue", "sqs", &["sqs.queue_url"]),
        ("ports.transcoder", "mediaconvert", &["mediaconvert.role_arn", "mediaconvert.queue_arn", "mediaconvert.environment"]),
        ("ports.cdn", "cloudfront", &["cloudfront.url", "cloudfront.distribution_id", "cloudfront.key_id"]),
    ];
    for (port, adapter, names) in needed {
        if let Some(missing) = names.iter().find(|name| chosen(port, adapter) && text(name).is_empty()) {
            return fail(missing, format!("must be set where `{port}` is {adapter}"));
        }
    }
    if chosen("ports.cdn", "cloudfront") && text("cloudfront.private_key_file").is_empty() == text("cloudfront.private_key").is_empty() {
        return fail("cloudfront.private_key_file", "must be set where `ports.cdn` is cloudfront; or private_key, but not both".into());
    }
    for name in ["aws.endpoint", "s3.endpoint", "sqs.endpoint", "mediaconvert.endpoint", "cloudfront.endpoint", "cloudfront.url"] {
        if !text(name).is_empty() && !text(name).starts_with("http://") && !text(name).starts_with("https://") {
            return fail(name, format!("must start with http:// or https://, not `{}`", text(name)));
        }
    }
    let largest = lookup(table, "upload.max_size_bytes").and_then(Value::as_integer).unwrap_or_default();
    if chosen("ports.store", "s3") && largest > LARGEST_ON_S3 {
        return fail("upload.max_size_bytes", format!("must be at most {LARGEST_ON_S3} where `ports.store` is s3, not {largest}"));
    }
    let key = text("signing.key");
    for (name, key) in [("signing.key", key), ("signing.previous_key", text("signing.previous_key"))] {
        if !key.is_empty() && (key.len() != 64 || !key.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return fail(name, "must be 64 hexadecimal digits: openssl rand -hex 32 makes some".into());
        }
    }
    let shared = chosen("ports.queue", "sqs") || chosen("ports.cdn", "cloudfront");
    if shared && key.is_empty() {
        return fail("signing.key", "must be set where several processes can serve: openssl rand -hex 32 makes one".into());
    }
    Ok(())
}

fn lookup<'a>(table: &'a Table, name: &str) -> Option<&'a Value> {
    match name.split_once('.') {
        Some((section, key)) => table.get(section)?.get(key),
        None => table.get(name),
    }
}

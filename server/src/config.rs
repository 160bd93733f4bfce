//! Settings: the commented defaults (compiled in), a file over them, the environment over both. The only file that reads the
//! environment. A wrong setting is an error that names it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use serde::Deserialize;
use toml::{Table, Value};

/// All settings with their comments.
pub const DEFAULTS: &str = include_str!("../config.default.toml");
const ENV_PREFIX: &str = "MILLRACE_";
/// Names a settings file; not a setting itself.
const ENV_CONFIG: &str = "MILLRACE_CONFIG";
const DEFAULT_FILE: &str = "millrace.toml";
/// Videos watched over at once where another machine does the work.
const JOBS_ELSEWHERE: usize = 32;

/// Who may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Everybody.
    Open,
    /// The first visitor, who becomes the owner, and nobody after that.
    Closed,
}

/// Whether media programs run isolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sandbox {
    /// In bubblewrap where it works.
    Auto,
    /// In bubblewrap or not at all.
    Bubblewrap,
    /// Never isolated.
    Off,
}

/// Where bytes live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// Files in the data folder.
    Files,
    /// S3 or a store that speaks it.
    S3,
}

/// How workers hear of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    /// By the database.
    Database,
    /// By SQS.
    Sqs,
}

/// What makes renditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TranscoderKind {
    /// ffmpeg on this machine.
    Ffmpeg,
    /// AWS Elemental MediaConvert.
    Mediaconvert,
}

/// Who delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CdnKind {
    /// This process.
    Origin,
    /// CloudFront.
    Cloudfront,
}

/// How S3 encrypts at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Encryption {
    /// As the bucket is set.
    #[serde(rename = "bucket")]
    Bucket,
    /// By S3's own keys.
    #[serde(rename = "AES256")]
    Aes256,
    /// By a key of KMS.
    #[serde(rename = "aws:kms")]
    Kms,
}

/// What the program runs with. Each field's meaning stands in [`DEFAULTS`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address and port to listen on.
    pub bind: SocketAddr,
    /// How users reach this server, without a slash at the end.
    pub public_url: String,
    /// Where everything lives that must survive.
    pub data_dir: PathBuf,
    /// Log filter.
    pub log: String,
    /// Who may sign up.
    pub registration: Registration,
    /// Which adapters are chosen.
    pub ports: PortSettings,
    /// The database.
    pub database: DatabaseSettings,
    /// The key that signs links.
    pub signing: SigningSettings,
    /// Sessions.
    pub session: SessionSettings,
    /// Uploads.
    pub upload: UploadSettings,
    /// Transcoding.
    pub transcode: TranscodeSettings,
    /// Playback.
    pub playback: PlaybackSettings,
    /// What is common to the AWS adapters.
    pub aws: AwsSettings,
    /// S3.
    pub s3: S3Settings,
    /// SQS.
    pub sqs: SqsSettings,
    /// MediaConvert.
    pub mediaconvert: MediaConvertSettings,
    /// CloudFront.
    pub cloudfront: CloudFrontSettings,
}

/// Which adapter stands behind each port.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortSettings {
    /// Where bytes live.
    pub store: StoreKind,
    /// How workers hear of jobs.
    pub queue: QueueKind,
    /// What makes renditions.
    pub transcoder: TranscoderKind,
    /// Who delivers.
    pub cdn: CdnKind,
}

/// The key that signs links.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningSettings {
    /// 64 hexadecimal digits, or empty for a file in the data folder.
    pub key: SecretString,
}

/// What is common to the AWS adapters.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsSettings {
    /// Region, or empty for what the environment of AWS programs says.
    pub region: String,
    /// Base URL for services without their own, or empty for AWS.
    pub endpoint: String,
}

/// S3.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Settings {
    /// Bucket for sources.
    pub input_bucket: String,
    /// Bucket for published objects.
    pub output_bucket: String,
    /// Base URL, or empty.
    pub endpoint: String,
    /// Whether buckets stand in the path.
    pub path_style: bool,
    /// Encryption at rest.
    pub encryption: Encryption,
    /// Key of KMS, or empty.
    pub kms_key_id: String,
    /// Minutes that a presigned URL works.
    pub presign_minutes: u64,
}

/// SQS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqsSettings {
    /// The queue.
    pub queue_url: String,
    /// Base URL, or empty.
    pub endpoint: String,
    /// Seconds until an unacknowledged message comes again.
    pub visibility_seconds: u32,
}

/// MediaConvert.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaConvertSettings {
    /// The role it takes on.
    pub role_arn: String,
    /// Its queue.
    pub queue_arn: String,
    /// Base URL, or empty.
    pub endpoint: String,
    /// Name of this installation in the metadata of jobs.
    pub environment: String,
    /// Seconds between two looks at a running job.
    pub poll_seconds: u64,
}

/// CloudFront.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudFrontSettings {
    /// Base URL of the distribution, without a slash at the end.
    pub url: String,
    /// The distribution.
    pub distribution_id: String,
    /// The id of the public key.
    pub key_id: String,
    /// File with the private key, or empty.
    pub private_key_file: PathBuf,
    /// The private key itself, or empty.
    pub private_key: SecretString,
    /// What the distribution sends in `x-millrace-origin`, or empty.
    pub origin_secret: SecretString,
    /// Base URL of its control plane, or empty.
    pub endpoint: String,
}

/// The database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Connection URL; it may hold a password.
    pub url: SecretString,
    /// Connections held open at most.
    pub max_connections: u32,
    /// Seconds to wait for a free connection.
    pub acquire_timeout_seconds: u64,
    /// Seconds that a statement may take on PostgreSQL; 0 for no limit of ours.
    pub statement_timeout_seconds: u64,
}

/// Sessions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSettings {
    /// Days until a session ends.
    pub days: i64,
}

/// Uploads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadSettings {
    /// Largest file taken, in bytes.
    pub max_size_bytes: u64,
    /// Days after which an unfinished upload is given up.
    pub unfinished_days: i64,
    /// Days after which the source of a video that plays is deleted; 0 to keep it.
    pub source_retention_days: i64,
}

/// Transcoding.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranscodeSettings {
    /// Videos worked on at once; never 0 after loading.
    pub jobs: usize,
    /// The encoder's program.
    pub ffmpeg: PathBuf,
    /// The probe's program.
    pub ffprobe: PathBuf,
    /// Whether they run isolated.
    pub sandbox: Sandbox,
    /// Folder for intermediate files; never empty after loading.
    pub scratch_dir: PathBuf,
    /// Longest video taken, in minutes.
    pub max_duration_minutes: u64,
    /// Most samples in a picture.
    pub max_pixels: u64,
    /// Memory of a child process, in MiB.
    pub memory_mib: u64,
}

/// Playback.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaybackSettings {
    /// Minutes that links to media work beyond the video's length.
    pub link_lifetime_minutes: u64,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings file {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the settings file {path} is not valid TOML: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// No such setting.
    #[error("there is no setting `{name}` ({origin}); `millrace config` lists all of them")]
    Unknown {
        /// Dotted name.
        name: String,
        /// File or variable.
        origin: String,
    },
    /// A value that does not fit.
    #[error("the setting `{name}` ({origin}) {message}")]
    Value {
        /// Dotted name.
        name: String,
        /// File or variable.
        origin: String,
        /// What it should be.
        message: String,
    },
}

impl Settings {
    /// Loads the settings: from `file`, else the one `MILLRACE_CONFIG` names, else `millrace.toml` where there is one, and the environment.
    ///
    /// # Errors
    /// The first setting that cannot be used, named.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let variables = environment()?;
        let named = variables.iter().find(|(name, _)| name == ENV_CONFIG).map(|(_, path)| PathBuf::from(path));
        let path = file.map(Path::to_path_buf).or(named).or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()));
        let text = path
            .map(|path| match std::fs::read_to_string(&path) {
                Ok(text) => Ok((path, text)),
                Err(source) => Err(ConfigError::File { path, source }),
            })
            .transpose()?;
        Self::from_layers(text.as_ref().map(|(path, text)| (path.as_path(), text.as_str())), &variables)
    }

    /// Lays `file` and then `variables` over the defaults.
    ///
    /// # Errors
    /// The first setting that cannot be used, named.
    pub fn from_layers(file: Option<(&Path, &str)>, variables: &[(String, String)]) -> Result<Self, ConfigError> {
        let mut table: Table = DEFAULTS
            .parse()
            .map_err(|error: toml::de::Error| ConfigError::Syntax { path: "config.default.toml".into(), message: error.to_string() })?;
        if let Some((path, text)) = file {
            let over = text.parse::<Table>().map_err(|error| ConfigError::Syntax { path: path.into(), message: error.to_string() })?;
            overlay(&mut table, over, "", &format!("in {}", path.display()))?;
        }
        for (variable, text) in variables.iter().filter(|(variable, _)| variable != ENV_CONFIG) {
            set_from_variable(&mut table, variable, text)?;
        }
        check_values(&table)?;
        let mut settings: Self = Value::Table(table).try_into().map_err(|error: toml::de::Error| ConfigError::Value {
            name: "?".into(),
            origin: "in the settings".into(),
            message: error.message().to_owned(),
        })?;
        settings.fill_in();
        Ok(settings)
    }

    fn fill_in(&mut self) {
        if self.public_url.is_empty() {
            self.public_url = format!("http://{}", self.bind);
        }
        while self.public_url.ends_with('/') {
            self.public_url.pop();
        }
        while self.cloudfront.url.ends_with('/') {
            self.cloudfront.url.pop();
        }
        if self.transcode.jobs == 0 {
            self.transcode.jobs = match self.ports.transcoder {
                TranscoderKind::Ffmpeg => std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(4)),
                TranscoderKind::Mediaconvert => JOBS_ELSEWHERE,
            };
        }
        if self.transcode.scratch_dir.as_os_str().is_empty() {
            self.transcode.scratch_dir = self.data_dir.join("scratch");
        }
    }

    /// Whether users reach this server over HTTPS, so that cookies must not travel otherwise.
    pub fn https(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}

/// Our variables. Those of others may hold anything.
fn environment() -> Result<Vec<(String, String)>, ConfigError> {
    let ours = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    ours.filter(|(name, _)| name.starts_with(ENV_PREFIX))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => {
                let setting = name.trim_start_matches(ENV_PREFIX).to_lowercase();
                Err(ConfigError::Value { name: setting, origin: format!("from {name}"), message: "is not UTF-8".into() })
            }
        })
        .collect()
}

/// Lays `over` on `base`, refusing names and types that `base` does not have.
fn overlay(base: &mut Table, over: Table, prefix: &str, origin: &str) -> Result<(), ConfigError> {
    for (key, value) in over {
        let name = format!("{prefix}{key}");
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(table)) => overlay(inner, table, &format!("{name}."), origin)?,
            (Some(slot), value) if slot.same_type(&value) => *slot = value,
            (Some(slot), _) => {
                return Err(ConfigError::Value { name, origin: origin.into(), message: format!("must be a {}", slot.type_str()) });
            }
            (None, _) => return Err(ConfigError::Unknown { name, origin: origin.into() }),
        }
    }
    Ok(())
}

/// `MILLRACE_UPLOAD_MAX_SIZE_BYTES` → `upload.max_size_bytes`, read as the type that the default has.
fn set_from_variable(table: &mut Table, variable: &str, text: &str) -> Result<(), ConfigError> {
    let name = variable.trim_start_matches(ENV_PREFIX).to_lowercase();
    let unknown = || ConfigError::Unknown { name: name.clone(), origin: format!("from {variable}") };
    let (slot, name) = if matches!(table.get(&name), Some(value) if !value.is_table()) {
        (table.get_mut(&name).ok_or_else(unknown)?, name.clone())
    } else {
        let (section, key) = name.split_once('_').ok_or_else(unknown)?;
        let dotted = format!("{section}.{key}");
        (table.get_mut(section).and_then(Value::as_table_mut).and_then(|inner| inner.get_mut(key)).ok_or_else(unknown)?, dotted)
    };
    let bad = |message: &str| ConfigError::Value { name: name.clone(), origin: format!("from {variable}"), message: message.into() };
    *slot = match slot {
        Value::Integer(_) => Value::Integer(text.trim().parse().map_err(|_| bad(&format!("must be a whole number, not `{text}`")))?),
        Value::Boolean(_) => Value::Boolean(text.trim().parse().map_err(|_| bad(&format!("must be true or false, not `{text}`")))?),
        _ => Value::String(text.to_owned()),
    };
    Ok(())
}

/// Checks what types alone do not say.
fn check_values(table: &Table) -> Result<(), ConfigError> {
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
        ("registration", &["open", "closed"][..]),
        ("transcode.sandbox", &["auto", "bubblewrap", "off"][..]),
        ("ports.store", &["files", "s3"][..]),
        ("ports.queue", &["database", "sqs"][..]),
        ("ports.transcoder", &["ffmpeg", "mediaconvert"][..]),
        ("ports.cdn", &["origin", "cloudfront"][..]),
        ("s3.encryption", &["bucket", "AES256", "aws:kms"][..]),
    ] {
        if !words.contains(&text(name)) {
            return Err(fail(name, format!("must be one of {}, not `{}`", words.join(", "), text(name))));
        }
    }
    let database = text("database.url");
    if !database.is_empty() && !["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| database.starts_with(scheme)) {
        return Err(fail("database.url", "must be empty or start with sqlite: or postgres://".into()));
    }
    check_ports(&text)?;
    for (name, least, most) in [
        ("database.max_connections", 2, 1_000),
        ("session.days", 1, 3_650),
        ("upload.max_size_bytes", 1, 1 << 46),
        ("upload.unfinished_days", 1, 3_650),
        ("upload.source_retention_days", 0, 36_500),
        ("database.acquire_timeout_seconds", 1, 600),
        ("database.statement_timeout_seconds", 0, 3_600),
        ("s3.presign_minutes", 1, 720),
        ("sqs.visibility_seconds", 30, 43_200),
        ("mediaconvert.poll_seconds", 1, 3_600),
        ("transcode.jobs", 0, 256),
        ("transcode.max_duration_minutes", 1, 100_000),
        ("transcode.max_pixels", 10_000, 1 << 32),
        ("transcode.memory_mib", 256, 1 << 20),
        ("playback.link_lifetime_minutes", 1, 525_600),
    ] {
        let value = lookup(table, name).and_then(Value::as_integer).unwrap_or_default();
        if !(least..=most).contains(&value) {
            return Err(fail(name, format!("must lie between {least} and {most}, not {value}")));
        }
    }
    Ok(())
}

/// Checks that what the chosen adapters need is there, and that they go together.
fn check_ports<'a>(text: &impl Fn(&str) -> &'a str) -> Result<(), ConfigError> {
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
    let key = text("signing.key");
    if !key.is_empty() && (key.len() != 64 || !key.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return fail("signing.key", "must be 64 hexadecimal digits: openssl rand -hex 32 makes some".into());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let variables: Vec<_> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::from_layers(None, &variables)
    }

    #[test]
    fn the_defaults_stand_alone() {
        let settings = with(&[]).expect("the defaults are valid");
        assert_eq!(settings.public_url, "http://127.0.0.1:3000");
        assert_eq!(settings.data_dir, Path::new("./data"));
        assert!(settings.transcode.jobs >= 1);
        assert_eq!(settings.transcode.scratch_dir, Path::new("./data/scratch"));
    }

    #[test]
    fn environment_beats_file_beats_default() {
        let file = "public_url = 'https://a.example/'\n[upload]\nmax_size_bytes = 5\n";
        let variables = [("MILLRACE_UPLOAD_MAX_SIZE_BYTES".to_owned(), "7".to_owned())];
        let settings = Settings::from_layers(Some((Path::new("m.toml"), file)), &variables).expect("valid");
        assert_eq!((settings.public_url.as_str(), settings.upload.max_size_bytes), ("https://a.example", 7));
        assert!(settings.https());
    }

    #[test]
    fn a_wrong_setting_is_named() {
        for (name, value, mention) in [
            ("MILLRACE_BIND", "nonsense", "`bind`"),
            ("MILLRACE_REGISTRATION", "maybe", "`registration`"),
            ("MILLRACE_TRANSCODE_SANDBOX", "on", "`transcode.sandbox`"),
            ("MILLRACE_UPLOAD_MAX_SIZE_BYTES", "many", "`upload.max_size_bytes`"),
            ("MILLRACE_UPLOAD_MAX_SIZE_BYTES", "0", "`upload.max_size_bytes`"),
            ("MILLRACE_PUBLIC_URL", "video.example.com", "`public_url`"),
            ("MILLRACE_BIND", "0.0.0.0:3000", "`public_url`"),
            ("MILLRACE_PORTS_STORE", "s3", "`s3.input_bucket`"),
            ("MILLRACE_PORTS_STORE", "ftp", "`ports.store`"),
            ("MILLRACE_PORTS_QUEUE", "sqs", "`sqs.queue_url`"),
            ("MILLRACE_PORTS_TRANSCODER", "mediaconvert", "`ports.store`"),
            ("MILLRACE_PORTS_CDN", "cloudfront", "`ports.store`"),
            ("MILLRACE_SIGNING_KEY", "secret", "`signing.key`"),
            ("MILLRACE_DATABASE_URL", "mysql://x", "`database.url`"),
            ("MILLRACE_AWS_ENDPOINT", "localhost", "`aws.endpoint`"),
            ("MILLRACE_TYPO", "1", "`typo`"),
            ("MILLRACE_UPLOAD", "1", "`upload`"),
        ] {
            let message = with(&[(name, value)]).expect_err(name).to_string();
            assert!(message.contains(mention), "{name}={value}: {message}");
        }
        let file = Settings::from_layers(Some((Path::new("m.toml"), "[upload]\nmax = 1\n")), &[]).expect_err("unknown").to_string();
        assert!(file.contains("`upload.max`") && file.contains("m.toml"), "{file}");
    }
}

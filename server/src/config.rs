//! Settings: the commented defaults (compiled in), a file over them, the environment over both. The only file that reads the
//! environment. A wrong setting is an error that names it.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

mod checks;
mod networks;
mod operator;
mod sections;

use self::checks::check_values;
pub use self::{networks::Networks, operator::*, sections::*};

/// All settings with their comments.
pub const DEFAULTS: &str = include_str!("../config.default.toml");
const ENV_PREFIX: &str = "MILLRACE_";
/// Names a settings file; not a setting itself.
const ENV_CONFIG: &str = "MILLRACE_CONFIG";
const DEFAULT_FILE: &str = "millrace.toml";
/// Videos watched over at once where another machine does the work.
const JOBS_ELSEWHERE: usize = 32;

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
        let mut settings = Self::from_layers(text.as_ref().map(|(path, text)| (path.as_path(), text.as_str())), &variables)?;
        if settings.telemetry.otlp_endpoint.is_empty() {
            // What every program that sends traces looks at.
            settings.telemetry.otlp_endpoint = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_default();
        }
        Ok(settings)
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

/// Whether cargo-leptos rebuilds while we run, and pages reload by themselves.
pub fn reloads_pages() -> bool {
    std::env::var_os("LEPTOS_WATCH").is_some()
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
            ("MILLRACE_LOG_FORMAT", "xml", "`log_format`"),
            ("MILLRACE_METRICS_BIND", "9464", "`metrics.bind`"),
            ("MILLRACE_METRICS_TOKEN", "short", "`metrics.token`"),
            ("MILLRACE_TELEMETRY_OTLP_ENDPOINT", "collector:4318", "`telemetry.otlp_endpoint`"),
            ("MILLRACE_ALERTS_SMTP_URL", "mail.example.com", "`alerts.smtp_url`"),
            ("MILLRACE_ALERTS_SMTP_URL", "smtp://mail.example.com", "`alerts.from`"),
            ("MILLRACE_ALERTS_WEBHOOK_URL", "https://hooks.example.com/x", "`alerts.webhook_secret`"),
            ("MILLRACE_ALERTS_WEBHOOK_SECRET", "whsec_c2hvcnQ=", "`alerts.webhook_secret`"),
        ] {
            let message = with(&[(name, value)]).expect_err(name).to_string();
            assert!(message.contains(mention), "{name}={value}: {message}");
        }
        let file = Settings::from_layers(Some((Path::new("m.toml"), "[upload]\nmax = 1\n")), &[]).expect_err("unknown").to_string();
        assert!(file.contains("`upload.max`") && file.contains("m.toml"), "{file}");
    }
}

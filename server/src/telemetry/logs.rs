//! Log lines: for people or for programs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// A log filter that is none.
#[derive(Debug, thiserror::Error)]
#[error("the setting `log` is not a log filter: {0}")]
pub struct BadFilter(#[from] tracing_subscriber::filter::ParseError);

/// Writes log lines to standard error from now on.
///
/// # Errors
/// `filter` is no log filter.
pub fn begin(filter: &str, format: LogFormat) -> Result<(), BadFilter> {
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::try_new(filter)?).with_writer(std::io::stderr);
    match format {
        LogFormat::Human => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        // The request's id stands beside the message, not in a list of spans.
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).init(),
    }
    Ok(())
}

//! What `doctor` asks of this adapter: is everything there that encoding needs, and what to do about what is not.

use super::{
    engine::{Engine, NotReady},
    sandbox::ESCAPES,
    settings::FfmpegSettings,
};
use crate::{adapters::check::Check, ports::transcoder::TranscodeError};

/// Oldest ffmpeg that the arguments are written for, and tried with.
const OLDEST_VERSION: (u32, u32) = (5, 1);

/// What to do where no sandbox works.
const SANDBOX_ADVICE: &str = "Install bubblewrap and allow unprivileged user namespaces, or use a kernel with Landlock (6.2 or later). \
                              Where every uploader is trusted, transcode.sandbox = \"off\" does without.";

/// Encoders and filters that every encode may need.
const ENCODERS: [&str; 2] = ["libx264", "aac"];
const FILTERS: [&str; 6] = ["scale", "zscale", "tonemap", "bwdif", "fps", "aresample"];

/// Looks at the programs, what they can do, and how they are confined.
pub async fn self_test(settings: &FfmpegSettings) -> Vec<Check> {
    let engine = match Engine::find(settings).await {
        Ok(engine) => engine,
        Err(NotReady::NoSandbox(reason)) => return vec![Check::bad("sandbox", reason, SANDBOX_ADVICE)],
        Err(NotReady::Broken(error)) => return vec![not_working("ffmpeg", &error, "Install the packages ffmpeg and bubblewrap.")],
    };
    let mut checks = vec![version(&engine).await];
    checks.push(abilities(&engine, "encoders", "-encoders", &ENCODERS).await);
    checks.push(abilities(&engine, "filters", "-filters", &FILTERS).await);
    checks.push(sandbox(&engine));
    checks
}

/// Lets the hostile program of the self-test loose behind the first walls that the settings name, or behind none, and says by which of its
/// ways it got out.
///
/// # Errors
/// It could not be started.
pub async fn escapes(settings: &FfmpegSettings) -> Result<Vec<String>, String> {
    let report = Engine::escapes(settings).await?;
    let out = ESCAPES.iter().zip(report.escaped).filter_map(|(name, how)| how.map(|how| format!("{name}: {how}")));
    Ok(out.collect())
}

fn not_working(name: &'static str, error: &TranscodeError, advice: &str) -> Check {
    Check { name, ok: false, detail: error.to_string(), advice: Some(advice.to_owned()) }
}

async fn version(engine: &Engine) -> Check {
    let answer = match engine.ask("-version").await {
        Ok(answer) => answer,
        Err(error) => return not_working("ffmpeg", &error, "Try the ffmpeg program by hand, or set another path to it."),
    };
    let first_line = answer.lines().next().unwrap_or_default().to_owned();
    // A build from the development tree has no number; it is newer than any that has.
    let ok = parse_version(&first_line).is_none_or(|version| version >= OLDEST_VERSION);
    let advice = (!ok).then(|| format!("Install ffmpeg {}.{} or later.", OLDEST_VERSION.0, OLDEST_VERSION.1));
    Check { name: "ffmpeg", ok, detail: first_line, advice }
}

/// Reads the numbers of `ffmpeg version 5.1.9-0+deb12u1 …` or `ffmpeg version n6.0 …`.
fn parse_version(line: &str) -> Option<(u32, u32)> {
    let word = line.strip_prefix("ffmpeg version ")?.split_whitespace().next()?.trim_start_matches('n');
    let mut numbers = word.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

/// Whether each name is the second word of a line in ffmpeg's list.
async fn abilities(engine: &Engine, name: &'static str, question: &str, wanted: &[&'static str]) -> Check {
    let answer = match engine.ask(question).await {
        Ok(answer) => answer,
        Err(error) => return not_working(name, &error, "Try the ffmpeg program by hand, or set another path to it."),
    };
    let has = |wanted: &str| answer.lines().any(|line| line.split_whitespace().nth(1) == Some(wanted));
    let missing: Vec<&str> = wanted.iter().copied().filter(|wanted| !has(wanted)).collect();
    if missing.is_empty() {
        return Check { name, ok: true, detail: wanted.join(", "), advice: None };
    }
    let advice = "Install a full build of ffmpeg, such as the distribution's own package.".to_owned();
    Check { name, ok: false, detail: format!("missing: {}", missing.join(", ")), advice: Some(advice) }
}

fn sandbox(engine: &Engine) -> Check {
    match engine.report() {
        Some(report) => {
            let cost = report.start_cost.as_secs_f64() * 1000.0;
            Check::good("sandbox", format!("{}: {}; a program starts {cost:.0} ms later behind it", engine.walls(), report.summary()))
        }
        None => Check::bad(
            "sandbox",
            "switched off by the settings: ffmpeg runs with resource limits only, and a hostile file can do whatever this server can",
            "Set transcode.sandbox back to auto, unless every uploader is trusted.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_every_kind_of_build() {
        assert_eq!(parse_version("ffmpeg version 5.1.9-0+deb12u1 Copyright (c)"), Some((5, 1)));
        assert_eq!(parse_version("ffmpeg version n7.0.2 Copyright"), Some((7, 0)));
        assert_eq!(parse_version("ffmpeg version 8 Copyright"), Some((8, 0)));
        assert_eq!(parse_version("ffmpeg version N-113-gabc Copyright"), None);
        assert_eq!(parse_version("nonsense"), None);
    }
}

//! What `doctor` asks of this adapter: is everything there that encoding needs, and what to do about what is not.

use super::{
    engine::{Engine, NotReady},
    sandbox::ESCAPES,
    settings::FfmpegSettings,
};
use crate::{adapters::check::Check, ports::transcoder::TranscodeError};

/// Oldest ffmpeg that the arguments are written for, and tried with.
const OLDEST_VERSION: Version = (5, 1, 0);
/// The first version of a line of releases in which what was known in November 2026 of its decoders and playlists is mended (CVE-2026-8461,
/// CVE-2026-107697 and the batch up to 9.0.2 among them). Lines that are not here have none that we know of.
const MENDED: [Version; 3] = [(5, 1, 9), (8, 1, 3), (9, 0, 3)];

type Version = (u32, u32, u32);

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
    judge_version(first_line)
}

/// A version that cannot do what is asked is bad; one with known faults is worth a word: the sandbox stands between them and the machine.
fn judge_version(first_line: String) -> Check {
    let name = "ffmpeg";
    match parse_version(&first_line) {
        Some(version) if version < OLDEST_VERSION => {
            Check::bad(name, first_line, format!("Install ffmpeg {}.{} or later.", OLDEST_VERSION.0, OLDEST_VERSION.1))
        }
        Some(version) => match MENDED.into_iter().find(|mended| (mended.0, mended.1) == (version.0, version.1) && version < *mended) {
            Some((major, minor, patch)) => {
                let detail = format!("{first_line}: hostile files can take it over by faults that are known");
                Check::note(name, detail, format!("Update it to {major}.{minor}.{patch} or later."))
            }
            None => Check::good(name, first_line),
        },
        // A build from the development tree has no number; it is newer than any that has.
        None => Check::good(name, first_line),
    }
}

/// Reads the numbers of `ffmpeg version 5.1.9-0+deb12u1 …` or `ffmpeg version n6.0 …`.
fn parse_version(line: &str) -> Option<Version> {
    let word = line.strip_prefix("ffmpeg version ")?.split_whitespace().next()?.trim_start_matches('n');
    let end = word.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(word.len());
    let mut numbers = word[..end].split('.');
    let major = numbers.next()?.parse().ok()?;
    let mut next = || numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    Some((major, next(), next()))
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
        assert_eq!(parse_version("ffmpeg version 5.1.9-0+deb12u1 Copyright (c)"), Some((5, 1, 9)));
        assert_eq!(parse_version("ffmpeg version n7.0.2 Copyright"), Some((7, 0, 2)));
        assert_eq!(parse_version("ffmpeg version 6.0-3ubuntu5 Copyright"), Some((6, 0, 0)));
        assert_eq!(parse_version("ffmpeg version 8 Copyright"), Some((8, 0, 0)));
        assert_eq!(parse_version("ffmpeg version N-113-gabc Copyright"), None);
        assert_eq!(parse_version("nonsense"), None);
    }

    #[test]
    fn versions_with_known_faults_are_named_and_too_old_ones_do_not_pass() {
        let judged = |version: &str| judge_version(format!("ffmpeg version {version} Copyright"));
        for good in ["5.1.9-0+deb12u1", "6.1.1-3ubuntu5", "n8.1.3", "9.0.3", "9.1", "10.0", "N-113-gabc"] {
            assert!(judged(good).ok && judged(good).advice.is_none(), "{good}");
        }
        for (faulty, mended) in [("5.1.8-0+deb12u1", "5.1.9"), ("8.1", "8.1.3"), ("n8.1.2", "8.1.3"), ("9.0.2", "9.0.3")] {
            let check = judged(faulty);
            assert!(check.ok && check.advice.is_some_and(|advice| advice.contains(mended)), "{faulty}");
        }
        assert!(!judged("4.4.6").ok && !judged("5.0.3").ok);
    }
}

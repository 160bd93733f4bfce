//! The programs as found on this machine and the means of confining them: what every look and every encode goes through.

use std::{
    ffi::{OsStr, OsString},
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::{container::Container, video::FailureCode};
use tokio::process::Command;

use super::{
    child,
    failure::{self, source},
    ffprobe::Probed,
    probe,
    sandbox::{Confined, Sandbox, find_program},
    scratch::Scratch,
    settings::{FfmpegSettings, Limits, SandboxMode},
};
use crate::ports::transcoder::TranscodeError;

/// Most bytes of an answer about streams: a file with thousands of streams is no video.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// Found programs and their confinement.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) limits: Limits,
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    sandbox: Sandbox,
}

/// What one run may take and touch, beside what holds for all.
#[derive(Debug)]
pub(super) struct Run<'a> {
    /// The one file to read.
    pub(super) input: Option<&'a Path>,
    /// The one folder to write to.
    pub(super) output: Option<&'a Path>,
    /// Time on the clock; processor time follows from it.
    pub(super) time: Duration,
    /// Most bytes in one output file.
    pub(super) file_bytes: u64,
}

impl Engine {
    /// Finds the programs and decides how they are confined.
    pub(super) async fn find(settings: &FfmpegSettings) -> Result<Self, TranscodeError> {
        let program = async |name: &Path| {
            find_program(name).await.ok_or_else(|| {
                TranscodeError::Engine(format!("{} was not found; install ffmpeg and util-linux, or set its path", name.display()))
            })
        };
        let unconfined = Sandbox { bubblewrap: None, prlimit: program(Path::new("prlimit")).await? };
        let mut engine = Self {
            limits: settings.limits.clone(),
            ffmpeg: program(&settings.ffmpeg).await?,
            ffprobe: program(&settings.ffprobe).await?,
            sandbox: unconfined.clone(),
        };
        if settings.sandbox != SandboxMode::Off {
            engine.sandbox.bubblewrap = find_program(Path::new("bwrap")).await;
            if let Err(reason) = engine.try_sandbox(&settings.scratch).await {
                if settings.sandbox == SandboxMode::Bubblewrap {
                    return Err(TranscodeError::Engine(format!("bubblewrap is required by the settings and does not work: {reason}")));
                }
                tracing::warn!(%reason, "bubblewrap does not work here: ffmpeg runs with resource limits only, not sealed off");
                engine.sandbox = unconfined;
            }
        }
        Ok(engine)
    }

    /// Whether programs run sealed off.
    pub(super) fn is_sealed(&self) -> bool {
        self.sandbox.bubblewrap.is_some()
    }

    /// Makes ffmpeg write a picture from inside, as every encode will have to.
    async fn try_sandbox(&self, scratch: &Path) -> Result<(), String> {
        if self.sandbox.bubblewrap.is_none() {
            return Err("bwrap is not installed".to_owned());
        }
        let scratch = Scratch::new(scratch).await.map_err(|error| format!("no scratch folder: {error}"))?;
        let output = scratch.folder("out").await.map_err(|error| format!("no scratch folder: {error}"))?;
        let run = Run { input: None, output: Some(&output), time: Duration::from_secs(20), file_bytes: 1024 * 1024 };
        let arguments = "-v error -nostdin -f lavfi -i color=s=16x16 -frames:v 1 -f rawvideo picture".split(' ');
        child::output(self.ffmpeg(&run, arguments), "ffmpeg", run.time, 4096).await.map_err(|error| error.to_string())?;
        match tokio::fs::metadata(output.join("picture")).await {
            Ok(metadata) if metadata.len() > 0 => Ok(()),
            _ => Err("its output did not arrive".to_owned()),
        }
    }

    /// How the programs' arguments name this input.
    pub(super) fn input_name(&self, input: &Path) -> OsString {
        self.sandbox.input_name(input)
    }

    /// A command that runs ffmpeg.
    pub(super) fn ffmpeg<A: AsRef<OsStr>>(&self, run: &Run<'_>, arguments: impl IntoIterator<Item = A>) -> Command {
        self.sandbox.command(&self.confined(&self.ffmpeg, run), arguments)
    }

    fn confined<'a>(&self, program: &'a Path, run: &Run<'a>) -> Confined<'a> {
        Confined {
            program,
            input: run.input,
            output: run.output,
            memory_bytes: self.limits.memory_bytes,
            cpu_time: run.time.saturating_mul(self.limits.threads.max(1)),
            file_bytes: run.file_bytes,
        }
    }

    /// A command that runs ffprobe on a source.
    pub(super) fn ffprobe(&self, file: &Path, container: Container, time: Duration, wanted: &[&str]) -> Command {
        let run = Run { input: Some(file), output: None, time, file_bytes: 0 };
        let mut arguments: Vec<OsString> = vec!["-v".into(), "warning".into()];
        arguments.extend(probe::input_options(container, &self.limits));
        arguments.extend(wanted.iter().map(OsString::from));
        arguments.push(self.input_name(file));
        self.sandbox.command(&self.confined(&self.ffprobe, &run), arguments)
    }

    /// Asks ffprobe what is in a source.
    pub(super) async fn look(&self, file: &Path, container: Container) -> Result<Probed, TranscodeError> {
        let command = self.ffprobe(file, container, self.limits.probe_time, &["-show_streams", "-show_format", "-of", "json"]);
        let mut answer = Vec::new();
        let finished = child::run(command, "ffprobe", self.limits.probe_time, |bytes| {
            if answer.len() + bytes.len() > LARGEST_ANSWER {
                return ControlFlow::Break(source(FailureCode::Damaged, "more streams than any video has"));
            }
            answer.extend_from_slice(bytes);
            ControlFlow::Continue(())
        })
        .await?;
        if !finished.status.success() {
            return Err(failure::of_program("ffprobe", &finished));
        }
        let mut probed: Probed =
            serde_json::from_slice(&answer).map_err(|error| failure::engine("ffprobe's answer cannot be read", error))?;
        probed.complaints = finished.stderr;
        Ok(probed)
    }

    /// Asks ffmpeg a question about itself, such as `-encoders`.
    pub(super) async fn ask(&self, question: &str) -> Result<String, TranscodeError> {
        let run = Run { input: None, output: None, time: Duration::from_secs(20), file_bytes: 0 };
        let answer = child::output(self.ffmpeg(&run, ["-hide_banner", question]), "ffmpeg", run.time, 1024 * 1024).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

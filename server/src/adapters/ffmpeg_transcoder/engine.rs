//! The programs as found on this machine and the means of confining them: what every look and every encode goes through.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    ops::ControlFlow,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::{container::Container, failure::FailureCode};
use tokio::{process::Command, sync::Mutex};

use super::{
    child,
    failure::{self, source},
    ffprobe::Probed,
    probe,
    sandbox::{Confined, ESCAPES, Report, Sandbox, Walls, find_program, try_escapes},
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
    report: Option<Report>,
    scratch: PathBuf,
    helper: Identity,
}

/// Which file a path led to: device and number.
type Identity = Option<(u64, u64)>;

async fn identity(path: &Path) -> Identity {
    tokio::fs::metadata(path).await.ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Said where our own program is not the one any more that this process is.
const REPLACED: &str = "this program's file was replaced or removed while it runs, and what is there now cannot build its sandbox, so no video is \
                        processed here; videos wait. Restart it";

/// Why nothing can be run.
#[derive(Debug)]
pub(super) enum NotReady {
    /// What the settings ask for does not withstand the self-test. Nothing will until somebody changes the machine or the settings.
    NoSandbox(String),
    /// Something is missing.
    Broken(TranscodeError),
}

impl From<TranscodeError> for NotReady {
    fn from(error: TranscodeError) -> Self {
        Self::Broken(error)
    }
}

impl From<NotReady> for TranscodeError {
    fn from(not_ready: NotReady) -> Self {
        match not_ready {
            NotReady::NoSandbox(reason) => Self::Engine(reason),
            NotReady::Broken(error) => error,
        }
    }
}

/// What the settings allow, the best first.
async fn walls_to_try(mode: SandboxMode) -> Vec<Result<Walls, NotReady>> {
    let missing = || NotReady::NoSandbox(NO_BUBBLEWRAP.to_owned());
    let bubblewrap = find_program(Path::new("bwrap")).await.map(Walls::Bubblewrap);
    match mode {
        SandboxMode::Auto => bubblewrap.into_iter().chain([Walls::Landlock]).map(Ok).collect(),
        SandboxMode::Bubblewrap => vec![bubblewrap.ok_or_else(missing)],
        SandboxMode::Landlock => vec![Ok(Walls::Landlock)],
        SandboxMode::Off => vec![Ok(Walls::Off)],
    }
}

/// Said where the settings insist on what is not installed.
const NO_BUBBLEWRAP: &str = "the setting transcode.sandbox asks for bubblewrap, which is not installed, so no video is processed here; videos wait. \
                             Install the package bubblewrap, or set it to auto";

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
    pub(super) async fn find(settings: &FfmpegSettings) -> Result<Self, NotReady> {
        let program = async |name: &Path| {
            let missing = || TranscodeError::Engine(format!("{} was not found; install ffmpeg, or set its path", name.display()));
            find_program(name).await.ok_or_else(missing)
        };
        let mut engine = Self {
            limits: settings.limits.clone(),
            ffmpeg: program(&settings.ffmpeg).await?,
            ffprobe: program(&settings.ffprobe).await?,
            sandbox: Sandbox { walls: Walls::Off, helper: program(&settings.helper).await? },
            report: None,
            scratch: settings.scratch.clone(),
            helper: None,
        };
        engine.helper = identity(&engine.sandbox.helper).await;
        let mut reasons = Vec::new();
        for walls in walls_to_try(settings.sandbox).await {
            engine.sandbox.walls = walls?;
            if !engine.sandbox.walls.are_there() {
                return Ok(engine);
            }
            match engine.try_sandbox(engine.helper).await {
                Ok(report) => {
                    engine.report = Some(report);
                    return Ok(engine);
                }
                Err(reason) => reasons.push(format!("{}: {reason}", engine.sandbox.walls.label())),
            }
        }
        Err(NotReady::NoSandbox(format!(
            "no sandbox works on this machine, so no video is processed here; videos wait. {}. Install bubblewrap where unprivileged user \
             namespaces are allowed, or use a kernel with Landlock (6.2 or later). To process without one, where every uploader is trusted, set \
             transcode.sandbox to off",
            reasons.join("; ")
        )))
    }

    /// Why nothing can be begun any more, though the walls stood when they were tried: an update replaces the program under a process that
    /// goes on, and another version's helper may understand other orders.
    pub(super) async fn refusal(&self) -> Option<String> {
        let helper = identity(&self.sandbox.helper).await;
        if helper == self.helper {
            return None;
        }
        let works = helper.is_some() && (!self.sandbox.walls.are_there() || self.try_sandbox(helper).await.is_ok());
        (!works).then(|| REPLACED.to_owned())
    }

    /// What gets out of the walls that the settings name, or of none.
    pub(super) async fn escapes(settings: &FfmpegSettings) -> Result<Report, String> {
        let helper = find_program(&settings.helper).await.ok_or("our own program was not found")?;
        let walls = walls_to_try(settings.sandbox).await.into_iter().next();
        let Some(Ok(walls)) = walls else { return Err(NO_BUBBLEWRAP.to_owned()) };
        try_escapes(&Sandbox { walls, helper }, &settings.scratch).await
    }

    /// What the self-test came to; nothing where the settings want no walls.
    pub(super) fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// What the walls are called.
    pub(super) fn walls(&self) -> &'static str {
        self.sandbox.walls.label()
    }

    /// Lets a hostile program try to get out, and makes ffmpeg write a picture from inside, as every encode will have to.
    async fn try_sandbox(&self, helper: Identity) -> Result<Report, String> {
        /// What has passed: what a machine withstands does not change while a process runs.
        static PASSED: Mutex<BTreeMap<(String, PathBuf, Identity), Report>> = Mutex::const_new(BTreeMap::new());
        // One at a time: the self-test measures time and is in its own way.
        let mut passed = PASSED.lock().await;
        let key = (format!("{:?}", self.sandbox), self.ffmpeg.clone(), helper);
        if let Some(report) = passed.get(&key) {
            return Ok(report.clone());
        }
        let report = try_escapes(&self.sandbox, &self.scratch).await?;
        if report.blocked() < ESCAPES.len() {
            return Err(report.summary());
        }
        self.try_picture().await?;
        passed.insert(key, report.clone());
        Ok(report)
    }

    async fn try_picture(&self) -> Result<(), String> {
        let scratch = Scratch::new(&self.scratch).await.map_err(|error| format!("no scratch folder: {error}"))?;
        let output = scratch.folder("out").await.map_err(|error| format!("no scratch folder: {error}"))?;
        let run = Run { input: None, output: Some(&output), time: Duration::from_secs(20), file_bytes: 1024 * 1024 };
        // The muxer of every encode: it makes, renames and asks more than one that writes a single file.
        let arguments = "-v error -nostdin -f lavfi -i color=s=16x16 -frames:v 1 -c:v mpeg4 -f hls picture.m3u8".split(' ');
        child::output(self.ffmpeg(&run, arguments), "ffmpeg", run.time, 4096).await.map_err(|error| error.to_string())?;
        match tokio::fs::metadata(output.join("picture.m3u8")).await {
            Ok(metadata) if metadata.len() > 0 => Ok(()),
            _ => Err("ffmpeg's output did not arrive".to_owned()),
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

//! What the adapter is told: which programs, where to work, and how much one file may take.

use std::{path::PathBuf, time::Duration};

/// How the engine's programs are kept from the rest of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SandboxMode {
    /// Bubblewrap where a self-test says that it keeps a hostile program in, else Landlock likewise, else nothing is transcoded.
    #[default]
    Auto,
    /// Bubblewrap, or nothing is transcoded.
    Bubblewrap,
    /// Landlock and a list of system calls, or nothing is transcoded.
    Landlock,
    /// Resource limits alone: a hostile file can do whatever the server can.
    Off,
}

/// Settings of the adapter.
#[derive(Debug, Clone)]
pub struct FfmpegSettings {
    /// The ffmpeg program: a path, or a name to look up in `PATH`.
    pub ffmpeg: PathBuf,
    /// The ffprobe program, likewise.
    pub ffprobe: PathBuf,
    /// Folder for unfinished work. What dead processes left there is removed.
    pub scratch: PathBuf,
    /// A program whose `main` calls [`super::sandbox_role`] first: it stands in front of each program. This one's own path.
    pub helper: PathBuf,
    /// How the programs are confined.
    pub sandbox: SandboxMode,
    /// How much one file may take.
    pub limits: Limits,
}

/// How much one file may take. What is counted is work, not file size: a few kilobytes can ask for hours of frames.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Samples in one picture.
    pub max_pixels: u64,
    /// Length of a video.
    pub max_duration: Duration,
    /// Frames of a second, on average: more is no video but work.
    pub max_frame_rate: u32,
    /// Address space of one program.
    pub memory_bytes: u64,
    /// Time for one look at a file; reading a large one through may take longer, by its size.
    pub probe_time: Duration,
    /// Time for an encode: this …
    pub encode_time_base: Duration,
    /// … and this many times the length of the video.
    pub encode_time_factor: u32,
    /// Time after which an encode is ended that tells of nothing new.
    pub stall_time: Duration,
    /// Threads of one program.
    pub threads: u32,
    /// Output may be this many times what the ladder's bit rates add up to.
    pub output_factor: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // 8K.
            max_pixels: 7680 * 4320,
            max_duration: Duration::from_secs(12 * 3600),
            // Phones record 240, cameras for slow motion up to 1,000.
            max_frame_rate: 1_000,
            memory_bytes: 6 * 1024 * 1024 * 1024,
            probe_time: Duration::from_secs(60),
            encode_time_base: Duration::from_secs(300),
            encode_time_factor: 30,
            stall_time: Duration::from_secs(60),
            threads: std::thread::available_parallelism().map_or(2, |cores| u32::try_from(cores.get()).unwrap_or(16).clamp(1, 16)),
            output_factor: 1.5,
        }
    }
}

/// Slowest disk that a file is read through from without giving up, in bytes per second.
const SLOWEST_DISK: u64 = 16 * 1024 * 1024;

impl Limits {
    /// Time on the clock for reading a file of this size from end to end.
    pub(super) fn scan_time(&self, bytes: u64) -> Duration {
        self.probe_time + Duration::from_secs(bytes / SLOWEST_DISK)
    }

    /// Time on the clock for encoding a video of this length.
    pub(super) fn encode_time(&self, duration: Duration) -> Duration {
        self.encode_time_base + duration.saturating_mul(self.encode_time_factor)
    }
}

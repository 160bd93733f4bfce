//! How ffmpeg is kept from the rest of the machine: assume that a hostile file takes it over. It then sees the system's
//! libraries, its one input, read-only, and its one output folder; no network, no other file, no other program or process, no
//! environment; and it can take no more memory, processor time or disk than a video of its length may.
//!
//! Two walls stand one inside the other. Outside, bubblewrap's namespaces, where this machine has them. Inside, our own
//! [`helper`]: it limits itself, gives up its rights by Landlock and by a list of system calls, and becomes the program.
//! Without namespaces the inner wall is enough, if the kernel has Landlock; [`self_test`] decides what works here.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::process::Command;

mod escapes;
pub(super) mod exec;
mod self_test;
mod syscalls;

pub(super) use self::self_test::{ESCAPES, Report, try_escapes};

/// Where the input lies inside bubblewrap.
const INPUT: &str = "/in/source";
/// Where the output folder lies inside bubblewrap.
const OUTPUT: &str = "/out";
/// Where our own program lies inside bubblewrap.
const HELPER: &str = "/helper";

/// System folders that a dynamically linked program needs, as far as they exist; no folder of programs is among them.
/// `/etc/alternatives` is where Debian's BLAS and LAPACK links lead, which ffmpeg's filters load.
const LIBRARIES: [&str; 9] =
    ["/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/local/lib", "/lib", "/lib64", "/lib32", "/etc/ld.so.conf.d", "/etc/alternatives"];
/// The list of libraries that the dynamic linker keeps.
const LIBRARY_CACHE: &str = "/etc/ld.so.cache";

/// What stands between a program and the machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Walls {
    /// Namespaces made by this bubblewrap, and within them Landlock (where the kernel has it) and the list of system calls.
    Bubblewrap(PathBuf),
    /// Landlock and the list of system calls.
    Landlock,
    /// Nothing but limits.
    Off,
}

impl Walls {
    /// What people call it.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Bubblewrap(_) => "bubblewrap",
            Self::Landlock => "landlock",
            Self::Off => "off",
        }
    }
}

/// The means of confinement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Sandbox {
    pub(super) walls: Walls,
    /// A program that plays the [`helper`]'s roles: ourselves.
    pub(super) helper: PathBuf,
}

/// One program to run.
#[derive(Debug)]
pub(super) struct Confined<'a> {
    /// Absolute path of the program.
    pub(super) program: &'a Path,
    /// The one file it may read.
    pub(super) input: Option<&'a Path>,
    /// The one folder it may write to; also its working directory.
    pub(super) output: Option<&'a Path>,
    /// Most address space.
    pub(super) memory_bytes: u64,
    /// Most processor time.
    pub(super) cpu_time: Duration,
    /// Most bytes in one file.
    pub(super) file_bytes: u64,
}

impl Sandbox {
    /// Where the program finds its input.
    pub(super) fn input_path<'a>(&self, input: &'a Path) -> &'a Path {
        if matches!(self.walls, Walls::Bubblewrap(_)) { Path::new(INPUT) } else { input }
    }

    /// Where the program finds its output folder.
    pub(super) fn output_path<'a>(&self, output: &'a Path) -> &'a Path {
        if matches!(self.walls, Walls::Bubblewrap(_)) { Path::new(OUTPUT) } else { output }
    }

    /// What the program calls its input: ffmpeg's `file:` keeps names from being read as options or other protocols.
    pub(super) fn input_name(&self, input: &Path) -> OsString {
        let mut name = OsString::from("file:");
        name.push(self.input_path(input));
        name
    }

    /// The command that runs `confined` with these arguments.
    pub(super) fn command<A: AsRef<OsStr>>(&self, confined: &Confined<'_>, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = match &self.walls {
            Walls::Bubblewrap(bubblewrap) => {
                let mut command = Command::new(bubblewrap);
                command.args(self.namespaces(confined)).arg("--").arg(HELPER);
                command
            }
            Walls::Landlock | Walls::Off => {
                let mut command = Command::new(&self.helper);
                command.current_dir(confined.output.unwrap_or(Path::new("/")));
                command
            }
        };
        // What a process was started with can be read by whatever takes it over, bubblewrap's own first process included.
        command.env_clear();
        let seconds = confined.cpu_time.as_secs().max(1);
        command.arg(exec::EXEC).arg(format!("--walls={}", self.walls.label()));
        command.arg(format!("--memory={}", confined.memory_bytes)).arg(format!("--cpu={seconds}"));
        command.arg(format!("--file={}", confined.file_bytes));
        for (flag, path) in [
            ("--read=", confined.input.map(|input| self.input_path(input))),
            ("--write=", confined.output.map(|output| self.output_path(output))),
        ] {
            if let Some(path) = path {
                let mut argument = OsString::from(flag);
                argument.push(path);
                command.arg(argument);
            }
        }
        command.arg("--").arg(confined.program).args(arguments);
        command
    }

    fn namespaces(&self, confined: &Confined<'_>) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |words: &[&OsStr]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
        for flag in ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv"] {
            add(&[flag.as_ref()]);
        }
        add(&["--cap-drop".as_ref(), "ALL".as_ref()]);
        for path in LIBRARIES.into_iter().chain([LIBRARY_CACHE]) {
            add(&["--ro-bind-try".as_ref(), path.as_ref(), path.as_ref()]);
        }
        for device in ["/dev/null", "/dev/urandom"] {
            add(&["--dev-bind".as_ref(), device.as_ref(), device.as_ref()]);
        }
        if !LIBRARIES.iter().any(|folder| confined.program.starts_with(folder)) {
            add(&["--ro-bind".as_ref(), confined.program.as_os_str(), confined.program.as_os_str()]);
        }
        add(&["--ro-bind".as_ref(), self.helper.as_os_str(), HELPER.as_ref()]);
        if let Some(input) = confined.input {
            add(&["--ro-bind".as_ref(), input.as_os_str(), INPUT.as_ref()]);
        }
        if let Some(output) = confined.output {
            add(&["--bind".as_ref(), output.as_os_str(), OUTPUT.as_ref(), "--chdir".as_ref(), OUTPUT.as_ref()]);
        }
        // The root is a file system in memory that would take what is written to it.
        add(&["--remount-ro".as_ref(), "/".as_ref()]);
        arguments
    }
}

/// Where programs are looked for by name. Fixed, so that what runs does not depend on who started the server.
const PROGRAM_FOLDERS: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// Finds a program: a path as it is, a name in the usual folders.
pub(super) async fn find_program(name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return tokio::fs::canonicalize(name).await.ok();
    }
    for folder in PROGRAM_FOLDERS {
        if let Ok(path) = tokio::fs::canonicalize(Path::new(folder).join(name)).await {
            return Some(path);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(walls: Walls, input: &Path) -> String {
        let sandbox = Sandbox { walls, helper: "/opt/millrace".into() };
        let confined = Confined {
            program: Path::new("/opt/ff/ffmpeg"),
            input: Some(input),
            output: Some(Path::new("/scratch/out")),
            memory_bytes: 1000,
            cpu_time: Duration::from_secs(60),
            file_bytes: 2000,
        };
        let command = sandbox.command(&confined, [OsString::from("-i"), sandbox.input_name(input)]);
        let command = command.as_std();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn inside_bubblewrap_there_is_one_input_and_one_output() {
        let line = words(Walls::Bubblewrap("/usr/bin/bwrap".into()), Path::new("/data/sources/-y.mp4"));
        assert!(line.contains("--unshare-all") && line.contains("--ro-bind /data/sources/-y.mp4 /in/source"), "{line}");
        assert_eq!(line.matches("--bind ").count(), 1, "{line}");
        assert!(!line.contains(" /usr ") && !line.contains("/usr/bin "), "{line}");
        let end = "-- /helper sandbox-exec --walls=bubblewrap --memory=1000 --cpu=60 --file=2000 --read=/in/source --write=/out \
                   -- /opt/ff/ffmpeg -i file:/in/source";
        assert!(line.ends_with(end), "{line}");
    }

    #[test]
    fn without_bubblewrap_our_own_program_stands_in_front() {
        let line = words(Walls::Landlock, Path::new("/data/a.mp4"));
        assert!(line.starts_with("/opt/millrace sandbox-exec --walls=landlock --memory=1000 "), "{line}");
        assert!(line.ends_with("--read=/data/a.mp4 --write=/scratch/out -- /opt/ff/ffmpeg -i file:/data/a.mp4"), "{line}");
    }
}

//! How ffmpeg is kept from the rest of the machine: assume that a hostile file takes it over. It then sees the system's
//! libraries, its one input, read-only, and its one output folder; no network, no other file, no other process, no
//! environment; and it can take no more memory, processor time or disk than a video of its length may.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::process::Command;

/// Where the input lies inside.
const INPUT: &str = "/in/source";
/// Where the output folder lies inside.
const OUTPUT: &str = "/out";

/// System folders that a dynamically linked program needs, as far as they exist. `/etc/alternatives` is where Debian's BLAS
/// and LAPACK links lead, which ffmpeg's filters load.
const SYSTEM: [&str; 8] = ["/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/ld.so.conf.d", "/etc/alternatives"];

/// The means of confinement found on this machine.
#[derive(Debug, Clone)]
pub(super) struct Sandbox {
    /// `None` where resource limits are all there is.
    pub(super) bubblewrap: Option<PathBuf>,
    /// util-linux' prlimit.
    pub(super) prlimit: PathBuf,
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
    /// What the program calls its input: ffmpeg's `file:` keeps names from being read as options or other protocols.
    pub(super) fn input_name(&self, input: &Path) -> OsString {
        let mut name = OsString::from("file:");
        name.push(if self.bubblewrap.is_some() { OsStr::new(INPUT) } else { input.as_os_str() });
        name
    }

    /// The command that runs `confined` with these arguments.
    pub(super) fn command<A: AsRef<OsStr>>(&self, confined: &Confined<'_>, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = match &self.bubblewrap {
            Some(bubblewrap) => {
                let mut command = Command::new(bubblewrap);
                command.args(bubblewrap_arguments(confined)).arg("--").arg(&self.prlimit);
                command
            }
            None => {
                let mut command = Command::new(&self.prlimit);
                command.env_clear().current_dir(confined.output.unwrap_or(Path::new("/")));
                command
            }
        };
        command
            .arg(format!("--as={}", confined.memory_bytes))
            // At the soft limit ffmpeg ends by itself and says so, at the hard one it is killed.
            .arg(format!("--cpu={}:{}", confined.cpu_time.as_secs().max(1), confined.cpu_time.as_secs().max(1) + 5))
            .arg(format!("--fsize={}", confined.file_bytes))
            .args(["--nofile=256", "--core=0", "--"])
            .arg(confined.program)
            .args(arguments);
        command
    }
}

fn bubblewrap_arguments(confined: &Confined<'_>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |words: &[&OsStr]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    for flag in ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv"] {
        add(&[flag.as_ref()]);
    }
    add(&["--cap-drop".as_ref(), "ALL".as_ref()]);
    for folder in SYSTEM {
        add(&["--ro-bind-try".as_ref(), folder.as_ref(), folder.as_ref()]);
    }
    for (flag, place) in [("--proc", "/proc"), ("--dev", "/dev"), ("--tmpfs", "/tmp")] {
        add(&[flag.as_ref(), place.as_ref()]);
    }
    if !confined.program.starts_with("/usr") {
        add(&["--ro-bind".as_ref(), confined.program.as_os_str(), confined.program.as_os_str()]);
    }
    if let Some(input) = confined.input {
        add(&["--ro-bind".as_ref(), input.as_os_str(), INPUT.as_ref()]);
    }
    if let Some(output) = confined.output {
        add(&["--bind".as_ref(), output.as_os_str(), OUTPUT.as_ref(), "--chdir".as_ref(), OUTPUT.as_ref()]);
    }
    arguments
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

    fn words(sandbox: &Sandbox, input: &Path) -> Vec<String> {
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
        std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn inside_bubblewrap_there_is_one_input_and_one_output() {
        let sandbox = Sandbox { bubblewrap: Some("/usr/bin/bwrap".into()), prlimit: "/usr/bin/prlimit".into() };
        let line = words(&sandbox, Path::new("/data/sources/-y.mp4")).join(" ");
        assert!(line.contains("--unshare-all") && line.contains("--ro-bind /data/sources/-y.mp4 /in/source"), "{line}");
        assert_eq!(line.matches("--bind ").count(), 1, "{line}");
        assert!(line.ends_with("--cpu=60:65 --fsize=2000 --nofile=256 --core=0 -- /opt/ff/ffmpeg -i file:/in/source"), "{line}");
    }

    #[test]
    fn without_bubblewrap_limits_still_hold() {
        let sandbox = Sandbox { bubblewrap: None, prlimit: "/usr/bin/prlimit".into() };
        let line = words(&sandbox, Path::new("/data/a.mp4")).join(" ");
        assert!(line.starts_with("/usr/bin/prlimit --as=1000 "), "{line}");
        assert!(line.ends_with("file:/data/a.mp4"), "{line}");
    }

    #[tokio::test]
    async fn what_runs_inside_sees_nothing_of_the_machine() {
        let Some(bubblewrap) = find_program(Path::new("bwrap")).await else { return };
        let prlimit = find_program(Path::new("prlimit")).await.expect("util-linux is there");
        let sandbox = Sandbox { bubblewrap: Some(bubblewrap), prlimit };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let (input, secret) = (file("input", "mine"), file("secret", "canary"));
        let output = folder.path().join("out");
        std::fs::create_dir(&output).expect("a folder");
        let script = format!(
            "cat /in/source; cat {secret}; cat /etc/passwd; env; cut -d: -f1 /proc/net/dev | tail -n +3; ls -d /proc/[0-9]* | wc -l; \
             echo x > /in/source; echo x > /usr/x; echo x > {secret}; echo well > /out/result",
            secret = secret.display()
        );
        let confined = Confined {
            program: Path::new("/usr/bin/sh"),
            input: Some(&input),
            output: Some(&output),
            memory_bytes: 1 << 30,
            cpu_time: Duration::from_secs(10),
            file_bytes: 1 << 20,
        };
        let run = sandbox.command(&confined, ["-c", &script]).output().await.expect("bubblewrap starts");
        let complaints = String::from_utf8_lossy(&run.stderr);
        if complaints.contains("bwrap:") {
            // No namespaces on this machine: `doctor` says so, and there is nothing to test.
            return;
        }
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(said.starts_with("mine"), "{said}{complaints}");
        for leaked in ["canary", "root:", "HOME", "CARGO", "eth"] {
            assert!(!said.contains(leaked), "{leaked}: {said}");
        }
        assert_eq!(std::fs::read_to_string(&secret).expect("a file"), "canary");
        assert_eq!(std::fs::read_to_string(&input).expect("a file"), "mine");
        assert_eq!(std::fs::read_to_string(output.join("result")).expect("a result"), "well\n");
    }
}

//! A hostile program: what a file could make of ffmpeg once it has taken it over. It tries to get out in every way that the self-test
//! knows, and says how far it came. It is started behind the walls and nowhere else, but for the test that shows that its attempts are real.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            net::{SocketAddr as UnixAddr, UnixStream},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use nix::{sys::ptrace, unistd::Pid};
use rustix::process as process_rights;
use serde::{Deserialize, Serialize};

use super::exec::PROBE;

/// How long the attempt to outlive the parent goes on by itself.
const LINGER: Duration = Duration::from_secs(4);
/// Processes that are tried to make.
const BOMB: usize = 16;

/// What the self-test tells it, as one argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Targets {
    /// Its own program.
    pub(super) own_program: PathBuf,
    /// Its input, which it may read.
    pub(super) input: PathBuf,
    /// Its output folder, which it may write to.
    pub(super) output: PathBuf,
    /// Another user's upload.
    pub(super) neighbour: PathBuf,
    /// The database.
    pub(super) database: PathBuf,
    /// A file to make.
    pub(super) outside: PathBuf,
    /// A port that listens.
    pub(super) tcp: SocketAddr,
    /// A port that receives.
    pub(super) udp: SocketAddr,
    /// A socket that listens, where there is one.
    pub(super) socket: PathBuf,
    /// An abstract socket that listens.
    pub(super) abstract_socket: String,
    /// The server's process.
    pub(super) server: i32,
    /// A file that a program started instead of this one makes.
    pub(super) trophy: PathBuf,
}

/// What it found: the number of the attempt and how it went out, or nothing where it did not.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) number: usize,
    pub(super) escaped: Option<String>,
}

/// Plays the hostile program.
pub(super) fn run(words: &[OsString]) -> ExitCode {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    match words.as_slice() {
        ["try", targets] => match serde_json::from_str::<Targets>(targets) {
            Ok(targets) => attempt_all(&targets),
            Err(_) => ExitCode::FAILURE,
        },
        ["linger", folder] => linger(Path::new(folder)),
        // The cost of a start is measured by it.
        ["nothing"] => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn attempt_all(targets: &Targets) -> ExitCode {
    let attempts: [fn(&Targets) -> Option<String>; 11] = [
        |targets| read(&targets.neighbour).or_else(|| neighbours(targets)),
        |targets| read(&targets.database),
        |targets| environment(targets.server),
        |targets| tcp(targets.tcp),
        |targets| udp(targets.udp),
        unix_socket,
        write_outside,
        write_input,
        more_processes,
        |targets| reach(targets.server),
        |_| look_around(),
    ];
    // The last but one, outliving the parent, is tried by a run of its own.
    let numbers = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11];
    let mut out = io::stdout().lock();
    for (number, attempt) in numbers.into_iter().zip(attempts) {
        let line = serde_json::to_string(&Attempt { number, escaped: attempt(targets) }).unwrap_or_default();
        let _ = writeln!(out, "{line}");
    }
    let _ = out.flush();
    drop(out);
    become_another(targets)
}

fn read(path: &Path) -> Option<String> {
    fs::read(path).ok().map(|bytes| format!("read {} bytes of {}", bytes.len(), path.display()))
}

/// Anything beside the input that can be read.
fn neighbours(targets: &Targets) -> Option<String> {
    let folder = targets.input.parent()?;
    let others = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(|path| *path != targets.input);
    others.into_iter().find_map(|path| read(&path))
}

/// What was handed on: variables of this process beside where it works, files that are open, and what other processes were started with.
fn environment(server: i32) -> Option<String> {
    let own = std::env::vars_os().find(|(name, _)| name != "PWD").map(|(name, _)| format!("has {}", name.display()));
    let parent = process_rights::getppid().map_or(1, |pid| pid.as_raw_nonzero().get());
    let others = || {
        let files = [1, parent, server].map(|pid| format!("/proc/{pid}/environ"));
        files.into_iter().find_map(|file| fs::read(&file).ok().filter(|bytes| !bytes.is_empty()).map(|_| format!("read {file}")))
    };
    own.or_else(open_file).or_else(others)
}

/// Only what is open can be closed.
fn open_file() -> Option<String> {
    (3..1024).find(|number| nix::unistd::close(*number).is_ok()).map(|number| format!("was left the open file {number}"))
}

fn tcp(target: SocketAddr) -> Option<String> {
    TcpStream::connect_timeout(&target, Duration::from_millis(500)).ok().map(|_| "connected".to_owned())
}

/// What is sent may arrive nowhere: whoever listens knows.
fn udp(target: SocketAddr) -> Option<String> {
    if let Ok(socket) = UdpSocket::bind("0.0.0.0:0") {
        let _ = socket.send_to(b"out", target);
    }
    None
}

fn unix_socket(targets: &Targets) -> Option<String> {
    let by_path = UnixStream::connect(&targets.socket).is_ok();
    let by_name = UnixAddr::from_abstract_name(&targets.abstract_socket).and_then(|name| UnixStream::connect_addr(&name)).is_ok();
    (by_path || by_name).then(|| "connected".to_owned())
}

fn write_outside(targets: &Targets) -> Option<String> {
    let beside = targets.output.join("../escaped");
    let places =
        [targets.outside.clone(), beside, "/tmp/escaped".into(), "/escaped".into(), "/dev/shm/escaped".into(), "/usr/lib/escaped".into()];
    // What a file system in memory takes is gone with its namespace, but costs memory that nobody counts.
    let written = places.into_iter().find(|place| File::create(place).and_then(|mut file| file.write_all(b"out")).is_ok());
    if let Some(written) = written {
        let _ = fs::remove_file(&written);
        return Some(format!("wrote {}", written.display()));
    }
    // Within it as well: whoever tidies up walks through folders, and who reads what was made follows links.
    let (folder, link) = (targets.output.join("folder"), targets.output.join("link"));
    let made =
        fs::create_dir(&folder).is_ok() || std::os::unix::fs::symlink("/", &link).is_ok() || fs::hard_link(&targets.input, &link).is_ok();
    made.then(|| "made a folder or a link".to_owned())
}

fn write_input(targets: &Targets) -> Option<String> {
    let input = &targets.input;
    let appended = OpenOptions::new().append(true).open(input).is_ok();
    let emptied = OpenOptions::new().write(true).truncate(true).open(input).is_ok();
    let closed = fs::metadata(input).is_ok_and(|metadata| fs::set_permissions(input, metadata.permissions()).is_ok());
    let removed = fs::rename(input, targets.output.join("taken")).is_ok();
    (appended || emptied || closed || removed).then(|| "changed the input".to_owned())
}

/// A process that could be made and then could not become anything counts as well.
fn more_processes(targets: &Targets) -> Option<String> {
    let mut children = Vec::new();
    for _ in 0..BOMB {
        let mut command = Command::new(&targets.own_program);
        command.args([PROBE, "nothing"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => children.push(child),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EAGAIN)) => break,
            Err(error) => return Some(format!("made a process ({error})")),
        }
    }
    let made = children.len();
    for mut child in children {
        let _ = child.wait();
    }
    (made > 0).then(|| format!("made {made} processes"))
}

/// The server's process and whatever started this one.
fn reach(server: i32) -> Option<String> {
    let parent = process_rights::getppid().map_or(1, |pid| pid.as_raw_nonzero().get());
    [server, parent].into_iter().find_map(|pid| {
        let traced = ptrace::seize(Pid::from_raw(pid), ptrace::Options::empty()).is_ok();
        let memory = OpenOptions::new().read(true).open(format!("/proc/{pid}/mem")).is_ok();
        let signal = process_rights::Pid::from_raw(pid).is_some_and(|pid| process_rights::test_kill_process(pid).is_ok());
        let ways = [(traced, "traced"), (memory, "opened the memory of"), (signal, "could signal")];
        ways.into_iter().find(|(worked, _)| *worked).map(|(_, way)| format!("{way} process {pid}"))
    })
}

/// Processes beside this one and the first of its namespace.
fn look_around() -> Option<String> {
    let numbers =
        fs::read_dir("/proc").ok()?.flatten().filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok()));
    let seen = numbers.count();
    (seen > 2).then(|| format!("sees {seen} processes"))
}

/// Becomes a shell that leaves a trophy. Whoever finds none knows that it stayed what it was.
fn become_another(targets: &Targets) -> ExitCode {
    let order = format!("echo out > {}", targets.trophy.display());
    for shell in ["/bin/sh", "/usr/bin/sh", "/usr/bin/bash"] {
        let _ = Command::new(shell).args(["-c", &order]).exec();
    }
    for linker in ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"] {
        let _ = Command::new(linker).args(["/usr/bin/sh", "-c", &order]).exec();
    }
    ExitCode::SUCCESS
}

/// Tries to be nobody's child and writes for as long as it lives.
fn linger(folder: &Path) -> ExitCode {
    let _ = process_rights::set_parent_process_death_signal(None);
    let _ = process_rights::setsid();
    let began = Instant::now();
    let Ok(mut ticks) = File::create(folder.join("ticks")) else { return ExitCode::FAILURE };
    while began.elapsed() < LINGER {
        if ticks.write_all(b".").is_err() {
            return ExitCode::FAILURE;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    ExitCode::SUCCESS
}

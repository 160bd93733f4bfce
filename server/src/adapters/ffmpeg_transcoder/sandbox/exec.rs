//! The inner wall, and the roles in which our own program is started to build it. Nothing here runs in the server's process: each
//! role is a process of its own that has one thread and has opened nothing.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope, path_beneath_rules,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Resource, Rlimit, Signal};

use super::{LIBRARIES, LIBRARY_CACHE, escapes, syscalls};

/// The role that becomes another program behind the wall.
pub(super) const EXEC: &str = "sandbox-exec";
/// The role of a hostile program, for the self-test.
pub(super) const PROBE: &str = "sandbox-probe";
/// The role of a parent that is going to be killed, for the self-test.
pub(super) const HOLD: &str = "sandbox-hold";

/// How the role ends that could not become the other program.
pub(in super::super) const NOT_BUILT: u8 = 126;
/// How its complaint begins.
pub(in super::super) const COMPLAINT: &str = "sandbox: ";

/// Most open files.
const OPEN_FILES: u64 = 256;
/// Most threads, where they can be counted apart from those of the rest of the machine.
const THREADS: u64 = 512;
/// Most threads of the user where they cannot: the server's own among them are far fewer, and no machine runs short of numbers for so many.
const THREADS_OF_USER: u64 = 8_192;
/// Highest number of an open file that is looked for where nothing says which there are.
const HIGHEST_FILE: u64 = 65_536;
/// Processor seconds between the limit at which a program may still say so and the one at which it is killed.
const GRACE_SECONDS: u64 = 5;

/// Plays the role that the first argument names, if it names one. To be called before anything else in `main`.
#[must_use]
pub fn role() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let role = arguments.next()?;
    let rest: Vec<OsString> = arguments.collect();
    match role.to_str()? {
        EXEC => Some(complain(&exec(rest))),
        PROBE => Some(escapes::run(&rest)),
        HOLD => Some(hold(&rest)),
        _ => None,
    }
}

/// Says why there is no program; whoever sees a program never comes here.
fn complain(reason: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{COMPLAINT}{reason}");
    ExitCode::from(NOT_BUILT)
}

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Orders {
    walls: String,
    memory: u64,
    cpu: u64,
    file: u64,
    read: Option<PathBuf>,
    write: Option<PathBuf>,
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Orders {
    fn parse(words: Vec<OsString>) -> Option<Self> {
        let mut orders = Self::default();
        let mut words = words.into_iter();
        loop {
            let word = words.next()?;
            if word == "--" {
                break;
            }
            let bytes = word.as_bytes();
            let at = bytes.iter().position(|byte| *byte == b'=')?;
            let value = OsStr::from_bytes(&bytes[at + 1..]);
            let number = || value.to_str()?.parse().ok();
            match &bytes[..at] {
                b"--walls" => value.to_str()?.clone_into(&mut orders.walls),
                b"--memory" => orders.memory = number()?,
                b"--cpu" => orders.cpu = number()?,
                b"--file" => orders.file = number()?,
                b"--read" => orders.read = Some(value.into()),
                b"--write" => orders.write = Some(value.into()),
                _ => return None,
            }
        }
        orders.program = words.next()?.into();
        orders.arguments = words.collect();
        Some(orders)
    }
}

/// Builds the wall and becomes the program; returns only what went wrong.
fn exec(words: Vec<OsString>) -> String {
    let Some(orders) = Orders::parse(words) else { return "the command line makes no sense".to_owned() };
    close_inherited();
    let mut command = Command::new(&orders.program);
    command.args(&orders.arguments).env_clear();
    if let Err(reason) = build(&orders) {
        return reason;
    }
    format!("{} cannot be started: {}", orders.program.display(), command.exec())
}

fn build(orders: &Orders) -> Result<(), String> {
    let within_namespaces = orders.walls == "bubblewrap";
    if !within_namespaces {
        die_with_parent().map_err(|error| format!("the parent cannot be watched: {error}"))?;
    }
    let filter = match orders.walls.as_str() {
        "off" => None,
        "bubblewrap" | "landlock" => {
            restrict_files(orders, !within_namespaces).map_err(|error| format!("Landlock: {error}"))?;
            Some(syscalls::filter(std::process::id()).map_err(|error| format!("seccomp: {error}"))?)
        }
        other => return Err(format!("there are no walls called {other}")),
    };
    limit(orders).map_err(|error| format!("a limit cannot be set: {error}"))?;
    if is_unheard() {
        return Err("whoever started it is gone".to_owned());
    }
    match filter {
        Some(filter) => seccompiler::apply_filter(&filter).map_err(|error| format!("seccomp: {error}")),
        None => Ok(()),
    }
}

/// Closes what is open beside the standard streams. The server's own files close by themselves, but it may have been started with others, and
/// no wall keeps anybody from what is open already.
fn close_inherited() {
    let numbers = |entries: std::fs::ReadDir| entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd").map(numbers).unwrap_or_else(|_| {
        let limit = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(HIGHEST_FILE).min(HIGHEST_FILE);
        (0..i32::try_from(limit).unwrap_or(i32::MAX)).collect()
    });
    for number in open.into_iter().filter(|number| *number > 2) {
        // The list's own file is closed by now.
        let _ = nix::unistd::close(number);
    }
}

/// Whether nobody is there any more to hear what the program says. Bubblewrap dies with its parent, but asks for that only once it has begun, and
/// notices no death that came before. By now it has asked; so whoever still listens will take the program with them when they go.
fn is_unheard() -> bool {
    let output = io::stdout();
    let mut ends = [PollFd::new(output.as_fd(), PollFlags::empty())];
    poll(&mut ends, PollTimeout::ZERO).is_ok() && ends[0].revents().is_some_and(|seen| seen.contains(PollFlags::POLLERR))
}

/// In a session of its own, and gone when the thread that started it is gone.
fn die_with_parent() -> io::Result<()> {
    let parent = rustix::process::getppid();
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if parent.is_none() || rustix::process::getppid() != parent {
        return Err(io::Error::other("it is gone"));
    }
    // Fails where it is one already.
    let _ = rustix::process::setsid();
    Ok(())
}

/// Gives up the right to open anything but the libraries, the program, the input and the output. Required where no namespaces hide the
/// rest: then by a kernel (6.2) that also guards truncation.
fn restrict_files(orders: &Orders, required: bool) -> Result<(), landlock::RulesetError> {
    let level = if required { CompatLevel::HardRequirement } else { CompatLevel::BestEffort };
    let basic = AccessFs::from_all(ABI::V3);
    let newest = AccessFs::from_all(ABI::V5);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let run = AccessFs::ReadFile | AccessFs::Execute;
    let write = AccessFs::from_all(ABI::V3)
        & !(AccessFs::Execute | AccessFs::MakeSock | AccessFs::MakeFifo | AccessFs::MakeBlock | AccessFs::MakeChar | AccessFs::MakeSym)
        // Whoever tidies up walks through folders, and folders in folders have no end.
        & !(AccessFs::MakeDir | AccessFs::RemoveDir);
    let libraries = LIBRARIES.iter().map(Path::new).chain([Path::new(LIBRARY_CACHE), Path::new("/dev/urandom")]);
    Ruleset::default()
        .set_compatibility(level)
        .handle_access(basic)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(newest)?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .add_rules(path_beneath_rules(libraries, read))?
        .add_rules(path_beneath_rules(linkers().iter().chain([&orders.program]), run))?
        .add_rules(path_beneath_rules(["/dev/null"], AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(orders.read.iter(), AccessFs::ReadFile))?
        .add_rules(path_beneath_rules(orders.write.iter(), write))?
        .restrict_self()?;
    Ok(())
}

/// Dynamic linkers: the kernel runs one of them in front of every dynamically linked program.
fn linkers() -> Vec<PathBuf> {
    let entries = ["/lib64", "/lib", "/usr/lib64"].into_iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let linkers = entries.filter(|entry| entry.file_name().as_bytes().starts_with(b"ld-"));
    linkers.map(|entry| entry.path()).collect()
}

fn limit(orders: &Orders) -> io::Result<()> {
    let set = |resource, current: u64, maximum: u64| {
        let limit = Rlimit { current: Some(current), maximum: Some(maximum) };
        rustix::process::setrlimit(resource, limit)
    };
    // At the soft limit ffmpeg ends by itself and says so, at the hard one it is killed.
    set(Resource::Cpu, orders.cpu, orders.cpu + GRACE_SECONDS)?;
    set(Resource::Fsize, orders.file, orders.file)?;
    set(Resource::Nofile, OPEN_FILES, OPEN_FILES)?;
    set(Resource::Core, 0, 0)?;
    // Outside of namespaces this counts every thread of the user, the server's among them; without walls nobody is held to anything else.
    match orders.walls.as_str() {
        "bubblewrap" => set(Resource::Nproc, THREADS, THREADS)?,
        "landlock" => set(Resource::Nproc, THREADS_OF_USER, THREADS_OF_USER)?,
        _ => {}
    }
    set(Resource::As, orders.memory, orders.memory)?;
    Ok(())
}

/// Starts a program and waits for it: a parent that can be killed without harm.
fn hold(words: &[OsString]) -> ExitCode {
    let Some((program, arguments)) = words.split_first() else { return ExitCode::FAILURE };
    match Command::new(program).args(arguments).env_clear().status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_to_the_program_and_no_further() {
        let words = ["--walls=landlock", "--memory=5", "--cpu=6", "--file=7", "--read=/a=b", "--", "/usr/bin/ffmpeg", "--cpu=9", "--"];
        let orders = Orders::parse(words.iter().map(OsString::from).collect()).expect("good orders");
        assert_eq!((orders.memory, orders.cpu, orders.file), (5, 6, 7));
        assert_eq!((orders.read, orders.write), (Some("/a=b".into()), None));
        assert_eq!((orders.program, orders.arguments), ("/usr/bin/ffmpeg".into(), vec!["--cpu=9".into(), "--".into()]));
        assert_eq!(Orders::parse(vec!["--network=yes".into(), "--".into(), "x".into()]), None);
        assert_eq!(Orders::parse(vec!["--cpu=1".into()]), None);
    }
}

//! Tries the walls before anything is trusted to them: a hostile program of our own is run behind them, with everything in reach that
//! it must not get, and who owns these things looks afterwards what it got.

use std::{
    io,
    net::{TcpListener, UdpSocket},
    ops::ControlFlow,
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as UnixAddr, UnixListener},
    },
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::process::Command;
use uuid::Uuid;

use super::{
    super::{child, scratch::Scratch},
    Confined, Sandbox, Walls,
    escapes::{Attempt, Targets},
    exec::{HOLD, PROBE},
};

/// What is tried.
pub(in super::super) const ESCAPES: [&str; 12] = [
    "reading another upload",
    "reading the database",
    "reading the environment",
    "a TCP connection",
    "a UDP packet",
    "a socket of this machine",
    "writing beside the output",
    "changing the input",
    "making processes",
    "reaching the server's process",
    "outliving the server",
    "running or seeing other programs",
];
/// The places of those in the list that only the outside can judge.
const TCP: usize = 3;
const UDP: usize = 4;
const SOCKET: usize = 5;
const OUTSIDE: usize = 6;
const INPUT: usize = 7;
const OUTLIVE: usize = 10;
const PROGRAMS: usize = 11;

/// What the attempts came to.
#[derive(Debug, Clone)]
pub(in super::super) struct Report {
    /// How it got out, by place in [`ESCAPES`].
    pub(in super::super) escaped: [Option<String>; ESCAPES.len()],
    /// What a program's start costs more than without walls.
    pub(in super::super) start_cost: Duration,
}

impl Report {
    /// Attempts that failed, as they should.
    pub(in super::super) fn blocked(&self) -> usize {
        self.escaped.iter().filter(|escaped| escaped.is_none()).count()
    }

    /// `12 of 12 escapes blocked`, and which were not.
    pub(in super::super) fn summary(&self) -> String {
        let escaped = ESCAPES.iter().zip(&self.escaped).filter_map(|(name, how)| how.as_ref().map(|how| format!("{name} ({how})")));
        let escaped: Vec<String> = escaped.collect();
        let blocked = format!("{} of {} escapes blocked", self.blocked(), ESCAPES.len());
        if escaped.is_empty() { blocked } else { format!("{blocked}; not blocked: {}", escaped.join(", ")) }
    }
}

/// Runs the hostile program behind the walls.
pub(in super::super) async fn try_escapes(sandbox: &Sandbox, scratch_root: &Path) -> Result<Report, String> {
    let scratch = Scratch::new(scratch_root).await.map_err(|error| format!("no scratch folder: {error}"))?;
    let bait = Bait::lay(sandbox, &scratch).await.map_err(|error| format!("the self-test cannot be set up: {error}"))?;
    let mut escaped = bait.attempts(sandbox).await?;
    escaped[OUTLIVE] = bait.outlives(sandbox).await?;
    bait.judge(&mut escaped);
    Ok(Report { escaped, start_cost: start_cost(sandbox).await? })
}

/// Everything that must not be reached.
#[derive(Debug)]
struct Bait {
    targets: Targets,
    input: PathBuf,
    output: PathBuf,
    tcp: TcpListener,
    udp: UdpSocket,
    sockets: Vec<UnixListener>,
    /// The database, open as whoever started the server may leave it: programs that it starts inherit it.
    _open: OwnedFd,
}

const MINE: &str = "what may be read";

impl Bait {
    async fn lay(sandbox: &Sandbox, scratch: &Scratch) -> io::Result<Self> {
        let uploads = scratch.folder("uploads").await?;
        let output = scratch.folder("out").await?;
        let (input, neighbour, database) = (uploads.join("own"), uploads.join("other"), scratch.path().join("millrace.db"));
        for (path, text) in [(&input, MINE), (&neighbour, "another user's"), (&database, "everybody's")] {
            tokio::fs::write(path, text).await?;
        }
        let open = rustix::io::dup(std::fs::File::open(&database)?)?;
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
        let socket = scratch.path().join("socket");
        let name = format!("millrace-{}", Uuid::new_v4());
        let mut sockets = vec![UnixListener::bind_addr(&UnixAddr::from_abstract_name(&name)?)?];
        // A path may be too long for a socket; then the name has to do.
        sockets.extend(UnixListener::bind(&socket));
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        sockets.iter().try_for_each(|socket| socket.set_nonblocking(true))?;
        let inside = sandbox.output_path(&output).to_owned();
        let targets = Targets {
            own_program: sandbox.helper.clone(),
            input: sandbox.input_path(&input).to_owned(),
            trophy: inside.join("trophy"),
            output: inside,
            neighbour,
            database,
            outside: scratch.path().join("escaped"),
            tcp: tcp.local_addr()?,
            udp: udp.local_addr()?,
            socket,
            abstract_socket: name,
            server: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
        };
        Ok(Self { targets, input, output, tcp, udp, sockets, _open: open })
    }

    fn command<'a>(&self, sandbox: &Sandbox, words: impl IntoIterator<Item = &'a str>) -> Command {
        let confined = Confined { input: Some(&self.input), output: Some(&self.output), ..program(sandbox) };
        sandbox.command(&confined, [PROBE].into_iter().chain(words))
    }

    /// All attempts but the one to outlive.
    async fn attempts(&self, sandbox: &Sandbox) -> Result<[Option<String>; ESCAPES.len()], String> {
        let targets = serde_json::to_string(&self.targets).map_err(|error| error.to_string())?;
        let mut said = Vec::new();
        let run = child::run(self.command(sandbox, ["try", &targets]), "the self-test", TIME, |bytes| {
            said.extend_from_slice(bytes);
            ControlFlow::Continue(())
        });
        let finished = run.await.map_err(|error| error.to_string())?;
        let mut escaped: [Option<String>; ESCAPES.len()] = Default::default();
        let mut heard = 0;
        for attempt in String::from_utf8_lossy(&said).lines().filter_map(|line| serde_json::from_str::<Attempt>(line).ok()) {
            heard += 1;
            if let Some(place) = escaped.get_mut(attempt.number) {
                *place = attempt.escaped;
            }
        }
        if heard + 1 < ESCAPES.len() {
            return Err(format!("the self-test ended with {} after {heard} attempts: {}", finished.status, finished.stderr.trim()));
        }
        Ok(escaped)
    }

    /// Kills the parent of a program and looks whether it goes on.
    async fn outlives(&self, sandbox: &Sandbox) -> Result<Option<String>, String> {
        let folder = self.targets.output.to_string_lossy().into_owned();
        let inner = self.command(sandbox, ["linger", &folder]);
        let mut command = Command::new(&sandbox.helper);
        command.arg(HOLD).arg(inner.as_std().get_program()).args(inner.as_std().get_args());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        if let Some(folder) = inner.as_std().get_current_dir() {
            command.current_dir(folder);
        }
        let mut parent = command.spawn().map_err(|error| format!("the self-test cannot be started: {error}"))?;
        let ticks = self.output.join("ticks");
        let length = async || tokio::fs::metadata(&ticks).await.map_or(0, |metadata| metadata.len());
        let began = Instant::now();
        while length().await == 0 && began.elapsed() < TIME {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        parent.kill().await.map_err(|error| format!("the self-test cannot be ended: {error}"))?;
        // The kernel's message travels a moment, on a busy machine a longer one.
        for _ in 0..20 {
            let before = length().await;
            tokio::time::sleep(Duration::from_millis(60)).await;
            if before > 0 && before == length().await {
                return Ok(None);
            }
        }
        Ok(Some("goes on after its parent's death".to_owned()))
    }

    /// Looks at what can be seen from outside only.
    fn judge(&self, escaped: &mut [Option<String>; ESCAPES.len()]) {
        let mut found = |place: usize, seen: bool, what: &str| {
            if seen && escaped[place].is_none() {
                escaped[place] = Some(what.to_owned());
            }
        };
        found(TCP, self.tcp.accept().is_ok(), "somebody connected");
        found(UDP, self.udp.recv_from(&mut [0; 8]).is_ok(), "a packet arrived");
        found(SOCKET, self.sockets.iter().any(|socket| socket.accept().is_ok()), "somebody connected");
        found(OUTSIDE, self.targets.outside.exists(), "a file was made");
        found(INPUT, std::fs::read_to_string(&self.input).is_ok_and(|text| text != MINE), "the input is another");
        found(PROGRAMS, self.output.join("trophy").exists(), "another program ran");
    }
}

/// Longest that a run of the self-test may take.
const TIME: Duration = Duration::from_secs(20);
/// Starts that are measured; the shortest counts.
const STARTS: usize = 3;

/// Our own program, behind the walls, with room to try what it tries.
fn program(sandbox: &Sandbox) -> Confined<'_> {
    Confined {
        program: &sandbox.helper,
        input: None,
        output: None,
        memory_bytes: 4 << 30,
        cpu_time: Duration::from_secs(10),
        file_bytes: 1 << 20,
    }
}

/// What a start costs more behind these walls than the same program alone.
async fn start_cost(sandbox: &Sandbox) -> Result<Duration, String> {
    let alone = || {
        let mut command = Command::new(&sandbox.helper);
        command.args([PROBE, "nothing"]);
        command
    };
    let behind = shortest(|| sandbox.command(&program(sandbox), [PROBE, "nothing"])).await?;
    Ok(behind.saturating_sub(shortest(alone).await?))
}

async fn shortest(command: impl Fn() -> Command) -> Result<Duration, String> {
    let mut shortest = TIME;
    for _ in 0..STARTS {
        let began = Instant::now();
        let finished =
            child::run(command(), "the self-test", TIME, |_| ControlFlow::Continue(())).await.map_err(|error| error.to_string())?;
        if !finished.status.success() {
            return Err(format!("a program ends with {}: {}", finished.status, finished.stderr.trim()));
        }
        shortest = shortest.min(began.elapsed());
    }
    Ok(shortest)
}

impl Walls {
    /// Whether they have to withstand the self-test.
    pub(in super::super) fn are_there(&self) -> bool {
        *self != Self::Off
    }
}

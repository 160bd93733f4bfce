//! Asks for files over and over, and drains their bodies without copying them (`recv` with `MSG_TRUNC`), so that the server is what is measured.
//!
//! usage: delivery-client HOST:PORT PATHS CONNECTIONS SECONDS [ROUNDS]   (PATHS is a file with one path a line, which are asked for in turn; with
//! ROUNDS each path is asked for so many times in all, and SECONDS is only a limit)
//!        delivery-client --slow HOST:PORT PATHS CONNECTIONS SECONDS    (each connection asks once and takes 2 kB a second)
//!
//! Prints one JSON object. A wrong status, a short body or a connection that ends is an error and ends the run.

use std::{
    env, fs,
    io::{self, Write},
    net::TcpStream,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::net::{RecvFlags, recv};

/// Longest head of an answer.
const HEAD: usize = 8 * 1024;
/// What one `recv` may throw away.
const DRAIN: usize = 1024 * 1024;

struct Run {
    address: String,
    paths: Vec<String>,
    until: Instant,
    /// Requests in all; none for as many as there is time for.
    most: usize,
    next: AtomicUsize,
    stop: AtomicBool,
}

#[derive(Default)]
struct Taken {
    bytes: u64,
    micros: Vec<u32>,
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let slow = arguments.first().is_some_and(|first| first == "--slow");
    if slow {
        arguments.remove(0);
    }
    let done = match &arguments[..] {
        [address, paths, connections, seconds, rest @ ..] => begin(slow, address, paths, connections, seconds, rest.first()),
        _ => Err("usage: delivery-client [--slow] HOST:PORT PATHS CONNECTIONS SECONDS [ROUNDS]".to_owned()),
    };
    match done {
        Ok(text) => {
            let _ = writeln!(io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn begin(slow: bool, address: &str, paths: &str, connections: &str, seconds: &str, rounds: Option<&String>) -> Result<String, String> {
    let text = fs::read_to_string(paths).map_err(|error| format!("{paths}: {error}"))?;
    let paths: Vec<String> = text.lines().map(str::to_owned).collect();
    let number = |text: &str| text.parse::<usize>().map_err(|error| format!("{text}: {error}"));
    let (connections, seconds) = (number(connections)?, number(seconds)?);
    let most = rounds.map(|rounds| number(rounds)).transpose()?.map_or(usize::MAX, |rounds| rounds * paths.len());
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds as u64);
    let run = Run { address: address.to_owned(), paths, until, most, next: AtomicUsize::new(0), stop: AtomicBool::new(false) };
    let run = Arc::new(run);
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let run = Arc::clone(&run);
            let work = move || if slow { crawl(&run) } else { ask(&run) };
            thread::Builder::new().stack_size(128 * 1024).spawn(work).map_err(|error| error.to_string())
        })
        .collect::<Result<_, _>>()?;
    let (mut all, mut fault) = (Taken::default(), None);
    for thread in threads {
        match thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked"))) {
            Ok(taken) => {
                all.bytes += taken.bytes;
                all.micros.extend(taken.micros);
            }
            Err(error) => fault = Some(error),
        }
    }
    if let Some(error) = fault {
        return Err(format!("{address}: {error}"));
    }
    all.micros.sort_unstable();
    let part = |hundredths: usize| all.micros.get((all.micros.len() * hundredths / 100).min(all.micros.len().saturating_sub(1)));
    let at = |hundredths| part(hundredths).copied().unwrap_or_default();
    Ok(format!(
        "{{\"bytes\":{},\"requests\":{},\"seconds\":{:.6},\"p50_us\":{},\"p99_us\":{}}}",
        all.bytes,
        all.micros.len(),
        began.elapsed().as_secs_f64(),
        at(50),
        at(99)
    ))
}

/// One connection that asks for one file after the other.
fn ask(run: &Run) -> io::Result<Taken> {
    let mut stream = TcpStream::connect(&run.address)?;
    stream.set_nodelay(true)?;
    let (mut taken, mut head, mut sink) = (Taken::default(), vec![0; HEAD], vec![0; DRAIN]);
    loop {
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        if number >= run.most || Instant::now() >= run.until || run.stop.load(Ordering::Relaxed) {
            return Ok(taken);
        }
        let began = Instant::now();
        let got = send(&mut stream, run, number).and_then(|()| answer(&stream, &mut head, &mut sink));
        match got {
            Ok(bytes) => taken.bytes += bytes,
            Err(error) => {
                run.stop.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
        taken.micros.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
}

fn send(stream: &mut TcpStream, run: &Run, number: usize) -> io::Result<()> {
    let path = &run.paths[number % run.paths.len()];
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", run.address).as_bytes())
}

/// Reads the head, without taking more than it from the socket, and throws the body away.
fn answer(stream: &TcpStream, head: &mut [u8], sink: &mut [u8]) -> io::Result<u64> {
    let end = loop {
        let (seen, _) = recv(stream, &mut *head, RecvFlags::PEEK)?;
        if let Some(end) = head[..seen].windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if seen == 0 || seen == head.len() {
            return Err(io::Error::other("no answer"));
        }
        thread::yield_now();
    };
    let mut read = 0;
    while read < end {
        read += recv(stream, &mut head[read..end], RecvFlags::empty())?.0;
    }
    let text = String::from_utf8_lossy(&head[..end]).to_ascii_lowercase();
    if !text.starts_with("http/1.1 200 ") {
        return Err(io::Error::other(text));
    }
    let length = text.split("\r\ncontent-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.trim().parse::<u64>().ok());
    let length = length.ok_or_else(|| io::Error::other(format!("no length: {text}")))?;
    let mut left = length;
    while left > 0 {
        let most = sink.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let (_, thrown) = recv(stream, &mut sink[..most], RecvFlags::TRUNC)?;
        if thrown == 0 {
            return Err(io::Error::other("the body broke off"));
        }
        left = left.checked_sub(thrown as u64).ok_or_else(|| io::Error::other("more than was told"))?;
    }
    Ok(length)
}

/// One connection that asks once and takes almost nothing of the answer, until the time is over.
fn crawl(run: &Run) -> io::Result<Taken> {
    let mut stream = TcpStream::connect(&run.address)?;
    let number = run.next.fetch_add(1, Ordering::Relaxed);
    send(&mut stream, run, number)?;
    let (mut taken, mut piece) = (Taken::default(), [0; 512]);
    while Instant::now() < run.until {
        taken.bytes += recv(&stream, &mut piece, RecvFlags::empty())?.0 as u64;
        thread::sleep(Duration::from_millis(250));
    }
    Ok(taken)
}

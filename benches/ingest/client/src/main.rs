//! Sends bodies that stand ready in memory, so that the server is what is measured.
//!
//! usage: ingest-client HOST:PORT PLAN
//!
//! PLAN is a file with one request a line, of tab-separated fields: number of its stream, method, path, bytes of its body, status that the answer
//! has to have, then its headers (`Name: value`). A stream is a connection of its own, on which its requests follow one another. `{crc32c}` in a
//! header stands for the checksum of the body, known before the clock starts. Each body is the same bytes from the first on, over and over.
//!
//! Prints one JSON object. A wrong status or a connection that ends is an error and ends the run.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Read, Write},
    net::TcpStream,
    process::ExitCode,
    sync::{Arc, Barrier},
    thread,
    time::Instant,
};

/// Bytes that bodies are made of: as long as a part is by default.
const PATTERN: usize = 8 * 1024 * 1024;
/// What one `write` is given.
const PIECE: usize = 1024 * 1024;
/// Longest answer.
const ANSWER: usize = 64 * 1024;

struct Request {
    head: Vec<u8>,
    length: u64,
    status: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match &arguments[..] {
        [address, plan] => begin(address, plan),
        _ => Err("usage: ingest-client HOST:PORT PLAN".to_owned()),
    };
    let (text, code) = match done {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(error) => (error, ExitCode::FAILURE),
    };
    if code == ExitCode::SUCCESS {
        let _ = writeln!(io::stdout(), "{text}");
    } else {
        let _ = writeln!(io::stderr(), "{text}");
    }
    code
}

/// Bytes without a pattern that anything could make use of (xorshift).
fn pattern() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(PATTERN);
    while bytes.len() < PATTERN {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

fn checksum(bytes: &[u8], length: u64) -> u32 {
    let (mut sum, mut left) = (0, length);
    while left > 0 {
        let piece = &bytes[..usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())];
        sum = crc32c::crc32c_append(sum, piece);
        left -= piece.len() as u64;
    }
    sum
}

fn begin(address: &str, plan: &str) -> Result<String, String> {
    let text = fs::read_to_string(plan).map_err(|error| format!("{plan}: {error}"))?;
    let bytes = Arc::new(pattern());
    let (mut streams, mut sums): (BTreeMap<String, Vec<Request>>, BTreeMap<u64, u32>) = Default::default();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [stream, method, path, length, status, headers @ ..] = &fields[..] else { return Err(format!("not a request: {line}")) };
        let length: u64 = length.parse().map_err(|error| format!("{length}: {error}"))?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n");
        for header in headers {
            let sum = if header.contains("{crc32c}") { *sums.entry(length).or_insert_with(|| checksum(&bytes, length)) } else { 0 };
            head.push_str(&header.replace("{crc32c}", &format!("{sum:08x}")));
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        let request = Request { head: head.into_bytes(), length, status: (*status).to_owned() };
        streams.entry((*stream).to_owned()).or_default().push(request);
    }
    let ready = Arc::new(Barrier::new(streams.len() + 1));
    let threads: Vec<_> = streams
        .into_values()
        .map(|requests| {
            let (bytes, ready, address) = (Arc::clone(&bytes), Arc::clone(&ready), address.to_owned());
            thread::spawn(move || send(&address, &requests, &bytes, &ready))
        })
        .collect();
    ready.wait();
    let began = Instant::now();
    let mut sent = 0;
    for thread in threads {
        sent += thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked"))).map_err(|error| format!("{address}: {error}"))?;
    }
    Ok(format!("{{\"bytes\":{sent},\"seconds\":{:.6}}}", began.elapsed().as_secs_f64()))
}

fn send(address: &str, requests: &[Request], bytes: &[u8], ready: &Barrier) -> io::Result<u64> {
    let connected = TcpStream::connect(address);
    ready.wait();
    let mut stream = connected?;
    stream.set_nodelay(true)?;
    let (mut answer, mut sent) = (vec![0; ANSWER], 0);
    for request in requests {
        stream.write_all(&request.head)?;
        let mut at = 0;
        while at < request.length {
            let from = usize::try_from(at % bytes.len() as u64).unwrap_or_default();
            let most = usize::try_from(request.length - at).unwrap_or(usize::MAX).min(PIECE).min(bytes.len() - from);
            stream.write_all(&bytes[from..from + most])?;
            at += most as u64;
        }
        sent += request.length;
        take(&mut stream, &mut answer, &request.status)?;
    }
    Ok(sent)
}

/// Takes an answer whole: its head, and as many bytes as that says.
fn take(stream: &mut TcpStream, answer: &mut [u8], status: &str) -> io::Result<()> {
    let mut read = 0;
    loop {
        let text = String::from_utf8_lossy(&answer[..read]).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let head = text[..end].to_ascii_lowercase();
            if !head.starts_with(&format!("http/1.1 {status} ")) {
                return Err(io::Error::other(text));
            }
            let length = head.split("\r\ncontent-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.trim().parse::<usize>().ok());
            if read >= end + 4 + length.unwrap_or(0) {
                return Ok(());
            }
        }
        let more = if read < answer.len() { stream.read(&mut answer[read..])? } else { 0 };
        if more == 0 {
            return Err(io::Error::other(format!("no whole answer: {text}")));
        }
        read += more;
    }
}

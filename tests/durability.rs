//! What is acknowledged is on the disk: the binary runs under `strace`, and the order of its system calls is looked at. Before the first byte
//! of a 2xx leaves, the file's bytes are synced, then the ledger, the folders, and the database's log.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use tempfile::TempDir;

/// A call that has an end: where in the trace it began, and where it had worked.
#[derive(Debug)]
struct Call {
    name: String,
    arguments: String,
    began: usize,
    ended: usize,
}

/// The calls of a trace by `strace -f -yy`, in the order in which they ended. Of calls that are under way while another thread makes one,
/// beginning and end are on two lines.
fn calls(trace: &str) -> Vec<Call> {
    let mut open: HashMap<&str, (String, String, usize)> = HashMap::new();
    let mut found = Vec::new();
    for (at, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some((name, arguments, began)) = open.remove(thread) else { continue };
            // What had not been printed when the call began comes with its end.
            let more = resumed.split_once("resumed>").map_or("", |(_, more)| more);
            found.push(Call { name, arguments: arguments + more, began, ended: at });
        } else if let Some((name, arguments)) = rest.split_once('(') {
            match arguments.strip_suffix("<unfinished ...>") {
                Some(begun) => {
                    open.insert(thread, (name.to_owned(), begun.to_owned(), at));
                }
                None => found.push(Call { name: name.to_owned(), arguments: arguments.to_owned(), began: at, ended: at }),
            }
        }
    }
    // What failed has brought nothing to the disk.
    found.retain(|call| !call.arguments.contains(") = -1 "));
    found
}

/// Something that has to have happened.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A file or folder whose path ends so was brought to the disk.
    Synced(&'static str),
    /// Something was moved to a path that holds this.
    Moved(&'static str),
}

impl Step {
    fn is(self, call: &Call) -> bool {
        match self {
            Self::Synced(end) => {
                // `fdatasync(12</store/sources>) = 0`
                let path = call.arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
                matches!(call.name.as_str(), "fsync" | "fdatasync") && path.ends_with(end)
            }
            Self::Moved(to) => call.name.starts_with("rename") && call.arguments.contains(to),
        }
    }
}

use Step::{Moved, Synced};

const BYTES: &str = "/data";
const LEDGER: &str = "/ledger";
const INCOMING: &str = "/store/incoming";
const SOURCES: &str = "/store/sources";
const LOG: &str = ".db-wal";

/// A request, and what has to have happened in this order before it is answered.
struct Request {
    name: &'static str,
    line: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    steps: &'static [Step],
}

struct Server {
    strace: Child,
    address: SocketAddr,
    key: String,
    folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // A folder of pages is looked for below the working directory last; an empty one does.
        std::fs::create_dir_all(folder.path().join("target/site/pkg")).expect("a folder");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|probe| probe.local_addr()).expect("a free port");
        let run = |command: &mut Command| {
            let settings = [("MILLRACE_BIND", address.to_string()), ("MILLRACE_TRANSCODE_IN_SERVE", "false".to_owned())];
            command.current_dir(&folder).env("MILLRACE_DATA_DIR", folder.path().join("data-folder")).envs(settings);
            command.env("MILLRACE_LOG", "warn").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts")
        };
        let millrace = || Command::new(env!("CARGO_BIN_EXE_millrace"));
        let mut adding = run(millrace().args(["user", "add", "ada@example.com"]));
        adding.stdin.take().expect("its input").write_all(b"a good password\n").expect("it reads");
        assert!(adding.wait().expect("it ends").success());
        let key = run(millrace().args(["key", "add", "ada@example.com", "--name", "test"])).wait_with_output().expect("it ends");
        let key = String::from_utf8(key.stdout).expect("text").trim().to_owned();

        let mut strace = Command::new("strace");
        strace
            .args(["--follow-forks", "--seccomp-bpf", "-yy", "--string-limit=16", "--signal=none", "-o"])
            .arg(folder.path().join("trace"));
        strace.arg("--trace=fsync,fdatasync,rename,renameat,renameat2,pwrite64,write,writev,sendto,sendmsg");
        let strace = run(strace.arg(env!("CARGO_BIN_EXE_millrace")).arg("serve"));
        let mut server = Self { strace, address, key, folder };
        while TcpStream::connect(address).is_err() {
            assert!(server.strace.try_wait().expect("its state").is_none(), "the server did not start");
            sleep(Duration::from_millis(100));
        }
        server
    }

    /// Sends a request on a connection of its own; gives the client's port and the answer.
    fn ask(&self, request: &Request) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).expect("connected");
        let port = stream.local_addr().expect("an address").port();
        let mut head = format!("{} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", request.line, self.address);
        head += &format!("authorization: Bearer {}\r\ncontent-length: {}\r\n", self.key, request.body.len());
        for (name, value) in &request.headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all((head + "\r\n").as_bytes()).expect("sent");
        stream.write_all(&request.body).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 2"), "{}: {answer}", request.name);
        (port, answer)
    }

    /// Ends the server, so that its trace is whole.
    fn end(mut self) -> String {
        let millrace = children(self.strace.id());
        for child in &millrace {
            Command::new("kill").arg(child).status().expect("told to end");
        }
        assert!(self.strace.wait().expect("it ends").success(), "{millrace:?}");
        std::fs::read_to_string(self.folder.path().join("trace")).expect("a trace")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After a failed assertion; else it has ended. What is traced ends with its tracer gone or by the signal.
        if self.strace.try_wait().is_ok_and(|ended| ended.is_none()) {
            for child in children(self.strace.id()) {
                let _ = Command::new("kill").args(["-9", &child]).status();
            }
            let _ = self.strace.wait();
        }
    }
}

fn children(process: u32) -> Vec<String> {
    let file = format!("/proc/{process}/task/{process}/children");
    std::fs::read_to_string(file).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let rest = text.split_once(start).unwrap_or_else(|| panic!("no {start} in {text}")).1;
    rest.split_once(end).map_or(rest, |(value, _)| value)
}

fn request(name: &'static str, line: &str, headers: &[(&'static str, &str)], body: &[u8], steps: &'static [Step]) -> Request {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Request { name, line: line.to_owned(), headers, body: body.to_vec(), steps }
}

/// Holds one request against the calls before its answer.
fn check(request: &Request, calls: &[Call], port: u16, since: usize) -> usize {
    let answered = |call: &&Call| {
        matches!(call.name.as_str(), "write" | "writev" | "sendto" | "sendmsg")
            && call.arguments.contains(&format!("127.0.0.1:{port}]"))
            && call.arguments.contains("HTTP/1.1 2")
    };
    let told = calls.iter().find(answered).unwrap_or_else(|| panic!("{}: no answer in the trace", request.name)).began;
    let window: Vec<&Call> = calls.iter().filter(|call| call.began > since && call.ended < told).collect();
    let mut after = 0;
    for step in request.steps {
        let done = window.iter().find(|call| call.began >= after && step.is(call));
        let done = done.unwrap_or_else(|| panic!("{}: {step:?} is missing or too late, of {:?}: {window:#?}", request.name, request.steps));
        after = done.ended;
    }
    for call in window.iter().filter(|call| call.name == "pwrite64" && call.arguments.contains(&format!("{BYTES}>"))) {
        let synced = window.iter().any(|later| later.began >= call.ended && Synced(BYTES).is(later));
        assert!(synced, "{}: bytes that were written are not on the disk: {call:?}", request.name);
    }
    told
}

#[test]
fn nothing_is_acknowledged_before_it_is_on_the_disk() {
    assert!(
        Path::new("/usr/bin/strace").exists() || Command::new("strace").arg("-V").output().is_ok(),
        "scripts/setup.sh --test installs strace"
    );
    let server = Server::start();
    let bytes: Vec<u8> = (0..300_000_u32).map(|number| number.wrapping_mul(number) as u8).collect();
    let mut asked = Vec::new();
    let mut ask = |request: Request| {
        let (port, answer) = server.ask(&request);
        asked.push((request, port));
        answer
    };
    let (json, size) = (("content-type", "application/json"), bytes.len().to_string());
    let begin = format!("{{\"fileName\":\"a.mp4\",\"size\":{size}}}");
    let begun: &[Step] = &[Synced(LEDGER), Synced(INCOMING), Synced(LOG)];
    let begun = ask(request("begin", "POST /api/v1/uploads", &[json], begin.as_bytes(), begun));
    let upload = between(&begun, "\"uploadId\":\"", "\"");
    let (part, sum) = (format!("PUT /api/v1/uploads/{upload}/parts/1"), format!("{:08x}", crc32c::crc32c(&bytes)));
    ask(request("part", &part, &[("x-millrace-crc32c", &sum)], &bytes, &[Synced(BYTES), Synced(LEDGER)]));
    let completed: &[Step] = &[Moved(SOURCES), Synced(SOURCES), Synced(LOG)];
    ask(request("complete", &format!("POST /api/v1/uploads/{upload}/complete"), &[], &[], completed));

    let form =
        [&b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"b.mp4\"\r\n\r\n"[..], &bytes, b"\r\n--b--\r\n"].concat();
    let whole: &[Step] = &[Synced(LOG), Synced(BYTES), Moved(SOURCES), Synced(SOURCES), Synced(LOG)];
    ask(request("whole file", "POST /api/upload", &[("content-type", "multipart/form-data; boundary=b")], &form, whole));

    let (tus, piece) = (("tus-resumable", "1.0.0"), ("content-type", "application/offset+octet-stream"));
    let created: &[Step] = &[Synced(LEDGER), Synced(INCOMING), Synced(LOG)];
    let created = ask(request("tus: begin", "POST /api/v1/tus", &[tus, ("upload-length", &size)], &[], created));
    let patch = format!("PATCH {}", between(&created, "\r\nlocation: ", "\r\n"));
    let (first, rest) = bytes.split_at(100_000);
    let kept: &[Step] = &[Synced(BYTES), Synced(LEDGER)];
    ask(request("tus: piece", &patch, &[tus, piece, ("upload-offset", "0")], first, kept));
    let last: &[Step] = &[Synced(BYTES), Synced(LEDGER), Moved(SOURCES), Synced(SOURCES), Synced(LOG)];
    ask(request("tus: last piece", &patch, &[tus, piece, ("upload-offset", "100000")], rest, last));

    let trace = server.end();
    let calls = calls(&trace);
    let mut since = 0;
    for (request, port) in &asked {
        since = check(request, &calls, *port, since);
    }
}

#[test]
fn traces_are_read_in_the_order_in_which_calls_end() {
    let trace = "7 fdatasync(3</x/data> <unfinished ...>\n\
                 8 pwrite64(4</x/data>, \"..\", 2, 0) = 2\n\
                 7 <... fdatasync resumed>) = 0\n\
                 8 fsync(5</x>) = -1 EIO (Input/output error)\n";
    let found = calls(trace);
    let order: Vec<_> = found.iter().map(|call| (call.name.as_str(), call.began, call.ended)).collect();
    assert_eq!(order, [("pwrite64", 1, 1), ("fdatasync", 0, 2)]);
    assert!(Synced("/data").is(&found[1]) && !Synced("/ledger").is(&found[1]));
}

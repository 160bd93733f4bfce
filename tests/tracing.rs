//! Traces and log lines of the real binary: one video is one trace across two processes, a request is known by one id in its answer and in the log,
//! and neither holds what is a user's.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use tempfile::TempDir;

const CLIP: &[u8] = include_bytes!("../src/doctor/clip.mp4");
const TITLE: &str = "planted-title-of-a-film";
const EMAIL: &str = "planted-address@example.com";

/// A span, as the collector got it.
#[derive(Debug, Clone)]
struct Span {
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    role: String,
}

/// The fields of a protobuf message: number and bytes. Numbers are skipped; nothing here needs them.
fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (first, rest) = bytes.split_first().expect("a byte");
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let length = match tag & 7 {
            0 => {
                varint(&mut bytes);
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)).expect("a length"),
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (field, rest) = bytes.split_at(length);
        bytes = rest;
        found.push((tag >> 3, field));
    }
    found
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The spans of an `ExportTraceServiceRequest`.
fn spans(request: &[u8]) -> Vec<Span> {
    let of = |message: &[u8], number: u64| {
        fields(message).into_iter().filter(|(n, _)| *n == number).map(|(_, f)| f.to_vec()).collect::<Vec<_>>()
    };
    let one = |message: &[u8], number: u64| of(message, number).pop().unwrap_or_default();
    let mut found = Vec::new();
    for resource_spans in of(request, 1) {
        let resource = text(&one(&resource_spans, 1));
        let role = ["serve", "worker"].into_iter().find(|role| resource.contains("millrace.role\u{12}") && resource.contains(role));
        for scope in of(&resource_spans, 2) {
            for span in of(&scope, 2) {
                found.push(Span {
                    trace: one(&span, 1),
                    id: one(&span, 2),
                    parent: one(&span, 4),
                    name: text(&one(&span, 5)),
                    role: role.unwrap_or_default().to_owned(),
                });
            }
        }
    }
    found
}

/// A collector that keeps all that it is sent.
fn collector() -> (String, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let keep = Arc::clone(&keep);
            // One connection may bring several requests.
            std::thread::spawn(move || {
                while let Some(body) = request(&mut stream) {
                    keep.lock().expect("nobody panicked").push(body);
                    if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n").is_err() {
                        break;
                    }
                }
            });
        }
    });
    (url, kept)
}

/// The body of the next request on a connection.
fn request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = text(&head).to_lowercase();
    assert!(head.starts_with("post /v1/traces ") && head.contains("content-type: application/x-protobuf"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

/// A process of the binary that ends with its test.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(folder: &TempDir, role: &str, variables: &[(&str, &str)]) -> Self {
        let log = folder.path().join(format!("{role}.log"));
        let file = std::fs::File::create(&log).expect("a log");
        let mut command = millrace(folder);
        command.arg(role).envs(variables.iter().copied());
        Self { child: command.stderr(file).stdout(Stdio::null()).spawn().expect("it starts"), log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it as an operator does.
    fn end(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("it runs").success());
        self.child.wait().expect("it ends");
        self.log()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn millrace(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.current_dir(folder).env("MILLRACE_DATA_DIR", folder.path().join("data")).env("MILLRACE_LOG_FORMAT", "json");
    command
}

fn ask(address: &str, line: &str, headers: &[(&str, &str)], body: &[u8]) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let mut asked = format!("{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        asked.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{asked}\r\n").as_bytes()).and_then(|()| stream.write_all(body)).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = text(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

fn field(json: &str, name: &str) -> String {
    let value = json.split_once(&format!("\"{name}\":\"")).and_then(|(_, rest)| rest.split('"').next());
    value.unwrap_or_else(|| panic!("no {name}: {json}")).to_owned()
}

/// Uploads the clip in parts; gives its video.
fn upload(address: &str, key: &str) -> String {
    let bearer = format!("Bearer {key}");
    // What a client says of traces is not joined.
    let foreign = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let own = [("authorization", bearer.as_str()), ("traceparent", foreign)];
    let json = [own[0], own[1], ("content-type", "application/json")];
    let body = format!("{{\"fileName\":\"{TITLE}.mp4\",\"size\":{}}}", CLIP.len());
    let (head, ticket) = ask(address, "POST /api/v1/uploads", &json, body.as_bytes());
    assert!(head.starts_with("HTTP/1.1 201"), "{head} {ticket}");
    let crc = format!("{:08x}", crc32c::crc32c(CLIP));
    let upload = field(&ticket, "uploadId");
    let (head, body) = ask(address, &format!("PUT /api/v1/uploads/{upload}/parts/1"), &[own[0], own[1], ("x-millrace-crc32c", &crc)], CLIP);
    assert!(head.starts_with("HTTP/1.1 200"), "{head} {body}");
    let (head, body) = ask(address, &format!("POST /api/v1/uploads/{upload}/complete"), &own, b"");
    assert!(head.starts_with("HTTP/1.1 200"), "{head} {body}");
    field(&ticket, "videoId")
}

#[test]
fn a_video_is_one_trace_across_processes_and_nothing_of_its_owner_is_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut add = millrace(&folder).args(["user", "add", EMAIL]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    add.stdin.take().expect("its input").write_all(b"a good password\n").expect("it reads");
    assert!(add.wait().expect("it ends").success());
    let key = millrace(&folder).args(["key", "add", EMAIL, "--name", "laptop"]).output().expect("it runs");
    let key = text(&key.stdout).trim().to_owned();

    let (url, kept) = collector();
    // A folder of pages is looked for below the working directory last; an empty one does.
    std::fs::create_dir_all(folder.path().join("target/site/pkg")).expect("a folder");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let address = format!("127.0.0.1:{port}");
    let here = [("MILLRACE_BIND", address.as_str()), ("MILLRACE_TRANSCODE_IN_SERVE", "false"), ("MILLRACE_TELEMETRY_OTLP_ENDPOINT", &url)];
    let serve = Process::start(&folder, "serve", &here);
    while TcpStream::connect(&address).is_err() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let worker = Process::start(&folder, "worker", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]);

    let video = upload(&address, &key);
    let status = || ask(&address, &format!("GET /api/status?videoId={video}"), &[("authorization", &format!("Bearer {key}"))], b"").1;
    while !["done", "failed"].iter().any(|end| status().contains(&format!("\"status\":\"{end}\""))) {
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(status().contains("\"status\":\"done\""), "{} {}", status(), worker.log());
    request_ids(&address, &serve);
    let logs = [worker.end(), serve.end()].concat();

    let requests = kept.lock().expect("nobody panicked").clone();
    let all: Vec<Span> = requests.iter().flat_map(|request| spans(request)).collect();
    let of_video: BTreeMap<&str, &Span> = {
        let trace = &all.iter().find(|span| span.name == "job").unwrap_or_else(|| panic!("no job: {all:?}")).trace;
        all.iter().filter(|span| span.trace == *trace).map(|span| (span.name.as_str(), span)).collect()
    };
    let names: Vec<_> = of_video.keys().copied().collect();
    let wanted = ["POST /api/v1/uploads", "job", "job.encode", "job.probe", "job.publish", "job.waiting", "upload.complete", "upload.part"];
    assert_eq!(names, wanted);
    let root = of_video["POST /api/v1/uploads"];
    assert!(root.parent.is_empty() && text(&root.trace) != "0af7651916cd43dd8448eb211c80319c", "a foreign trace was joined");
    for (name, parent) in [("upload.part", root), ("upload.complete", root), ("job.waiting", root), ("job", root)] {
        assert_eq!(of_video[name].parent, parent.id, "{name}");
    }
    for stage in ["job.probe", "job.encode", "job.publish"] {
        assert_eq!((&of_video[stage].parent, of_video[stage].role.as_str()), (&of_video["job"].id, "worker"), "{stage}");
    }
    assert_eq!((root.role.as_str(), of_video["job"].role.as_str()), ("serve", "worker"));
    let sent = requests.iter().map(|request| text(request)).collect::<String>() + &logs;
    for secret in [TITLE, EMAIL, &key, "a good password"] {
        assert!(!sent.contains(secret), "{secret} is told");
    }
}

/// A request's id stands in its answer, in a refusal's body and in the log, which is one JSON object a line.
fn request_ids(address: &str, serve: &Process) {
    let forged = [("x-request-id", "forged-by-a-client")];
    let (head, body) = ask(address, "GET /api/v1/uploads/0190b3c4-0000-7000-8000-000000000000", &forged, b"");
    let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap_or_else(|| panic!("no id: {head}")).to_owned();
    assert_eq!(field(&body, "requestId"), id);
    // The line is written once the answer is on its way.
    let line = loop {
        if let Some(line) = serve.log().lines().find(|line| line.contains(&id)) {
            break line.to_owned();
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    for part in
        ["\"message\":\"answered\"", "\"status\":401", "\"duration_ms\":", "\"route\":\"/api/v1/uploads/{upload}\"", "\"method\":\"GET\""]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
    let log = serve.log();
    assert!(!log.contains("forged-by-a-client"));
    // The last line may be on its way.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line["message"].is_string()), "{line}");
    }
}

//! Secrets stay where they are put: a run of the real binary with planted ones, and nothing that it says, at its most talkative, holds any.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Does not look like any other text of a log.
const SIGNING_KEY: &str = "5ec4e75ec4e7a11ce0bea7beef00d15ea5edfacade0ddba11cab1efeedc0ffee";
const PREVIOUS_KEY: &str = "01d5ec4e7c0ffee0ddba11facadebea7deadbea7ab1ede7ec7ab1e5eedface00";
const DATABASE_PASSWORD: &str = "planted-database-word";
const ORIGIN_SECRET: &str = "planted-origin-word";
const USER_PASSWORD: &str = "planted user pass phrase";
const WRONG_PASSWORD: &str = "planted wrong pass phrase";
const AWS_SECRET: &str = "planted/aws/secret/access/key";
const AWS_TOKEN: &str = "planted-aws-session-token";
/// A key of the tests, which signs nothing anywhere.
const PRIVATE_KEY: &str = include_str!("../server/tests/cloudfront/ec.pem");
const CLIP: &[u8] = include_bytes!("../src/doctor/clip.mp4");

/// The binary in a folder of its own, at its most talkative.
fn millrace(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.current_dir(folder).env("MILLRACE_DATA_DIR", folder.path().join("data")).env("MILLRACE_LOG", "trace");
    command.env("MILLRACE_SIGNING_KEY", SIGNING_KEY).env("MILLRACE_CLOUDFRONT_PRIVATE_KEY", PRIVATE_KEY);
    command.env("MILLRACE_CLOUDFRONT_ORIGIN_SECRET", ORIGIN_SECRET).env("MILLRACE_BIND", "127.0.0.1:9");
    // Whether AWS is used or not, they are there on a machine that has them.
    command
        .env("MILLRACE_SIGNING_PREVIOUS_KEY", PREVIOUS_KEY)
        .env("AWS_ACCESS_KEY_ID", "AKIAPLANTED")
        .env("AWS_SECRET_ACCESS_KEY", AWS_SECRET);
    command.env("AWS_SESSION_TOKEN", AWS_TOKEN);
    command
}

/// The lines of the private key that say something.
fn private_key_lines() -> impl Iterator<Item = &'static str> {
    PRIVATE_KEY.lines().filter(|line| !line.starts_with("-----"))
}

/// What was planted from the start; sessions and keys come to it.
fn planted() -> Vec<String> {
    let words = [SIGNING_KEY, PREVIOUS_KEY, DATABASE_PASSWORD, ORIGIN_SECRET, USER_PASSWORD, WRONG_PASSWORD, AWS_SECRET, AWS_TOKEN];
    // As they are, and as a form encodes them.
    let encoded = |word: &str| [word.to_owned(), word.replace(' ', "+"), word.replace(' ', "%20").replace('/', "%2F")];
    words.iter().flat_map(|word| encoded(word)).chain(private_key_lines().map(str::to_owned)).collect()
}

fn assert_clean(what: &str, said: &[u8], secrets: &[String]) {
    let text = String::from_utf8_lossy(said);
    for secret in secrets {
        let Some(at) = text.find(secret.as_str()) else { continue };
        let around: String = text[..at].chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
        panic!("{what} says a secret ({} letters) after: {around}", secret.len());
    }
}

fn said(output: &Output) -> Vec<u8> {
    [output.stdout.as_slice(), output.stderr.as_slice()].concat()
}

fn with_input(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

/// A server that ends with its test.
struct Server {
    child: Child,
    address: String,
    log: PathBuf,
    /// All that it answered, but for the cookie it hands out.
    answers: Vec<u8>,
}

impl Server {
    fn start(folder: &TempDir) -> Self {
        // A folder of pages is looked for below the working directory last; an empty one does.
        std::fs::create_dir_all(folder.path().join("target/site/pkg")).expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let (address, log) = (format!("127.0.0.1:{port}"), folder.path().join("server.log"));
        let file = std::fs::File::create(&log).expect("a log");
        let child = millrace(folder).env("MILLRACE_BIND", &address).stderr(file).stdout(Stdio::null()).spawn().expect("it starts");
        let mut server = Self { child, address, log, answers: Vec::new() };
        let began = Instant::now();
        while TcpStream::connect(&server.address).is_err() {
            let ended = server.child.try_wait().expect("its state");
            assert!(
                ended.is_none() && began.elapsed() < Duration::from_secs(240),
                "{}",
                std::fs::read_to_string(&server.log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// One request; gives the head and the body.
    fn ask(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a limit");
        let mut request = format!("{line} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n", self.address, body.len());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.write_all(body));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        let body = answer.split_off(end);
        let head = String::from_utf8_lossy(&answer).into_owned();
        // The one place where a session's id belongs.
        let kept: Vec<&str> = head.lines().filter(|line| !line.to_lowercase().starts_with("set-cookie:")).collect();
        self.answers.extend_from_slice(kept.join("\n").as_bytes());
        self.answers.extend_from_slice(&body);
        (head, body)
    }

    fn form(&mut self, path: &str, cookie: &str, fields: &str) -> (String, Vec<u8>) {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin"), ("cookie", cookie)];
        self.ask(&format!("POST {path}"), &headers, fields.as_bytes())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cookie(head: &str) -> Option<String> {
    let line = head.lines().find(|line| line.to_lowercase().starts_with("set-cookie:"))?;
    Some(line.split_once(':')?.1.split(';').next()?.trim().to_owned())
}

/// The first text between two others.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split(end).next()
}

#[test]
fn a_whole_run_says_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut secrets = planted();
    let added = with_input(millrace(&folder).args(["user", "add", "ada@example.com"]), &format!("{USER_PASSWORD}\n"));
    assert!(added.status.success());
    let key = millrace(&folder).args(["key", "add", "ada@example.com", "--name", "laptop"]).output().expect("it runs");
    let api_key = String::from_utf8(key.stdout.clone()).expect("text").trim().to_owned();
    secrets.push(api_key.clone());
    assert_clean("millrace user add", &said(&added), &secrets);
    // It prints the key once, on standard output, where it is asked for.
    assert_clean("millrace key add", &key.stderr, &secrets);

    let mut server = Server::start(&folder);
    let (head, _) = server.form("/app/sign-in", "", &format!("email=ada%40example.com&password={}", USER_PASSWORD.replace(' ', "+")));
    let session = cookie(&head).unwrap_or_else(|| panic!("no session: {head}"));
    secrets.push(session.split_once('=').expect("a value").1.to_owned());
    sign_in_badly(&mut server, &session, &api_key);
    let rights = play(&mut server, &api_key);
    for path in ["/", "/settings", "/healthz", "/api/openapi.json", "/api/docs", "/hls/x/index.m3u8", "/no/such/page"] {
        server.ask(&format!("GET {path}"), &[("cookie", &session)], b"");
    }
    server.form("/app/sign-out", &session, "");
    let log = std::fs::read(&server.log).expect("a log");
    assert!(log.len() > 5_000, "it logged nothing: {}", String::from_utf8_lossy(&log));
    assert_clean("the server's log", &log, &secrets);
    assert_clean("an answer", &server.answers, &secrets);
    // What links carry is for whoever asks for them, and for no log.
    assert_clean("the server's log", &log, &rights);
}

/// What is wrong is where programs like to say what they were given.
fn sign_in_badly(server: &mut Server, session: &str, api_key: &str) {
    let wrong = WRONG_PASSWORD.replace(' ', "+");
    server.form("/app/sign-in", "", &format!("email=ada%40example.com&password={wrong}"));
    server.form("/app/sign-in", "", &format!("mail=ada%40example.com&passwort={wrong}"));
    server.form("/app/change-password", session, &format!("current={wrong}&new={wrong}&again={wrong}"));
    for header in [format!("Bearer {api_key}x"), format!("Basic {api_key}"), format!("Bearer  {api_key} "), api_key.to_owned()] {
        server.ask("GET /api/status?videoId=x", &[("authorization", &header)], b"");
    }
    let key = [("authorization", format!("Bearer {api_key}"))];
    let key = [(key[0].0, key[0].1.as_str())];
    server.ask("POST /api/v1/uploads", &key, b"{\"fileName\":");
    server.ask("PUT /api/v1/uploads/x/parts/1", &key, b"x");
    server.ask("GET /api/stream", &key, b"");
    server.ask("GET /hls/x/index.m3u8", &[("x-millrace-origin", ORIGIN_SECRET)], b"");
}

/// A video from upload to segment. Gives the rights that its links carry.
fn play(server: &mut Server, api_key: &str) -> Vec<String> {
    let mut rights = Vec::new();
    let bearer = format!("Bearer {api_key}");
    let form = [b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"clip.mp4\"\r\n\r\n", CLIP, b"\r\n--b--\r\n"].concat();
    let headers = [("authorization", bearer.as_str()), ("content-type", "multipart/form-data; boundary=b")];
    let (head, body) = server.ask("POST /api/upload", &headers, &form);
    let body = String::from_utf8_lossy(&body).into_owned();
    let video = between(&body, "\"videoId\":\"", "\"").unwrap_or_else(|| panic!("{head}{body}")).to_owned();
    let began = Instant::now();
    loop {
        let (_, status) = server.ask(&format!("GET /api/status?videoId={video}"), &headers[..1], b"");
        let status = String::from_utf8_lossy(&status).into_owned();
        // Where nothing isolates ffmpeg, videos wait, and there is no more to see.
        if status.contains("\"failed\"") || status.contains("\"done\"") || began.elapsed() > Duration::from_secs(240) {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let (_, stream) = server.ask(&format!("GET /api/stream?videoId={video}"), &headers[..1], b"");
    let stream = String::from_utf8_lossy(&stream).into_owned();
    let Some(path) = between(&stream, "\"url\":\"", "\"").and_then(|url| url.find("/hls/").map(|at| url[at..].to_owned())) else {
        return rights;
    };
    rights.push(between(&path, "/hls/", "/").expect("a grant").to_owned());
    let (_, playlist) = server.ask(&format!("GET {path}"), &[], b"");
    let playlist = String::from_utf8_lossy(&playlist).into_owned();
    for name in playlist.lines().filter(|line| line.ends_with(".m3u8")) {
        let path = format!("{}/{name}", path.rsplit_once('/').map_or("", |(folder, _)| folder));
        let (_, media) = server.ask(&format!("GET {path}"), &[], b"");
        let media = String::from_utf8_lossy(&media).into_owned();
        // A segment, as it is signed and as it is not.
        let Some(segment) = media.lines().find(|line| !line.starts_with('#') && line.contains('?')) else { continue };
        let segment = segment.find("/media/").map_or(segment, |at| &segment[at..]);
        let signature = segment.rsplit_once("&s=").expect("a signature").1.to_owned();
        server.ask(&format!("GET {segment}"), &[("range", "bytes=0-9")], b"");
        server.ask(&format!("GET {segment}x"), &[], b"");
        rights.push(signature);
    }
    rights
}

#[test]
fn what_cannot_be_used_is_not_repeated() {
    let folder = tempfile::tempdir().expect("a folder");
    let secrets = planted();
    let database = format!("postgres://millrace:{DATABASE_PASSWORD}@127.0.0.1:9/millrace");
    let aws: Vec<(&str, &str)> = vec![
        ("MILLRACE_PORTS_STORE", "s3"),
        ("MILLRACE_PORTS_CDN", "cloudfront"),
        ("MILLRACE_S3_INPUT_BUCKET", "in"),
        ("MILLRACE_S3_OUTPUT_BUCKET", "out"),
        ("MILLRACE_AWS_ENDPOINT", "http://127.0.0.1:9"),
        ("MILLRACE_AWS_REGION", "eu-central-1"),
        ("MILLRACE_CLOUDFRONT_URL", "http://127.0.0.1:9"),
        ("MILLRACE_CLOUDFRONT_DISTRIBUTION_ID", "E1"),
        ("MILLRACE_CLOUDFRONT_KEY_ID", "K1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_MAX_ATTEMPTS", "1"),
    ];
    for (arguments, variables) in [
        (&["config"][..], vec![]),
        (&["doctor"], vec![]),
        (&["doctor"], vec![("MILLRACE_DATABASE_URL", database.as_str()), ("MILLRACE_DATABASE_ACQUIRE_TIMEOUT_SECONDS", "1")]),
        (&["migrate"], vec![("MILLRACE_DATABASE_URL", database.as_str()), ("MILLRACE_DATABASE_ACQUIRE_TIMEOUT_SECONDS", "1")]),
        (&["serve"], vec![("MILLRACE_DATABASE_URL", database.as_str()), ("MILLRACE_DATABASE_ACQUIRE_TIMEOUT_SECONDS", "1")]),
        (&["migrate"], vec![("MILLRACE_DATABASE_URL", "mysql://millrace:planted-database-word@127.0.0.1/x")]),
        (&["migrate"], vec![("MILLRACE_DATABASE_URL", "postgres://millrace:planted-database-word@[x/x")]),
        // One digit too many: the message must not help itself to the value.
        (&["migrate"], vec![("MILLRACE_SIGNING_KEY", concat!("5ec4e75ec4e7a11ce0bea7beef00d15ea5edfacade0ddba11cab1efeedc0ffee", "0"))]),
        (
            &["migrate"],
            vec![("MILLRACE_SIGNING_PREVIOUS_KEY", concat!("01d5ec4e7c0ffee0ddba11facadebea7deadbea7ab1ede7ec7ab1e5eedface00", "0"))],
        ),
        (&["doctor"], aws),
    ] {
        let output = millrace(&folder).args(arguments).envs(variables.iter().copied()).output().expect("it runs");
        assert!(!said(&output).is_empty(), "{arguments:?}");
        assert_clean(&format!("millrace {arguments:?} with {:?}", variables.first()), &said(&output), &secrets);
    }
}

/// What the browser loads is made from the same sources as the server: nothing of the server's own is in it.
#[test]
fn the_wasm_holds_nothing_of_the_server() {
    let site = Path::new(env!("CARGO_BIN_EXE_millrace")).parent().and_then(Path::parent).map(|target| target.join("site/pkg"));
    let inside = |folder: &PathBuf| -> Vec<PathBuf> {
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let files: Vec<PathBuf> =
        site.iter().flat_map(inside).flat_map(|path| if path.is_dir() { inside(&path) } else { vec![path] }).collect();
    // `cargo test` alone builds no site; `make test` does.
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "wasm")) {
        let bytes = std::fs::read(file).expect("a file");
        let servers_own = [
            "MILLRACE_",
            "$argon2id$",
            "PRIVATE KEY",
            "postgres://",
            "sqlite:",
            "password_hash",
            "secret_hash",
            "SELECT ",
            "x-millrace-origin",
        ];
        let words: Vec<String> = servers_own.iter().map(|word| (*word).to_owned()).chain(planted()).collect();
        assert_clean(&file.display().to_string(), &bytes, &words);
    }
}

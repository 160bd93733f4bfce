//! What stands before every page and server function: other sites cannot act with a visitor's cookie, and pages run only their own scripts.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use leptos::server_fn::axum::server_fn_paths;
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;

/// Server functions that a link may call: they read. All others want a POST.
const READING: &[&str] = &[
    "/app/account",
    "/app/alerts",
    "/app/audit-log",
    "/app/door",
    "/app/embed-hosts",
    "/app/invites",
    "/app/jobs",
    "/app/keys",
    "/app/people",
    "/app/public-url",
    "/app/sessions",
    "/app/storage",
    "/app/videos",
    "/app/videos/one",
    "/app/videos/playback",
    "/app/videos/sharing",
];

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn policy(&self) -> &str {
        self.headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text")
    }
}

async fn product() -> (TempDir, Router) {
    let folder = tempfile::tempdir().expect("a folder");
    let own = [("MILLRACE_DATA_DIR", folder.path().to_str().expect("text")), ("MILLRACE_PUBLIC_URL", "http://v.example")];
    let variables = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings::from_layers(None, &variables).expect("settings");
    let (_, down) = watch::channel(false);
    let product = compose(settings, down).await.expect("a product");
    let sessions = session::layer(product.database.clone(), &product.state.settings);
    let options = LeptosOptions::builder().output_name("millrace").site_pkg_dir("pkg/v-1").build();
    let site = Site { root: folder.path().to_owned(), options };
    (folder, router(product.state, sessions, site))
}

async fn ask(router: &Router, method: &Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("host", "v.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = router.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    let (parts, body) = answer.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.expect("a body");
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_site_can_call_a_server_function() {
    let (_folder, router) = product().await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let mut reading = Vec::new();
    let mut writing = 0;
    for (path, method) in server_fn_paths() {
        if method == Method::GET {
            reading.push(path);
            continue;
        }
        assert_eq!(method, Method::POST, "{path}");
        writing += 1;
        for from in [
            &[("sec-fetch-site", "cross-site"), form][..],
            &[("sec-fetch-site", "same-site"), form],
            &[("origin", "https://evil.example"), form],
            &[("origin", "http://v.example.evil"), form],
            &[("origin", "null"), form],
        ] {
            let answer = ask(&router, &method, path, from).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {from:?}");
            assert!(answer.text.contains("\"forbidden\"") && !answer.headers.contains_key(header::SET_COOKIE), "{path}: {}", answer.text);
        }
        for from in [("sec-fetch-site", "same-origin"), ("origin", "http://v.example")] {
            let answer = ask(&router, &method, path, &[from, form]).await;
            assert!(!answer.text.contains("Another site sent this request"), "{path} {from:?}");
        }
        for safe in [Method::GET, Method::HEAD] {
            let answer = ask(&router, &safe, path, &[("sec-fetch-site", "cross-site")]).await;
            assert!([StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_FOUND].contains(&answer.status), "{safe} {path}: {}", answer.status);
        }
    }
    assert!(writing >= 8, "only {writing} functions are known");
    reading.sort_unstable();
    assert_eq!(reading, READING, "a function that a link may call must not change anything: look at it, then enter it here");
    for (method, path) in [(Method::POST, "/api/upload"), (Method::POST, "/api/v1/uploads"), (Method::DELETE, "/api/v1/uploads/x")] {
        let answer = ask(&router, &method, path, &[("sec-fetch-site", "cross-site")]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_run_their_own_scripts_and_no_others() {
    let (_folder, router) = product().await;
    let mut nonces = Vec::new();
    for path in ["/", "/sign-in", "/sign-up", "/settings", "/videos/x", "/no/such/page"] {
        let answer = ask(&router, &Method::GET, path, &[("accept", "text/html")]).await;
        let policy = answer.policy();
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{path}: {policy}");
        assert!(!answer.headers.contains_key("strict-transport-security"), "not reached over HTTPS");
        if answer.text.is_empty() {
            continue;
        }
        let nonce = policy.split_once("'nonce-").expect("a nonce").1.split_once('\'').expect("its end").0;
        assert!(policy.contains("'wasm-unsafe-eval'") && nonce.len() >= 22, "{path}: {policy}");
        for script in answer.text.split("<script").skip(1) {
            let tag = script.split_once('>').expect("a tag").0;
            assert!(tag.contains(&format!("nonce=\"{nonce}\"")), "{path}: <script{tag}>");
        }
        assert!(!answer.text.contains(" style=") && !answer.text.contains(" onclick="), "{path}");
        nonces.push(nonce.to_owned());
    }
    assert!(nonces.len() >= 3);
    nonces.sort();
    nonces.dedup_by(|one, other| one == other);
    assert!(nonces.len() >= 3, "a nonce is used once");
    let missing = ask(&router, &Method::GET, "/embed/abcdefghjkmnpqrs", &[]).await;
    assert!(missing.status == StatusCode::NOT_FOUND && missing.policy().contains("script-src 'self' 'wasm-unsafe-eval';"));
    let health = ask(&router, &Method::GET, "/healthz", &[]).await;
    assert_eq!((health.status, health.text.as_str()), (StatusCode::OK, "ok\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_before_the_door_loads_none_of_the_dashboards_code() {
    let (_folder, router) = product().await;
    let (html, mut seen) = ([("accept", "text/html")], 0);
    for path in ["/sign-in", "/sign-in?next=%2Fsettings", "/sign-up", "/sign-up?invite=nonsense"] {
        let answer = ask(&router, &Method::GET, path, &html).await;
        if answer.status.is_redirection() {
            continue;
        }
        seen += 1;
        let (_, after) = answer.text.split_once("data-ahead=\"").expect(path);
        assert!(
            after.starts_with("/pkg/v-1/__wasm_split.______________________.js /pkg/v-1/millrace.js /pkg/v-1/millrace.wasm\""),
            "{path}: {after:.200}"
        );
        assert!(!answer.text.contains("preload") && !answer.text.contains("type=\"module\""), "{path}: {}", answer.text);
    }
    // Where there is no owner yet, one of the two leads to the other.
    assert!(seen >= 2, "{seen}");
    let elsewhere = ask(&router, &Method::GET, "/no/such/page", &html).await.text;
    assert!(elsewhere.contains("modulepreload") && !elsewhere.contains("data-ahead"), "{elsewhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_accounts_has_a_limit_of_its_own() {
    let (_folder, router) = product().await;
    let headers = [("sec-fetch-site", "same-origin"), ("content-type", "application/x-www-form-urlencoded")];
    let mut last = None;
    for _ in 0..12 {
        let mut request = Request::builder().method(Method::POST).uri("/app/sign-up").header("host", "v.example");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let body = Body::from("email=ada%40example.org&password=short");
        let answer = router.clone().oneshot(request.body(body).expect("a request")).await.expect("an answer");
        last = Some((answer.status(), to_bytes(answer.into_body(), 1 << 20).await.expect("a body")));
    }
    let (status, body) = last.expect("an answer");
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{}", String::from_utf8_lossy(&body));
    assert!(String::from_utf8_lossy(&body).contains("rate_limited"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_never_changes_is_kept_without_asking() {
    let (folder, router) = product().await;
    for (name, text) in [("pkg/v-1/a.js", "1"), ("pkg/v-1/a.js.br", "2"), ("pkg/a.css", "3"), ("vendor/a-1.js", "4")] {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, text).expect("a file");
    }
    let kept = "public, max-age=31536000, immutable";
    for (path, status, value, text) in [
        ("/pkg/v-1/a.js", StatusCode::OK, kept, "1"),
        ("/vendor/a-1.js", StatusCode::OK, kept, "4"),
        ("/pkg/a.css", StatusCode::OK, "no-cache", "3"),
        // Another process may have it already, or still.
        ("/pkg/v-1/none.js", StatusCode::NOT_FOUND, "no-cache", ""),
        ("/pkg/v-2/a.js", StatusCode::NOT_FOUND, "no-cache", ""),
    ] {
        let answer = ask(&router, &Method::GET, path, &[]).await;
        assert_eq!(
            (answer.status, answer.headers[header::CACHE_CONTROL].as_bytes(), answer.text.as_str()),
            (status, value.as_bytes(), text),
            "{path}"
        );
    }
    let small = ask(&router, &Method::GET, "/pkg/v-1/a.js", &[("accept-encoding", "br")]).await;
    assert_eq!((small.headers[header::CONTENT_ENCODING].as_bytes(), small.text.as_str()), (&b"br"[..], "2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_file_can_have_is_one_that_is_not_there() {
    let (folder, router) = product().await;
    std::fs::create_dir_all(folder.path().join("pkg")).expect("a folder");
    std::fs::write(folder.path().join("pkg/a.js"), "1").expect("a file");
    let (long, deep) = (format!("/pkg/{}", "a".repeat(300)), format!("/pkg/{}", "a/".repeat(3_000)));
    let names =
        ["/pkg/none.js", "/pkg/a.js/b", "/pkg/..%00/etc/passwd", "/pkg/a.js%00", "/pkg/..%2f..%2fmillrace.db", "/pkg/%ff", "/vendor/%00"];
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(ask(&router, &method, "/pkg/a.js", &[]).await.status, StatusCode::OK);
        for path in names.into_iter().chain([long.as_str(), deep.as_str()]) {
            let answer = ask(&router, &method, path, &[]).await;
            assert!(answer.status.is_client_error(), "{method} {path:.60}: {}", answer.status);
            assert!(answer.policy().starts_with("default-src 'none'"), "{path:.60}");
        }
    }
}

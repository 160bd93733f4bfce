//! Headers that every answer carries: what its page may load and do, who may frame it, who may read it from elsewhere.
//!
//! An answer is taken for data, which may do nothing at all, unless its handler says which [`Page`] it is; one that brings a policy of its own
//! keeps it. There is no inline script and no inline style but for Leptos's own scripts, the door's, and what shows a player's first frame, which carry the
//! nonce of their page.

use std::{fmt::Write, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{AppState, refused::SERVER_FUNCTIONS};
use crate::config::{self, CdnKind, Settings};

const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
                           midi=(), payment=(), serial=(), usb=()";
const DATA: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";
const SECONDS_A_DAY: u64 = 86_400;

/// What kind of page an answer is. A handler puts it into the answer's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// The dashboard: WASM, uploads, forms, Leptos's scripts by their nonce.
    Dashboard {
        /// The nonce that the page's own scripts carry.
        nonce: Nonce,
    },
    /// A player: WASM and media, no form, nothing inline but what starts the video.
    Player {
        /// Who may frame it, as in `frame-ancestors`: `'none'`, `*`, or origins separated by spaces.
        framed_by: String,
        /// The nonce that the page's own script and styles carry, where it has them.
        nonce: Option<Nonce>,
    },
    /// Text and styles.
    Still,
}

/// Bytes that only the page they were made for knows, so that its policy can name its scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(pub Arc<str>);

impl Nonce {
    /// One that was never used before.
    pub fn random() -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()).into())
    }
}

/// The headers, as far as the settings decide them.
#[derive(Debug, Clone)]
pub struct Headers(Arc<Sources>);

/// What pages may reach besides ourselves.
#[derive(Debug)]
struct Sources {
    /// Where media come from, and our own address as links name it.
    media: String,
    /// Where browsers send parts of uploads, and in development where they hear of rebuilds.
    besides: String,
    hsts: Option<HeaderValue>,
}

impl Headers {
    /// The headers for these settings. `parts_to` is what the URLs of parts begin with, where a store takes them straight from browsers.
    pub fn new(settings: &Settings, parts_to: Option<String>) -> Self {
        let mut media = origin(&settings.public_url).to_owned();
        if settings.ports.cdn == CdnKind::Cloudfront {
            let _ = write!(media, " {}", origin(&settings.cloudfront.url));
        }
        let mut besides = parts_to.map(|url| format!(" {url}")).unwrap_or_default();
        if config::reloads_pages() {
            besides.push_str(" ws: wss:");
        }
        let seconds = settings.http.hsts_days * SECONDS_A_DAY;
        let hsts = (settings.https() && seconds > 0).then(|| HeaderValue::from_str(&format!("max-age={seconds}")).ok()).flatten();
        Self(Arc::new(Sources { media, besides, hsts }))
    }

    /// The headers for a running product.
    pub fn of(state: &AppState) -> Self {
        Self::new(&state.settings, state.store.presigner().and_then(|presigner| presigner.destination()))
    }

    /// Puts them beside what an answer says already.
    pub(super) fn put(&self, set: &mut HeaderMap, page: Option<&Page>) {
        if !set.contains_key(header::CONTENT_SECURITY_POLICY) {
            // A host that no header can hold was refused with the settings; were it not, nothing may load.
            let policy = HeaderValue::from_str(&self.policy(page)).unwrap_or(HeaderValue::from_static(DATA));
            set.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        everywhere(set, page);
        if let Some(hsts) = &self.0.hsts {
            set.insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
    }

    fn policy(&self, page: Option<&Page>) -> String {
        let Sources { media, besides, .. } = &*self.0;
        let player =
            format!("img-src 'self' {media}; media-src 'self' blob: {media}; worker-src 'self'; object-src 'none'; base-uri 'none'");
        match page {
            Some(Page::Dashboard { nonce: Nonce(nonce) }) => format!(
                "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; \
                 connect-src 'self' {media}{besides}; {player}; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'"
            ),
            Some(Page::Player { framed_by, nonce }) => {
                let own = nonce.as_ref().map(|Nonce(nonce)| format!(" 'nonce-{nonce}'")).unwrap_or_default();
                format!(
                    "default-src 'none'; script-src 'self'{own} 'wasm-unsafe-eval'; style-src 'self'{own}; connect-src 'self' {media}; {player}; \
                     form-action 'none'; frame-ancestors {framed_by}"
                )
            }
            Some(Page::Still) => "default-src 'none'; style-src 'self'; img-src 'self'; object-src 'none'; base-uri 'none'; \
                 form-action 'none'; frame-ancestors 'none'"
                .to_owned(),
            None => DATA.to_owned(),
        }
    }
}

/// Scheme, host and port of a URL.
pub fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    url[host..].find('/').map_or(url, |end| &url[..host + end])
}

/// Gives a page of the dashboard its nonce: into the request, for whoever draws it, and into the answer, for [`secure`].
pub async fn dashboard(mut request: Request, next: Next) -> Response {
    let nonce = Nonce::random();
    request.extensions_mut().insert(nonce.clone());
    let mut response = next.run(request).await;
    let drawn = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if drawn && response.extensions().get::<Page>().is_none() {
        response.extensions_mut().insert(Page::Dashboard { nonce });
    }
    response
}

/// Puts the headers on every answer.
pub async fn secure(State(headers): State<Headers>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let (api, function) = (path.starts_with("/api/"), path.starts_with(SERVER_FUNCTIONS));
    let mut response = next.run(request).await;
    let page = response.extensions().get::<Page>().cloned();
    let set = response.headers_mut();
    headers.put(set, page.as_ref());
    if function || (api && !set.contains_key(header::CACHE_CONTROL)) {
        set.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

fn everywhere(set: &mut HeaderMap, page: Option<&Page>) {
    const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
    const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    let framed = matches!(page, Some(Page::Player { framed_by, .. }) if framed_by != "'none'");
    // What any page may read by script, it may show as well.
    let anybody = framed || set.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    set.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The address of a player's page may have a grant in it, which is not for anybody's logs.
    let referrer = if matches!(page, Some(Page::Player { .. })) { "strict-origin" } else { "strict-origin-when-cross-origin" };
    set.insert(header::REFERRER_POLICY, HeaderValue::from_static(referrer));
    set.insert(HeaderName::from_static("permissions-policy"), HeaderValue::from_static(PERMISSIONS));
    set.insert(RESOURCE, HeaderValue::from_static(if anybody { "cross-origin" } else { "same-origin" }));
    if !framed {
        set.insert(OPENER, HeaderValue::from_static("same-origin"));
        set.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(variables: &[(&str, &str)], parts_to: Option<&str>) -> (String, String) {
        let variables: Vec<_> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = Settings::from_layers(None, &variables).expect("settings");
        let headers = Headers::new(&settings, parts_to.map(str::to_owned));
        let dashboard = headers.policy(Some(&Page::Dashboard { nonce: Nonce("abc".into()) }));
        (dashboard, headers.policy(Some(&Page::Player { framed_by: "*".to_owned(), nonce: Some(Nonce("def".into())) })))
    }

    fn directive<'a>(policy: &'a str, name: &str) -> &'a str {
        policy.split("; ").find_map(|directive| directive.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {policy}")).trim()
    }

    #[test]
    fn pages_reach_themselves_and_nothing_else() {
        let (dashboard, player) = policies(&[("MILLRACE_PUBLIC_URL", "https://v.example/sub")], None);
        assert_eq!(directive(&dashboard, "script-src"), "'self' 'nonce-abc' 'wasm-unsafe-eval'");
        assert_eq!(directive(&player, "script-src"), "'self' 'nonce-def' 'wasm-unsafe-eval'");
        assert_eq!((directive(&dashboard, "style-src"), directive(&player, "style-src")), ("'self'", "'self' 'nonce-def'"));
        for policy in [&dashboard, &player] {
            assert_eq!(directive(policy, "default-src"), "'none'");
            assert_eq!(directive(policy, "connect-src"), "'self' https://v.example");
            assert_eq!(directive(policy, "media-src"), "'self' blob: https://v.example");
            assert_eq!((directive(policy, "object-src"), directive(policy, "base-uri")), ("'none'", "'none'"));
            assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'") && !policy.contains("data:"), "{policy}");
        }
        assert_eq!((directive(&dashboard, "frame-ancestors"), directive(&player, "frame-ancestors")), ("'none'", "*"));
    }

    #[test]
    fn the_distribution_and_the_store_are_reached_where_they_are_used() {
        let cloudfront = [
            ("MILLRACE_PUBLIC_URL", "https://v.example"),
            ("MILLRACE_PORTS_STORE", "s3"),
            ("MILLRACE_S3_INPUT_BUCKET", "in"),
            ("MILLRACE_S3_OUTPUT_BUCKET", "out"),
            ("MILLRACE_PORTS_CDN", "cloudfront"),
            ("MILLRACE_CLOUDFRONT_URL", "https://d1.cloudfront.net/"),
            ("MILLRACE_CLOUDFRONT_DISTRIBUTION_ID", "E1"),
            ("MILLRACE_CLOUDFRONT_KEY_ID", "K1"),
            ("MILLRACE_CLOUDFRONT_PRIVATE_KEY", "key"),
            ("MILLRACE_SIGNING_KEY", "00000000000000000000000000000000000000000000000000000000000000aa"),
        ];
        let (dashboard, player) = policies(&cloudfront, Some("https://in.s3.eu-central-1.amazonaws.com"));
        let media = "https://v.example https://d1.cloudfront.net";
        assert_eq!(directive(&dashboard, "connect-src"), format!("'self' {media} https://in.s3.eu-central-1.amazonaws.com"));
        assert_eq!(directive(&player, "connect-src"), format!("'self' {media}"));
        assert_eq!(directive(&player, "img-src"), format!("'self' {media}"));
    }

    #[test]
    fn only_https_is_insisted_on() {
        let hsts = |url: &str, days: &str| {
            let variables = [("MILLRACE_PUBLIC_URL", url), ("MILLRACE_HTTP_HSTS_DAYS", days)];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            Headers::new(&Settings::from_layers(None, &variables).expect("settings"), None).0.hsts.clone()
        };
        assert_eq!(hsts("https://v.example", "2"), Some(HeaderValue::from_static("max-age=172800")));
        assert_eq!(hsts("https://v.example", "0"), None);
        assert_eq!(hsts("http://v.example", "2"), None);
    }
}

//! Pages, API and worker in one process.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use app::{App, shell};
use axum::{
    Router,
    extract::{FromRef, Request},
    http::{HeaderValue, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use domain::error::{Code, Problem};
use leptos::{
    config::LeptosOptions,
    nonce::Nonce,
    prelude::{provide_context, use_context},
};
use leptos_axum::{AxumRouteListing, LeptosRoutes, generate_route_list};
use server::{
    config::Settings,
    http::{
        AppState, api_routes, body_limits, connections,
        headers::{self, Headers},
        media::fast_path::FastPath,
        observe::{Observer, observe},
        outage,
        problem::Refusal,
        public_routes, rate_limits, session,
    },
    services::withdrawals,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tower_http::{
    CompressionLevel,
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    csrf::{CsrfLayer, ProtectionError},
    services::{ServeDir, ServeFile},
    set_header::SetResponseHeaderLayer,
};

use crate::{
    compose::compose,
    doctor,
    site::{self, Site},
    watch_pages,
};

/// After the signal: how long requests that are being answered may take.
const DRAIN: Duration = Duration::from_secs(25);
/// Longest name of a static file that is looked for, and longest path; ours are far shorter, and file systems take no more than 255 and 4,096.
const LONGEST_NAME: usize = 200;
const LONGEST_PATH: usize = 1_024;

/// The state of the router: handlers' and Leptos's.
#[derive(Debug, Clone)]
pub(crate) struct ServeState {
    app: AppState,
    options: Arc<LeptosOptions>,
}

impl FromRef<ServeState> for AppState {
    fn from_ref(state: &ServeState) -> Self {
        state.app.clone()
    }
}

impl FromRef<ServeState> for LeptosOptions {
    fn from_ref(state: &ServeState) -> Self {
        LeptosOptions::clone(&state.options)
    }
}

/// Serves until `shutdown` turns true; then running requests finish and running jobs are given back.
///
/// # Errors
/// Something it needs is not there, or the address is taken.
pub(crate) async fn serve(settings: Settings, shutdown: watch::Receiver<bool>) -> Result<(), Box<dyn std::error::Error>> {
    let bind = settings.bind;
    let site = site::find(bind)?;
    let product = compose(settings, shutdown.clone()).await?;
    let sessions = session::layer(product.database.clone(), &product.state.settings);
    product.state.private_media.load(&product.database).await?;
    let following = tokio::spawn({
        let (changes, private_media, watch) =
            (product.state.changes.clone(), product.state.private_media.clone(), product.state.database.clone());
        let database = product.database.clone();
        let media = product.state.delivery.cache().clone();
        async move {
            let withdrawn = withdrawals::follow(&media, &database);
            tokio::join!(changes.follow(&database), private_media.follow(&database), watch.follow(&database), withdrawn)
        }
    });
    let listener = TcpListener::bind(bind).await.map_err(|error| format!("cannot listen on {bind} (setting `bind`): {error}"))?;
    tracing::info!("listening on http://{}, reached by users at {}", listener.local_addr()?, product.state.settings.public_url);
    let settings = Arc::clone(&product.state.settings);
    let limits = settings.http.clone();
    let worker = if settings.transcode.in_serve {
        tokio::spawn(async move { doctor::warn_at_start(&settings).await });
        tokio::spawn(product.worker.run(shutdown.clone()))
    } else {
        tokio::spawn(async {})
    };
    let watching = spawn_operators(&product.state, shutdown.clone()).await?;
    let (origin, headers) = (product.state.clone(), Headers::of(&product.state));
    let answering = FastPath::new(&origin, &headers, router(product.state, sessions, site));

    let drain = Duration::from_secs(limits.drain_seconds);
    let mut down = shutdown.clone();
    let serving = connections::serve(listener, answering, &limits, async move {
        let _ = down.wait_for(|down| *down).await;
        // Meanwhile `/readyz` says that nothing more is to be sent here.
        tokio::time::sleep(drain).await;
    });
    let mut down = shutdown;
    let deadline = async move {
        let _ = down.wait_for(|down| *down).await;
        tokio::time::sleep(drain + DRAIN).await;
    };
    tokio::select! {
        () = serving => {}
        () = deadline => tracing::warn!("some requests did not finish in time"),
    }
    worker.await?;
    following.abort();
    watching.abort();
    Ok(())
}

/// What a process does for its operator alone: looks for what needs a person, and serves the numbers on an address of their own where the settings
/// name one. Of a worker, that is all it serves.
///
/// # Errors
/// The address is taken.
pub(crate) async fn spawn_operators(state: &AppState, shutdown: watch::Receiver<bool>) -> Result<JoinHandle<()>, String> {
    let bind = &state.settings.metrics.bind;
    let (metrics, readiness) = (state.metrics.clone(), state.readiness.clone());
    let (alerts, kept, down) = (state.alerts.clone(), state.metrics.clone(), shutdown.clone());
    let keeping = async move { tokio::join!(alerts.run(down), kept.keep()) };
    if bind.is_empty() {
        return Ok(tokio::spawn(async move {
            keeping.await;
        }));
    }
    let listener = TcpListener::bind(bind).await.map_err(|error| format!("cannot listen on {bind} (setting `metrics.bind`): {error}"))?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!("numbers for Prometheus on http://{address}/metrics");
    }
    Ok(tokio::spawn(async move {
        let serving = async {
            if let Err(error) = server::http::metrics::serve(listener, metrics, readiness, shutdown).await {
                tracing::warn!(%error, "the numbers for Prometheus are not served any more");
            }
        };
        tokio::join!(keeping, serving);
    }))
}

/// The routes of the pages. Found once a process: while they are, Leptos loads no resource, anywhere in the process.
fn page_routes() -> Vec<AxumRouteListing> {
    static ROUTES: OnceLock<Vec<AxumRouteListing>> = OnceLock::new();
    ROUTES.get_or_init(|| generate_route_list(App)).clone()
}

fn router(state: AppState, sessions: tower_sessions::SessionManagerLayer<session::DbSessions>, site: Site) -> Router {
    let Site { root, options } = site;
    let files = static_files(&root, &options.site_pkg_dir);
    let context = {
        let state = state.clone();
        move || {
            provide_context(state.clone());
            // The nonce that the page's policy will name, in place of Leptos's own.
            if let Some(nonce) = use_context::<Parts>().and_then(|parts| parts.extensions.get::<headers::Nonce>().cloned()) {
                provide_context(Nonce::from_value(nonce.0));
            }
        }
    };
    let document = {
        let options = options.clone();
        move || shell(options.clone())
    };
    let counted = middleware::from_fn_with_state(state.clone(), rate_limits::limit);
    let bounded = middleware::from_fn_with_state(state.clone(), body_limits::limit);
    let gated = middleware::from_fn_with_state(state.clone(), outage::gate);
    let secured = middleware::from_fn_with_state(Headers::of(&state), headers::secure);
    // A cookie goes with requests that other sites make; what changes something has to come from our own pages.
    let from_our_pages = refuse_other_sites(&state.settings.public_url);
    let observed = middleware::from_fn_with_state(Observer(state.settings.http.trusted_proxies.clone()), observe);
    let state = ServeState { app: state, options: Arc::new(options) };
    let pages = Router::<ServeState>::new()
        .leptos_routes_with_context(&state, page_routes(), context.clone(), document.clone())
        .fallback(leptos_axum::render_app_async_with_context(context, document))
        // Pages show what is somebody's own: no cache keeps them for somebody else.
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(headers::dashboard));
    // Here each byte stands in front of the first picture. From the next level on it costs more than it saves.
    let shared_pages = CompressionLayer::new().quality(CompressionLevel::Precise(5));
    Router::new()
        .route("/watch/{playback_id}", get(watch_pages::watch).layer(shared_pages.clone()))
        .merge(api_routes::<ServeState>())
        .merge(pages)
        .layer(counted)
        .layer(sessions)
        .layer(from_our_pages)
        // What follows reads no cookie.
        .route("/embed/{playback_id}", get(watch_pages::embed).layer(shared_pages))
        .merge(public_routes::<ServeState>())
        .layer(gated)
        .merge(files)
        .layer(bounded)
        .layer(CatchPanicLayer::new())
        .layer(secured)
        .layer(observed)
        .with_state(state)
}

/// Refuses requests with side effects that a page of another site sends. Proxies may rewrite `Host`; how users reach us is known.
fn refuse_other_sites(public_url: &str) -> CsrfLayer<impl Fn(ProtectionError) -> Response + Clone + use<>> {
    let refusal =
        |_| Refusal(Problem::new(Code::Forbidden, "Another site sent this request. Open the page here and do it there.")).into_response();
    let layer = CsrfLayer::new().with_rejection_response(refusal);
    let trusted = layer.clone().add_trusted_origin(headers::origin(public_url));
    trusted.unwrap_or_else(|error| {
        tracing::warn!(%error, "`public_url` is no origin that a browser can name; requests are known as ours by their host alone");
        layer
    })
}

/// The site's files. Those whose path carries their version never change; all others are asked for anew each time, and answered with 304. That
/// something is not there may change: another process may have a newer site.
fn static_files(root: &Path, package: &str) -> Router<ServeState> {
    let folder = |name: &str| ServeDir::new(root.join(name)).precompressed_br();
    let anew = SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let kept = SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, |response: &axum::http::Response<_>| {
        let value = if response.status().is_success() { "public, max-age=31536000, immutable" } else { "no-cache" };
        Some(HeaderValue::from_static(value))
    });
    let mut router = Router::new()
        .nest_service("/pkg", tower::ServiceBuilder::new().layer(anew).service(folder("pkg")))
        .nest_service("/vendor", tower::ServiceBuilder::new().layer(kept.clone()).service(folder("vendor")));
    if package.contains(site::VERSIONED) {
        router = router.nest_service(&format!("/{package}"), tower::ServiceBuilder::new().layer(kept).service(folder(package)));
    }
    for file in ["favicon.svg", "manifest.webmanifest", "robots.txt"] {
        router = router.route_service(&format!("/{file}"), ServeFile::new(root.join(file)));
    }
    router.layer(middleware::from_fn(nameable))
}

/// A name that no file can have is one that is not there; the file system has other errors for it, which would be faults of ours.
async fn nameable(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.len() <= LONGEST_PATH && path.split('/').all(|name| name.len() <= LONGEST_NAME && !name.contains("%00")) {
        next.run(request).await
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

#[cfg(test)]
mod matrix;
#[cfg(test)]
mod tests;

//! The document, and the app in it: what lives above the router (uploads, the event stream, the voice) and the pages under it.

use leptos::{either::Either, nonce::use_nonce, prelude::*};
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{FlatRoutes, Route, Router},
    location::RequestUrl,
    path,
};

use crate::{
    components::{
        announcer::{Announcements, Announcer},
        clock::Clock,
        header::Header,
        shortcuts,
    },
    live::Live,
    pages::{
        ahead,
        coming::{Coming, ComingNote},
        door,
        later::Later,
        library::LibraryPage,
        not_found::NotFound,
    },
    session::Session,
    uploader::{
        desk::{TrayPlace, Uploads},
        drop_overlay::{DropOverlay, FileChooser},
    },
};

/// Says so when the page's code could not be loaded or has stopped.
const STOPPED: &str = include_str!("shell/stopped.js");

/// Takes the place of the browser's event stream and lets go of the connection while nobody sees the page: a browser has six connections to a
/// server without HTTP/2, and pages that have been left and are kept for "Back" hold on to theirs, as do tabs behind others, so that the seventh page
/// would not come. Whoever listens hears `ready` when it is there again. What is kept is shown only once the server has said that it is still for whoever
/// comes back. Here and not in `live.rs`: that the first page's code knew of it made that an
/// eighth larger.
const STREAMS: &str = include_str!("shell/streams.js");

/// What a page before the door has in place of all that: it shows passwords, sends the form without leaving the page, says what is wrong with it, and
/// then fetches what the first page behind the door needs. Without it the form is a plain one.
const DOOR: &str = include_str!("shell/door.js");

/// The document around the app, drawn on the server only.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let stylesheet = format!("/{}/{}.css", options.site_pkg_dir, options.output_name);
    let before_door = use_context::<RequestUrl>().and_then(|url| url.parse().ok()).is_some_and(|url| door::is_at(url.path()));
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="theme-color" media="(prefers-color-scheme: light)" content="#f7f6f2"/>
                <meta name="theme-color" media="(prefers-color-scheme: dark)" content="#0d1312"/>
                <meta name="robots" content="noindex"/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <link rel="manifest" href="/manifest.webmanifest"/>
                <link rel="stylesheet" id="leptos" href=stylesheet/>
                <AutoReload options=options.clone()/>
                {if before_door { Either::Left(door_script(&options)) } else { Either::Right(app_scripts(options)) }}
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// The file that brings the parts of the code in.
fn loader(options: &LeptosOptions) -> String {
    format!("/{}/__wasm_split.______________________.js", options.site_pkg_dir)
}

/// What brings a page to life.
fn app_scripts(options: LeptosOptions) -> impl IntoView {
    view! {
        <script nonce=use_nonce() inner_html=STOPPED></script>
        <script nonce=use_nonce() inner_html=STREAMS></script>
        // What the two files of the hydration script import.
        <link rel="modulepreload" href=loader(&options) crossorigin=""/>
        <HydrationScripts options/>
    }
}

fn door_script(options: &LeptosOptions) -> impl IntoView + use<> {
    let LeptosOptions { site_pkg_dir: folder, output_name: name, .. } = options;
    let ahead = format!("{} /{folder}/{name}.js /{folder}/{name}.wasm", loader(options));
    view! { <script nonce=use_nonce() data-ahead=ahead inner_html=DOOR></script> }
}

/// The app.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    Clock::provide();
    let announcer = Announcer::provide();
    let session = Session::provide();
    let chooser = FileChooser::provide();
    Uploads::provide(announcer, session);
    Live::provide(session.signed_in());
    Coming::provide();
    shortcuts::listen(chooser);
    ahead::listen();
    view! {
        <Title formatter=document_title/>
        <Router>
            <a class="skip-link" href="#content">"Skip to the content"</a>
            <Header/>
            <ComingNote/>
            <main id="content" tabindex="-1">
                <FlatRoutes fallback=NotFound>
                    <Route path=path!("") view=LibraryPage ssr=SsrMode::Async/>
                    <Route path=path!("videos/:id") view=Later::Video ssr=SsrMode::Async/>
                    <Route path=path!("settings") view=Later::Settings ssr=SsrMode::Async/>
                    <Route path=path!("people") view=Later::People ssr=SsrMode::Async/>
                    <Route path=path!("storage") view=Later::Storage ssr=SsrMode::Async/>
                    <Route path=path!("activity") view=Later::Activity ssr=SsrMode::Async/>
                    <Route path=path!("jobs") view=Later::Jobs ssr=SsrMode::Async/>
                    <Route path=path!("sign-in") view=Later::SignIn ssr=SsrMode::Async/>
                    <Route path=path!("sign-up") view=Later::SignUp ssr=SsrMode::Async/>
                </FlatRoutes>
            </main>
            <TrayPlace/>
            <DropOverlay/>
            <Announcements/>
        </Router>
    }
}

/// What stands in the window's title. On the server leptos_meta writes it into the page as it is, where a video's title would be markup; a
/// browser is given the text itself.
fn document_title(title: String) -> String {
    let title = if title.is_empty() { "Millrace".to_owned() } else { format!("{title} · Millrace") };
    if cfg!(target_family = "wasm") { title } else { title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;") }
}

#[cfg(test)]
mod tests {
    use super::{DOOR, document_title};

    #[test]
    fn the_script_of_the_door_is_small_and_cannot_end_its_element() {
        assert!(DOOR.len() < 3_000, "{} bytes", DOOR.len());
        assert!(!DOOR.contains("</") && !DOOR.contains("<!--"), "{DOOR}");
    }

    #[test]
    fn a_title_is_text_in_the_page() {
        assert_eq!(document_title(String::new()), "Millrace");
        let hostile = document_title("</title><script>alert(1)</script>&lt;".to_owned());
        assert_eq!(hostile, "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;lt; · Millrace");
    }
}

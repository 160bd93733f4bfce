//! The document, and the app in it: what lives above the router (uploads, the event stream, the voice) and the pages under it.

use leptos::{nonce::use_nonce, prelude::*};
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{FlatRoutes, Route, Router},
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

/// The document around the app, drawn on the server only.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let stylesheet = format!("/{}/{}.css", options.site_pkg_dir, options.output_name);
    let loader = format!("/{}/__wasm_split.______________________.js", options.site_pkg_dir);
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
                <script nonce=use_nonce() inner_html=STOPPED></script>
                <AutoReload options=options.clone()/>
                // What the two files of the hydration script import.
                <link rel="modulepreload" href=loader crossorigin=""/>
                <HydrationScripts options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
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
    use super::document_title;

    #[test]
    fn a_title_is_text_in_the_page() {
        assert_eq!(document_title(String::new()), "Millrace");
        let hostile = document_title("</title><script>alert(1)</script>&lt;".to_owned());
        assert_eq!(hostile, "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;lt; · Millrace");
    }
}

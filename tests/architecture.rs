//! Rules of the architecture that a machine can check, so that nobody has to remember them (docs/ARCHITECTURE.md says why they are).

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Lines after which a reader gets lost in a source file; the tests at its end are read on their own.
const LONGEST_FILE: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder, with their text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())).flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("source files are text");
                found.push((path.strip_prefix(root()).expect("below the root").to_path_buf(), text));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

/// Files below `folder`, but for `except`, in which a line of code contains one of `words`.
fn mentions(folder: &str, words: &[&str], except: &[&str]) -> Vec<String> {
    let code = |line: &&str| !line.trim_start().starts_with("//");
    sources(folder)
        .into_iter()
        .filter(|(path, _)| !except.iter().any(|except| path.starts_with(except)))
        .flat_map(|(path, text)| {
            let hits = text.lines().filter(code).filter(|line| words.iter().any(|word| line.contains(word)));
            hits.map(|line| format!("{}: {}", path.display(), line.trim())).collect::<Vec<_>>()
        })
        .collect()
}

const NONE: [String; 0] = [];

#[test]
fn the_back_end_knows_no_leptos_and_the_domain_knows_neither() {
    assert_eq!(mentions("server/src", &["leptos"], &[]), NONE);
    assert_eq!(mentions("domain/src", &["leptos", "tokio", "sea_orm", "axum", "std::fs", "async fn"], &[]), NONE);
}

#[test]
fn adapters_are_named_in_the_composition_root_only() {
    let except = ["server/src/adapters", "server/src/lib.rs"];
    assert_eq!(mentions("server/src", &["adapters::", "FsStore", "DbQueue", "OriginCdn", "FfmpegTranscoder"], &except), NONE);
    assert_eq!(mentions("app/src", &["server::adapters", "server::db", "sea_orm"], &[]), NONE);
    // `doctor` asks the adapter how it does; that is its job.
    assert_eq!(mentions("src", &["adapters::"], &["src/compose.rs", "src/doctor.rs", "src/doctor"]), NONE);
}

#[test]
fn services_know_no_request_and_ports_no_vendor() {
    assert_eq!(mentions("server/src/services", &["axum", "http::"], &[]), NONE);
    assert_eq!(mentions("server/src/ports", &["sea_orm", "aws_", "axum", "anyhow"], &[]), NONE);
    assert_eq!(mentions("server/src/http", &["crate::db", "sea_orm"], &["server/src/http/session.rs"]), NONE);
}

#[test]
fn the_environment_is_read_in_one_file() {
    for folder in ["src", "server/src", "app/src", "domain/src"] {
        // The hostile program of the sandbox's self-test looks whether there is an environment; it takes no setting from it.
        let except = ["server/src/config.rs", "server/src/adapters/ffmpeg_transcoder/sandbox/escapes.rs"];
        assert_eq!(mentions(folder, &["env::var"], &except), NONE);
    }
}

#[test]
fn the_two_builds_of_the_app_differ_in_one_file() {
    assert_eq!(mentions("app/src", &["feature = \"ssr\"", "feature = \"hydrate\""], &["app/src/lib.rs"]), NONE);
}

#[test]
fn every_file_says_what_it_is_for_and_none_is_too_long() {
    for folder in ["src", "server/src", "app/src", "domain/src", "frontend/dashboard/src", "frontend/embed/src", "server/tests", "tests"] {
        for (path, text) in sources(folder) {
            assert!(text.starts_with("//!"), "{} does not say what it is for", path.display());
            let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
            assert!(lines <= LONGEST_FILE, "{} has {lines} lines", path.display());
            let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            assert!(
                !["utils", "util", "helpers", "common", "types", "manager", "misc"].contains(&name),
                "{} hides what is in it",
                path.display()
            );
        }
    }
}

#[test]
fn what_ships_beside_the_binary_is_what_the_front_end_was_built_with() {
    let read = |file: &str| -> toml::Table { fs::read_to_string(root().join(file)).expect("a file").parse().expect("TOML") };
    let section = |table: &toml::Table| table["workspace"]["metadata"]["leptos"][0].as_table().expect("a table").clone();
    let (built, shipped) = (section(&read("Cargo.toml")), section(&read("Leptos.toml")));
    for key in ["output-name", "site-root", "site-pkg-dir", "site-addr", "reload-port"] {
        assert_eq!(built.get(key), shipped.get(key), "{key}");
    }
}

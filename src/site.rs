//! Finds the site folder (WASM, styles, player) and Leptos.toml, so that the binary runs from any working directory: beside the
//! binary as it is shipped, or where a build leaves them.

use std::path::{Path, PathBuf};

use leptos::config::{LeptosOptions, get_configuration};

/// The site folder and what Leptos needs to know.
#[derive(Debug)]
pub(crate) struct Site {
    /// Folder of static files.
    pub(crate) root: PathBuf,
    /// Leptos's options with our address and folder in them.
    pub(crate) options: LeptosOptions,
}

/// What the name of a folder of the dashboard's files begins with; the rest is made of what is in them, so they never change.
pub(crate) const VERSIONED: &str = "v-";

/// The folder of the dashboard's files, where the build made one for them; a development build does not.
fn package(root: &Path) -> Option<String> {
    let folders = std::fs::read_dir(root.join("pkg")).ok()?;
    let names = folders.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with(VERSIONED)).max().map(|name| format!("pkg/{name}"))
}

/// Looks for the site. `bind` is the address served.
///
/// # Errors
/// A sentence that says where it was looked for.
pub(crate) fn find(bind: std::net::SocketAddr) -> Result<Site, String> {
    let beside = std::env::current_exe().ok().and_then(|binary| binary.parent().map(Path::to_path_buf));
    let folders: Vec<PathBuf> =
        beside.iter().flat_map(|folder| [folder.join("site"), folder.join("../site")]).chain([PathBuf::from("target/site")]).collect();
    let root = folders.iter().find(|folder| folder.join("pkg").is_dir());
    let Some(root) = root.and_then(|root| root.canonicalize().ok()) else {
        let looked: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        return Err(format!("there is no site folder with the pages' files; looked for {}. `make build` makes it.", looked.join(", ")));
    };
    let file = beside.iter().flat_map(|folder| [folder.join("Leptos.toml"), folder.join("../../Leptos.toml")]).find(|file| file.is_file());
    let mut options = match file {
        Some(file) => {
            let file = file.to_string_lossy();
            get_configuration(Some(&file)).map_err(|error| format!("cannot read {file}: {error}"))?.leptos_options
        }
        None => LeptosOptions::builder().output_name("millrace").build(),
    };
    if let Some(package) = package(&root) {
        options.site_pkg_dir = package.into();
    }
    options.site_root = root.to_string_lossy().as_ref().into();
    options.site_addr = bind;
    Ok(Site { root, options })
}

//! Where files are made: ffmpeg's own test pictures as seeds, made once each, and a source of numbers that is the same in every run.

use std::{cell::RefCell, collections::HashMap, net::SocketAddr, path::PathBuf, process::Command};

use tempfile::TempDir;

/// Containers and codecs that stand for what people upload: name, arguments, extension.
pub(crate) const SEEDS: [(&str, &str); 10] = [
    ("first.mp4", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -movflags +faststart"),
    ("last.mp4", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac"),
    ("fragments.mp4", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 5 -c:a aac -movflags +frag_keyframe+empty_moov"),
    ("clip.mkv", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac"),
    ("clip.webm", "-c:v libvpx -deadline realtime -cpu-used 8 -c:a libvorbis"),
    ("clip.ts", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac"),
    ("clip.avi", "-c:v mpeg4 -c:a mp3"),
    ("clip.flv", "-c:v flv1 -ar 44100 -c:a mp3"),
    ("prores.mov", "-c:v prores_ks -profile:v 0 -c:a pcm_s16le"),
    ("clip.ogv", "-c:v libtheora -c:a libvorbis"),
];

/// What files in the corpus point to.
#[derive(Debug, Clone)]
pub(crate) struct Canaries {
    /// A file beside the store.
    pub(crate) file: PathBuf,
    /// Another user's upload.
    pub(crate) upload: PathBuf,
    /// A server that counts who comes.
    pub(crate) http: SocketAddr,
}

pub(crate) struct Kitchen {
    folder: TempDir,
    made: RefCell<HashMap<String, Option<Vec<u8>>>>,
    pub(crate) canaries: Canaries,
}

impl Kitchen {
    pub(crate) fn new(canaries: Canaries) -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), made: RefCell::default(), canaries }
    }

    /// A seed by its name.
    pub(crate) fn seed(&self, name: &str) -> Option<Vec<u8>> {
        let (_, arguments) = SEEDS.iter().find(|(seed, _)| *seed == name)?;
        self.clip(arguments, name)
    }

    /// A second of test pictures and a tone, made with these arguments.
    pub(crate) fn clip(&self, arguments: &str, name: &str) -> Option<Vec<u8>> {
        self.ffmpeg(&format!("-f lavfi -i testsrc2=s=96x64:r=10:d=1 -f lavfi -i sine=d=1 {arguments}"), name)
    }

    /// Whatever ffmpeg makes with these arguments; nothing where it does not know them. The name says the container.
    pub(crate) fn ffmpeg(&self, arguments: &str, name: &str) -> Option<Vec<u8>> {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        self.ffmpeg_words(&words, name)
    }

    /// The same, where arguments hold spaces.
    pub(crate) fn ffmpeg_words(&self, words: &[&str], name: &str) -> Option<Vec<u8>> {
        let key = format!("{words:?} {name}");
        if let Some(made) = self.made.borrow().get(&key) {
            return made.clone();
        }
        let path = self.folder.path().join(name);
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-y", "-threads", "1"])
            .args(words)
            .args(["-fflags", "+bitexact", "-flags", "+bitexact", "-strict", "-2", "-threads", "1"])
            .arg(&path)
            .output()
            .expect("ffmpeg runs");
        let bytes = made.status.success().then(|| std::fs::read(&path).ok()).flatten().filter(|bytes| !bytes.is_empty());
        let _ = std::fs::remove_file(&path);
        self.made.borrow_mut().insert(key, bytes.clone());
        bytes
    }

    /// Writes a file that a recipe reads.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }
}

/// Numbers by chance that are the same in every run.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // An ordinary linear congruential generator; its upper bits are good.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

//! Every file of the corpus goes the whole way of the transcoder: sniffed, probed, encoded, collected. Whatever it is, it ends as a verdict on
//! that one file, within its budget; nothing else is read, nobody is called, nothing stays behind, and the next good video is as good as ever.
//!
//! Sixty cases run with the other tests. `make fuzz-media` runs all of them and as many mutants as it is told.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::{File, FileTimes},
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use domain::{
    ids::{GenerationId, JobId, UploadId, VideoId},
    ladder,
    storage_key::StorageKey,
};
use server::{
    adapters::{
        ffmpeg_transcoder::{FfmpegSettings, FfmpegTranscoder, Limits, SandboxMode},
        fs_store::FsStore,
    },
    ports::{
        blob_store::BlobStore,
        transcoder::{TranscodeError, TranscodeRequest, TranscodeState, Transcoder},
    },
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::corpus::{
    Case, Food, Verdict, cases,
    damage::mutant,
    kitchen::{Canaries, Kitchen, SEEDS},
    names::MARK,
};

/// Longest that a refusal may take, and an acceptance. On a machine so busy that a good film of a second takes long, this many times as long.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);
const ACCEPTED_WITHIN: Duration = Duration::from_secs(180);
const GOOD_FILMS: u32 = 40;
/// Most memory of one process: its address space is held to it, so what it uses is less.
const MEMORY: u64 = 1_536 << 20;
/// Most bytes that a verdict may leave.
const OUTPUT: u64 = 96 << 20;

/// A place where files are tried, with everything around it that must stay as it is.
struct Range {
    folder: TempDir,
    store: std::sync::Arc<FsStore>,
    transcoder: FfmpegTranscoder,
    kitchen: Kitchen,
    listener: TcpListener,
    touched: SystemTime,
}

/// What became of one file.
#[derive(Debug)]
struct Outcome {
    /// `accepted` or the reason.
    verdict: &'static str,
    took: Duration,
    /// What is wrong with it, if anything is.
    faults: Vec<String>,
}

impl Range {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = std::sync::Arc::new(FsStore::open(folder.path().join("store")).await.expect("a store"));
        let limits = Limits {
            threads: 2,
            memory_bytes: MEMORY,
            probe_time: Duration::from_secs(25),
            encode_time_base: Duration::from_secs(60),
            encode_time_factor: 2,
            ..Limits::default()
        };
        let settings = FfmpegSettings {
            ffmpeg: "ffmpeg".into(),
            ffprobe: "ffprobe".into(),
            scratch: folder.path().join("scratch"),
            helper: env!("CARGO_BIN_EXE_sandbox-helper").into(),
            sandbox: SandboxMode::Auto,
            limits,
        };
        let transcoder = FfmpegTranscoder::new(settings, store.clone());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a port that can be asked");
        // Read long ago: whoever reads them now leaves a newer time.
        let touched = SystemTime::now() - Duration::from_secs(40 * 24 * 3600);
        let canaries = Canaries {
            file: folder.path().join("canary.ts"),
            upload: folder.path().join("store/canary-upload"),
            http: listener.local_addr().expect("an address"),
        };
        let kitchen = Kitchen::new(canaries);
        let film = kitchen.seed("clip.ts").expect("a seed");
        let range = Self { folder, store, transcoder, kitchen, listener, touched };
        for canary in range.canaries() {
            std::fs::write(canary, [&film[..], MARK.as_bytes()].concat()).expect("a canary");
            range.settle(canary);
        }
        range
    }

    fn canaries(&self) -> [&Path; 2] {
        [&self.kitchen.canaries.file, &self.kitchen.canaries.upload]
    }

    fn settle(&self, canary: &Path) {
        let file = File::options().write(true).open(canary).expect("a canary");
        file.set_times(FileTimes::new().set_accessed(self.touched)).expect("times can be set");
    }

    /// The whole way of one file.
    async fn try_out(&self, food: Food, verdict: Verdict) -> Outcome {
        let began = Instant::now();
        let (key, path) = self.put(food).await;
        let generation = GenerationId(Uuid::new_v4());
        let begun = Cell::new(false);
        let ended = self.transcode(key.clone(), generation, &begun).await;
        let took = began.elapsed();
        let mut faults = Vec::new();
        let (found, budget) = match &ended {
            Ok(()) => ("accepted", ACCEPTED_WITHIN),
            Err(TranscodeError::Source { code, .. }) => (code.as_str(), REFUSED_WITHIN),
            Err(TranscodeError::Engine(said) | TranscodeError::Passing(said) | TranscodeError::Full(said)) => {
                faults.push(format!("the machinery is blamed: {said}"));
                ("engine", REFUSED_WITHIN)
            }
        };
        let good = match (verdict, &ended) {
            (Verdict::Boring, _) | (Verdict::Accepted, Ok(())) => true,
            (Verdict::Refused(codes), Err(TranscodeError::Source { code, .. })) => codes.contains(code),
            _ => false,
        };
        if !good {
            faults.push(format!("{verdict:?} was expected, not {ended:?}"));
        }
        // What only an encode can find takes as long as one, and a limit is reached when it is.
        let budget = if begun.get() || found == "limit_exceeded" { ACCEPTED_WITHIN } else { budget };
        if took > budget {
            let good = self.time_of_a_good_film().await;
            if took > good * GOOD_FILMS {
                faults.push(format!("took {took:?}, a good film takes {good:?} now"));
            }
        }
        let published = self.folder.path().join("store").join(StorageKey::generation_prefix(generation));
        self.look_around(&published, &mut faults);
        let _ = std::fs::remove_dir_all(published);
        let _ = std::fs::remove_file(path);
        Outcome { verdict: found, took, faults }
    }

    /// How fast the machine is at this moment.
    async fn time_of_a_good_film(&self) -> Duration {
        let film = self.kitchen.seed("first.mp4").expect("a seed");
        let (key, path) = self.put(film.into()).await;
        let (began, generation) = (Instant::now(), GenerationId(Uuid::new_v4()));
        let ended = self.transcode(key, generation, &Cell::new(false)).await;
        let took = began.elapsed();
        assert!(ended.is_ok(), "a good film is not taken any more: {ended:?}");
        let _ = std::fs::remove_dir_all(self.folder.path().join("store").join(StorageKey::generation_prefix(generation)));
        let _ = std::fs::remove_file(path);
        took
    }

    async fn put(&self, food: Food) -> (StorageKey, PathBuf) {
        let key = StorageKey::Source { upload: UploadId(Uuid::new_v4()) };
        let draft = self.folder.path().join("draft");
        std::fs::write(&draft, food.bytes).expect("a file");
        if let Some(length) = food.length {
            File::options().write(true).open(&draft).and_then(|file| file.set_len(length)).expect("a hole");
        }
        self.store.put_file(&key, &draft).await.expect("the store takes it");
        let path = self.store.local_path(&key).expect("a local store");
        (key, path)
    }

    async fn transcode(&self, source: StorageKey, generation: GenerationId, begun: &Cell<bool>) -> Result<(), TranscodeError> {
        let facts = self.transcoder.probe(&source).await?;
        begun.set(true);
        let ladder = ladder::plan(&facts);
        let (job, video) = (JobId(Uuid::new_v4()), VideoId(Uuid::new_v4()));
        let id = self.transcoder.start(TranscodeRequest { job, video, generation, source, facts, ladder }).await?;
        while let TranscodeState::Running { .. } = self.transcoder.poll(&id).await? {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Everything that must be as it was.
    fn look_around(&self, published: &Path, faults: &mut Vec<String>) {
        for canary in self.canaries() {
            let read = std::fs::metadata(canary)
                .and_then(|metadata| metadata.accessed())
                .is_ok_and(|at| at > self.touched + Duration::from_secs(1));
            if read {
                faults.push(format!("{} was read", canary.display()));
                self.settle(canary);
            }
        }
        if self.listener.accept().is_ok() {
            faults.push("somebody called".to_owned());
        }
        let mut bytes = 0;
        for file in crate::app::files_below(published) {
            let content = std::fs::read(published.join(&file)).unwrap_or_default();
            bytes += content.len() as u64;
            if content.windows(MARK.len()).any(|window| window == MARK.as_bytes()) {
                faults.push(format!("the mark stands in {file}"));
            }
        }
        if bytes > OUTPUT {
            faults.push(format!("left {bytes} bytes"));
        }
        let left = |count: &dyn Fn() -> usize| {
            let mut found = count();
            // Patient: a second of film may claim hours of silence, and thousands of files go one by one.
            for _ in 0..1_500 {
                if found == 0 {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
                found = count();
            }
            found
        };
        if left(&|| std::fs::read_dir(self.folder.path().join("scratch")).map_or(0, Iterator::count)) > 0 {
            faults.push("the scratch folder is not empty".to_owned());
        }
        if left(&|| processes_of(self.folder.path())) > 0 {
            faults.push("a process goes on".to_owned());
        }
    }

    /// Tries each and says what came of it.
    async fn run(&self, cases: impl IntoIterator<Item = Case>) {
        let (mut counts, mut faults): (BTreeMap<(char, &str), usize>, Vec<String>) = Default::default();
        let (mut slowest, mut not_made) = ((Duration::ZERO, String::new()), Vec::new());
        for case in cases {
            let Some(food) = case.make(&self.kitchen) else {
                not_made.push(case.id);
                continue;
            };
            let outcome = self.try_out(food, case.verdict).await;
            *counts.entry((case.class(), outcome.verdict)).or_default() += 1;
            // Said at once as well: what goes on for hours is watched.
            outcome.faults.iter().for_each(|fault| eprintln!("{}: {fault}", case.id));
            faults.extend(outcome.faults.into_iter().map(|fault| format!("{}: {fault}", case.id)));
            if outcome.took > slowest.0 {
                slowest = (outcome.took, case.id);
            }
        }
        eprintln!("verdicts: {counts:?}\nslowest: {slowest:?}\nnot made by this ffmpeg: {not_made:?}");
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
        // Other builds of ffmpeg know other encoders.
        assert!(not_made.len() * 10 <= counts.values().sum::<usize>(), "{not_made:?}");
        self.next_good_video().await;
    }

    async fn next_good_video(&self) {
        let film = self.kitchen.seed("first.mp4").expect("a seed");
        let outcome = self.try_out(film.into(), Verdict::Accepted).await;
        assert!(outcome.faults.is_empty(), "{outcome:?}");
    }
}

/// Processes that have to do with a folder.
fn processes_of(folder: &Path) -> usize {
    let name = folder.to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(&name)).count()
}

#[tokio::test]
async fn sixty_hostile_files_are_boring() {
    let all = cases();
    // Every class in its share, and not only its first.
    let slice = (0..60).map(|number| all[number * all.len() / 60].clone());
    Range::open().await.run(slice).await;
}

#[tokio::test]
async fn canaries_would_be_noticed() {
    let range = Range::open().await;
    let mut faults = Vec::new();
    let nowhere = range.folder.path().join("nowhere");
    range.look_around(&nowhere, &mut faults);
    assert!(faults.is_empty(), "{faults:?}");
    let _ = std::fs::read(range.canaries()[0]).expect("a canary");
    std::fs::create_dir(&nowhere).expect("a folder");
    std::fs::write(nowhere.join("out.m4s"), format!("..{MARK}..")).expect("a file");
    let _caller = std::net::TcpStream::connect(range.kitchen.canaries.http).expect("a connection");
    range.look_around(&nowhere, &mut faults);
    assert!(faults.iter().any(|fault| fault.contains("mark")) && faults.iter().any(|fault| fault.contains("called")), "{faults:?}");
    // File systems that note no reading cannot tell.
    let notes = faults.iter().any(|fault| fault.contains("was read"));
    assert!(notes || faults.len() == 2, "{faults:?}");
}

#[tokio::test]
#[ignore = "minutes: make fuzz-media"]
async fn the_whole_corpus_is_boring() {
    Range::open().await.run(cases()).await;
}

#[tokio::test]
#[ignore = "hours: make fuzz-media"]
async fn mutants_are_boring() {
    let count: u64 = std::env::var("MUTANTS").ok().and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let first: u64 = std::env::var("FIRST_MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(0);
    let range = Range::open().await;
    let (mut counts, mut faults): (BTreeMap<&str, u64>, Vec<String>) = Default::default();
    eprintln!("mutants {first} to {}: FIRST_MUTANT={first} MUTANTS={count}; a mutant's number is its seed", first + count - 1);
    for number in first..first + count {
        let (name, _) = SEEDS[number as usize % SEEDS.len()];
        let film = mutant(range.kitchen.seed(name).expect("a seed"), number);
        let outcome = range.try_out(film.into(), Verdict::Boring).await;
        *counts.entry(outcome.verdict).or_default() += 1;
        outcome.faults.iter().for_each(|fault| eprintln!("mutant {number} of {name}: {fault}"));
        faults.extend(outcome.faults.into_iter().map(|fault| format!("mutant {number} of {name}: {fault}")));
        if (number + 1).is_multiple_of(500) {
            eprintln!("up to mutant {number}: {counts:?}, {} faults", faults.len());
        }
    }
    eprintln!("verdicts of {count} mutants: {counts:?}");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    range.next_good_video().await;
}

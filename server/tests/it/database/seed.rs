//! Many videos by one statement, for tests and for `examples/data.rs`.

use sea_orm::DbBackend;
use uuid::Uuid;

const WORDS: [&str; 32] = [
    "harbour",
    "sunrise",
    "Lisbon",
    "morning",
    "walk",
    "interview",
    "team",
    "weekly",
    "meeting",
    "product",
    "demo",
    "launch",
    "garden",
    "winter",
    "summer",
    "birthday",
    "party",
    "holiday",
    "mountain",
    "river",
    "trail",
    "concert",
    "lecture",
    "physics",
    "chemistry",
    "history",
    "cooking",
    "pasta",
    "bread",
    "horse",
    "train",
    "station",
];
/// Milliseconds of the Unix epoch of the first of them.
const BEGAN_MS: i64 = 1_700_000_000_000;

/// What a probe says, as JSON.
pub(crate) const FACTS: &str = concat!(
    r#"{"container":"mp4","duration_ms":1000,"video":{"stream_index":0,"codec":"h264","profile":null,"pixel_format":"yuv420p","#,
    r#""coded_width":2,"coded_height":2,"display_width":2,"display_height":2,"square_samples":true,"rotation":0,"#,
    r#""frame_rate":{"numerator":25,"denominator":1},"variable_frame_rate":false,"full_range":false,"interlaced":false,"#,
    r#""transfer":null,"bit_rate":null,"longest_gop_ms":1000,"open_gop":false},"audio":null}"#
);

/// What each of them is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lot {
    /// Whose they are.
    pub(crate) user: Uuid,
    /// A number of its own for each lot, below 4,096.
    pub(crate) number: u16,
    /// How many.
    pub(crate) videos: u32,
}

/// A UUID as it is written in the database's own words.
pub(crate) fn literal(backend: DbBackend, id: Uuid) -> String {
    if backend == DbBackend::Sqlite { format!("X'{}'", id.simple()) } else { format!("'{id}'") }
}

/// The statement that writes a lot: ids in the order of time, titles of three words and a number.
pub(crate) fn insert(backend: DbBackend, lot: Lot) -> String {
    let Lot { number, videos, .. } = lot;
    let user = literal(backend, lot.user);
    let (numbers, id, title, handle) = if backend == DbBackend::Sqlite {
        let word = |n: &str| format!("json_extract('{}', '$[' || (({n}) % 32) || ']')", serde_json::json!(WORDS));
        (
            format!("WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {videos})"),
            format!("unhex(printf('%012x7%03x8%03x%012x', {BEGAN_MS} + n, n % 4096, {number}, n))"),
            format!(
                "{} || ' ' || {} || ' ' || {} || ' video ' || n",
                word("n * 7919 / 31"),
                word("n * 104729 / 17"),
                word("n * 1299709 / 7")
            ),
            format!("replace(replace(printf('%016X', n * 4096 + {number}), '0', 'G'), '1', 'H')"),
        )
    } else {
        let words = WORDS.map(|word| format!("'{word}'")).join(",");
        let word = |n: &str| format!("(ARRAY[{words}])[1 + ({n}) % 32]");
        (
            format!("WITH numbers(n) AS (SELECT n FROM generate_series(1::bigint, {videos}) n)"),
            format!(
                "(lpad(to_hex({BEGAN_MS} + n), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' || '{number:03x}' || lpad(to_hex(n), 12, '0'))::uuid"
            ),
            format!(
                "{} || ' ' || {} || ' ' || {} || ' video ' || n",
                word("n * 7919 / 31"),
                word("n * 104729 / 17"),
                word("n * 1299709 / 7")
            ),
            format!("translate(lpad(upper(to_hex(n * 4096 + {number})), 16, '0'), '01', 'GH')"),
        )
    };
    format!(
        "{numbers}, named AS (SELECT n, {id} AS id, {title} AS title, {handle} AS handle FROM numbers)
        INSERT INTO videos (id, user_id, status, created_at, playback_id, title, title_folded, visibility, stage, progress, file_name,
            size_bytes, source_facts, generation_id, poster_generation_id, updated_at_ms)
        SELECT id, {user}, 'done', '2026-11-22 00:00:00+00:00', handle, title, lower(title), 'unlisted', 'ready', 100, 'video.mp4',
            1, '{FACTS}', id, id, {BEGAN_MS} + n
        FROM named ORDER BY n"
    )
}

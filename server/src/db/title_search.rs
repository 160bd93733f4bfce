//! What the search by title asks, in each database's own words, and PostgreSQL's index for it, which needs extensions.
//!
//! Both find what they find by trigrams and then compare the title itself, so that both find the same: what `LIKE` finds.

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, RuntimeErr, Statement, sqlx};
use uuid::Uuid;

/// The newest titles of an account that are compared one by one before an index is asked: that takes a millisecond, finds at once what many
/// titles hold, and is all there is to do for most accounts.
pub const LOOKED_THROUGH: i64 = 5_000;
/// On SQLite an account's places are those between two multiples of 2 to the power of this.
const RANGE_BITS: u32 = 36;
/// Trigrams that SQLite's index is asked for at most: each further one costs more than it spares.
const TRIGRAMS: usize = 5;

/// A title that holds what is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
pub struct Hit {
    /// Its place.
    pub place: i64,
    /// Its video.
    pub video_id: Uuid,
}

/// The lowest place of some titles, and how many they are.
#[derive(Debug, Clone, Copy, FromQueryResult)]
struct Reach {
    floor: Option<i64>,
    titles: i64,
}

/// Where titles are looked for, and what they have to hold.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Whose they are.
    pub user: Uuid,
    /// Between this place and [`Self::highest`], both included.
    pub lowest: i64,
    /// The place of the newest of them.
    pub highest: i64,
    /// What they have to hold, folded.
    pub text: &'a str,
    /// How many at most, the newest first.
    pub limit: i64,
}

const SQLITE_RANGE: &str = "SELECT place, video_id FROM titles WHERE place BETWEEN $2 AND $3 AND +user_id = $1 AND title_folded LIKE $4 \
                            ESCAPE '\\' ORDER BY place DESC LIMIT $5";
const SQLITE_INDEX: &str = "SELECT titles.place, titles.video_id FROM titles_by_trigram CROSS JOIN titles ON titles.place = titles_by_trigram.rowid \
                            WHERE titles_by_trigram MATCH $6 AND titles_by_trigram.rowid BETWEEN $2 AND $3 AND +titles.user_id = $1 \
                            AND titles.title_folded LIKE $4 ESCAPE '\\' ORDER BY titles_by_trigram.rowid DESC LIMIT $5";
/// The title as an expression: the index is of no use for a few titles, and a plan that is kept for any text would go through all of it.
const POSTGRES_RANGE: &str = "SELECT place, video_id FROM titles WHERE user_id = $1 AND place BETWEEN $2 AND $3 AND title_folded || '' LIKE $4 \
                              ESCAPE '\\' ORDER BY place DESC LIMIT $5";
const POSTGRES_INDEX: &str = "SELECT place, video_id FROM titles WHERE user_id = $1 AND place BETWEEN $2 AND $3 AND title_folded LIKE $4 \
                              ESCAPE '\\' ORDER BY place DESC LIMIT $5";

impl Wanted<'_> {
    /// Compares title by title.
    pub fn one_by_one(&self, backend: DbBackend) -> Statement {
        let sql = if backend == DbBackend::Sqlite { SQLITE_RANGE } else { POSTGRES_RANGE };
        Statement::from_sql_and_values(backend, sql, self.values())
    }

    /// Asks the index; less than three characters are in none. On PostgreSQL its planner chooses between the index and title by title,
    /// knowing what is searched for.
    pub fn by_index(&self, backend: DbBackend) -> Statement {
        match (backend, trigrams(self.text)) {
            (_, None) => self.one_by_one(backend),
            (DbBackend::Sqlite, Some(trigrams)) => {
                Statement::from_sql_and_values(backend, SQLITE_INDEX, self.values().into_iter().chain([trigrams.into()]))
            }
            (_, Some(_)) => Statement::from_sql_and_values(backend, POSTGRES_INDEX, self.values()),
        }
    }

    fn values(&self) -> [sea_orm::Value; 5] {
        [self.user.into(), self.lowest.into(), self.highest.into(), pattern(self.text).into(), self.limit.into()]
    }

    async fn ask_index(&self, db: &DatabaseConnection) -> Result<Vec<Hit>, DbErr> {
        if db.get_database_backend() != DbBackend::Postgres || trigrams(self.text).is_none() {
            return Hit::find_by_statement(self.by_index(db.get_database_backend())).all(db).await;
        }
        // Planned anew each time: a plan for any text would be a bad one for most.
        let rows = sqlx::query_as::<_, (i64, Uuid)>(POSTGRES_INDEX)
            .persistent(false)
            .bind(self.user)
            .bind(self.lowest)
            .bind(self.highest)
            .bind(pattern(self.text))
            .bind(self.limit)
            .fetch_all(db.get_postgres_connection_pool())
            .await;
        let rows = rows.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))?;
        Ok(rows.into_iter().map(|(place, video_id)| Hit { place, video_id }).collect())
    }
}

/// The newest titles of `user`, from the place `highest` down, that hold `text`, which is folded.
///
/// # Errors
/// The database fails.
pub async fn newest(db: &DatabaseConnection, user: Uuid, highest: i64, text: &str, limit: i64) -> Result<Vec<Hit>, DbErr> {
    let backend = db.get_database_backend();
    let (floor, bottom) = reach(db, user, highest).await?;
    let near = Wanted { user, lowest: floor, highest, text, limit };
    let mut hits = Hit::find_by_statement(near.one_by_one(backend)).all(db).await?;
    let missing = limit - i64::try_from(hits.len()).unwrap_or(limit);
    if missing > 0 && floor > bottom {
        hits.extend(Wanted { lowest: bottom, highest: floor - 1, limit: missing, ..near }.ask_index(db).await?);
    }
    Ok(hits)
}

/// The lowest place that is looked through one by one, and the lowest that an account's titles may have.
async fn reach(db: &DatabaseConnection, user: Uuid, highest: i64) -> Result<(i64, i64), DbErr> {
    if db.get_database_backend() == DbBackend::Sqlite {
        let bottom = highest >> RANGE_BITS << RANGE_BITS;
        return Ok((bottom.max(highest - LOOKED_THROUGH + 1), bottom));
    }
    let reach = Reach::find_by_statement(reach_statement(user, highest)).one(db).await?;
    // All of them, where they are fewer.
    let floor = reach.filter(|reach| reach.titles == LOOKED_THROUGH).and_then(|reach| reach.floor);
    Ok((floor.unwrap_or(0), 0))
}

/// Asks PostgreSQL, where the places of an account have gaps, how far down those reach that are looked through.
pub fn reach_statement(user: Uuid, highest: i64) -> Statement {
    let sql = "SELECT min(place) AS floor, count(*) AS titles \
               FROM (SELECT place FROM titles WHERE user_id = $1 AND place <= $2 ORDER BY place DESC LIMIT $3) AS newest";
    Statement::from_sql_and_values(DbBackend::Postgres, sql, [user.into(), highest.into(), LOOKED_THROUGH.into()])
}

/// What `LIKE` is asked for: `%` and `_` mean themselves.
fn pattern(text: &str) -> String {
    let escaped: String = text.chars().flat_map(|c| matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain([c])).collect();
    format!("%{escaped}%")
}

/// What FTS5 is asked for: some trigrams of a text, from its first to its last; `None` where it has none.
fn trigrams(text: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut all: Vec<&[char]> = letters.windows(3).collect();
    all.dedup();
    let last = all.len().checked_sub(1)?;
    let taken = all.len().min(TRIGRAMS);
    let quoted = (0..taken).map(|number| {
        let trigram: String = all[number * last / (taken - 1).max(1)].iter().collect();
        format!("\"{}\"", trigram.replace('"', "\"\""))
    });
    Some(quoted.collect::<Vec<_>>().join(" AND "))
}

/// Makes PostgreSQL's index for the search, where that is possible: the extension `pg_trgm` has to be there, or installed and ours to
/// create. With `btree_gin` as well, the index tells accounts apart. Without them the search works all the same, title by title, and the log
/// says so; whoever adds the extension later starts once more.
///
/// # Errors
/// The database fails.
pub(super) async fn prepare(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    if transaction.get_database_backend() != DbBackend::Postgres || is_indexed(transaction).await? {
        return Ok(());
    }
    transaction.execute_unprepared(MAKE_INDEX).await?;
    if !is_indexed(transaction).await? {
        tracing::warn!(
            "titles are searched without an index, which is slow for who has hundreds of thousands of videos: the extension pg_trgm cannot be \
             used here. Let somebody who may do so run CREATE EXTENSION pg_trgm and CREATE EXTENSION btree_gin in this database, then start again"
        );
    }
    Ok(())
}

async fn is_indexed(db: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let sql = "SELECT 1 FROM pg_indexes WHERE schemaname = current_schema() AND indexname = 'titles_by_trigram'";
    Ok(db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?.is_some())
}

/// What fails in a block of its own changes nothing outside of it. The extensions may live in any schema. No pending list (`fastupdate`): a
/// search would read through it.
const MAKE_INDEX: &str = "DO $$
DECLARE
    extension text;
    place text;
    owner text := '';
BEGIN
    FOREACH extension IN ARRAY ARRAY['pg_trgm', 'btree_gin'] LOOP
        BEGIN
            EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I', extension);
        EXCEPTION WHEN OTHERS THEN
            RAISE DEBUG '%', SQLERRM;
        END;
    END LOOP;
    SELECT n.nspname INTO place FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'btree_gin';
    IF place IS NOT NULL THEN
        owner := format('user_id %I.uuid_ops, ', place);
    END IF;
    SELECT n.nspname INTO place FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm';
    IF place IS NOT NULL THEN
        EXECUTE format(
            'CREATE INDEX titles_by_trigram ON titles USING gin (%stitle_folded %I.gin_trgm_ops) WITH (fastupdate = off)', owner, place
        );
    END IF;
END $$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_say() {
        assert_eq!(pattern("100 % _\\"), "%100 \\% \\_\\\\%");
    }

    #[test]
    fn trigrams_are_few_and_quoted() {
        assert_eq!(trigrams("ab"), None);
        assert_eq!(trigrams(""), None);
        assert_eq!(trigrams("abc").as_deref(), Some("\"abc\""));
        assert_eq!(trigrams("a\"🦀").as_deref(), Some("\"a\"\"🦀\""));
        assert_eq!(trigrams("aaaaaa").as_deref(), Some("\"aaa\""));
        assert_eq!(trigrams("abcdefghij").as_deref(), Some("\"abc\" AND \"bcd\" AND \"def\" AND \"fgh\" AND \"hij\""));
    }
}

//! Messages about alerts, one a channel: on their way, sent or given up.

use sea_orm::{DeleteMany, QueryOrder, QuerySelect, entity::prelude::*};

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "alert_notices")]
pub struct Model {
    /// The message; a receiver that gets it twice knows it by this.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// By which way it goes: `email` or `webhook`.
    pub channel: String,
    /// What it says has happened.
    pub event: String,
    /// A [`crate::ports::alert_channel::Notice`] as JSON.
    pub message: String,
    /// `waiting`, `sent` or `given_up`.
    pub state: String,
    /// Tries begun.
    pub attempt: i32,
    /// Not tried before this moment, in milliseconds of the Unix epoch.
    pub due_at_ms: i64,
    /// Milliseconds of the Unix epoch.
    pub created_at_ms: i64,
    /// What the last try failed with.
    pub last_error: Option<String>,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// On its way.
pub const WAITING: &str = "waiting";
/// Taken by its receiver.
pub const SENT: &str = "sent";
/// Not taken for too long.
pub const GIVEN_UP: &str = "given_up";

impl Entity {
    /// Some of those whose moment has come.
    pub fn due(now_ms: i64) -> Select<Self> {
        Self::find().filter(Column::State.eq(WAITING)).filter(Column::DueAtMs.lte(now_ms)).order_by_asc(Column::DueAtMs).limit(20)
    }

    /// The last ones that nobody took.
    pub fn given_up() -> Select<Self> {
        Self::find().filter(Column::State.eq(GIVEN_UP)).order_by_desc(Column::DueAtMs).limit(20)
    }

    /// Forgets what is over since `before_ms`.
    pub fn delete_before(state: &str, before_ms: i64) -> DeleteMany<Self> {
        Self::delete_many().filter(Column::State.eq(state)).filter(Column::DueAtMs.lt(before_ms))
    }
}

//! What is wrong, or was: one row for each kind of alert and what it is about.

use sea_orm::{QueryOrder, QuerySelect, entity::prelude::*};

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "alerts")]
pub struct Model {
    /// The alert.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// A [`domain::alert::AlertKind`].
    pub kind: String,
    /// What it is about, such as a disk; empty where there is one thing only.
    pub subject: String,
    /// Whether it goes on.
    pub is_open: bool,
    /// What is wrong and what to do, for people.
    pub detail: String,
    /// Milliseconds of the Unix epoch when it began.
    pub opened_at_ms: i64,
    /// When the operator was last told of it, or was to be.
    pub told_at_ms: i64,
    /// How bad it was then, or has been since, whichever is less; 0 where that cannot be said.
    pub told_size: i64,
    /// When it was last seen to go on.
    pub seen_at_ms: i64,
    /// When it was over.
    pub resolved_at_ms: Option<i64>,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The row of one kind and subject.
    pub fn of(kind: &str, subject: &str) -> Select<Self> {
        Self::find().filter(Column::Kind.eq(kind)).filter(Column::Subject.eq(subject))
    }

    /// Those that go on, the newest first.
    pub fn open() -> Select<Self> {
        Self::find().filter(Column::IsOpen.eq(true)).order_by_desc(Column::OpenedAtMs).limit(100)
    }
}

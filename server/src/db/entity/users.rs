//! Accounts.

use domain::account::Role;
use sea_orm::{ExprTrait, QueryOrder, QuerySelect, QueryTrait, entity::prelude::*};

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// The account.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// In lower case; unique.
    #[sea_orm(unique)]
    pub email: String,
    /// PHC string of an argon2id hash.
    pub password_hash: String,
    /// When it was made.
    pub created_at: TimeDateTimeWithTimeZone,
    /// A [`domain::account::Role`].
    pub role: String,
    /// Milliseconds of the Unix epoch since when nobody gets in with it.
    pub disabled_at_ms: Option<i64>,
    /// Milliseconds of the Unix epoch since when it is being deleted.
    pub leaving_at_ms: Option<i64>,
    /// Grows whenever all its sessions end: those of an earlier one let nobody in, also where they were just being opened.
    pub session_epoch: i64,
    /// A [`domain::embed_hosts::EmbedHosts`]: sites that may show the account's embeds.
    pub embed_hosts: Option<String>,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Whether the account that `user_id` of another table names may come in.
    pub fn may_come_in(user_id: impl ColumnTrait) -> Expr {
        Expr::exists(Self::row_that_may_come_in(user_id).into_query())
    }

    /// Whether that account may come in, and its sessions have not been ended since one of them was given this epoch.
    pub fn may_come_in_since(user_id: impl ColumnTrait, epoch: impl ColumnTrait) -> Expr {
        let row = Self::row_that_may_come_in(user_id);
        Expr::exists(row.filter(Expr::col(Column::SessionEpoch.as_column_ref()).equals(epoch.as_column_ref())).into_query())
    }

    fn row_that_may_come_in(user_id: impl ColumnTrait) -> Select<Self> {
        let row = Self::find().select_only().column(Column::Id).filter(Column::DisabledAtMs.is_null());
        // By its row's key: a list of all who may come in would be read whole, at every request.
        row.filter(Expr::col(Column::Id.as_column_ref()).equals(user_id.as_column_ref()))
    }

    /// Whether the account that `user_id` names is one of the owners, and may come in.
    pub fn is_owner(user_id: impl ColumnTrait) -> Expr {
        Expr::exists(Self::row_that_may_come_in(user_id).filter(Column::Role.eq(Role::Owner.as_str())).into_query())
    }

    /// Those who may not come in.
    pub fn disabled() -> Select<Self> {
        Self::find().select_only().column(Column::Id).filter(Column::DisabledAtMs.is_not_null())
    }

    /// Some of those who are being deleted.
    pub fn leaving() -> Select<Self> {
        Self::find().filter(Column::LeavingAtMs.is_not_null()).order_by_asc(Column::LeavingAtMs).limit(100)
    }
}

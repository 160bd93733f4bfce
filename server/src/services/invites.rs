//! Invitations: a link that makes one account, once, within a week. Only a hash of its secret is stored.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    account::{Invite, NewInvite},
    audit::AuditKind,
    error::{Code, Problem},
    ids::{InviteId, UserId},
    upload::clean_title,
};
use sea_orm::{ActiveModelTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, PaginatorTrait};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    clock::now_ms,
    config::Registration,
    db::{begin_write, entity::invites},
    error::Result,
    services::{
        audit_log::{Act, Actor},
        users::check_owner,
    },
};

/// How long an invitation stands.
const STANDS_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// Invitations that stand at once.
const MAX_OPEN: u64 = 100;

/// Invitations.
#[derive(Debug, Clone)]
pub struct Invites {
    db: DatabaseConnection,
    registration: Registration,
    public_url: String,
}

fn hash(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn shown(row: &invites::Model) -> Invite {
    Invite { id: InviteId(row.id), name: row.name.clone(), created_at_ms: row.created_at_ms, expires_at_ms: row.expires_at_ms }
}

/// Whether an invitation with this secret stands.
pub(super) async fn stands(db: &impl ConnectionTrait, secret: &str) -> Result<bool> {
    Ok(invites::Entity::with_secret(&hash(secret), now_ms()).one(db).await?.is_some())
}

/// Uses an invitation up, if it stands: of two who come with it at once, one is let in. Gives whom it was for.
pub(super) async fn use_up(db: &impl ConnectionTrait, secret: &str) -> Result<Option<String>> {
    let Some(row) = invites::Entity::with_secret(&hash(secret), now_ms()).one(db).await? else { return Ok(None) };
    let deleted = invites::Entity::delete_by_id(row.id).exec(db).await?;
    Ok((deleted.rows_affected == 1).then_some(row.name))
}

impl Invites {
    /// Invitations in `db`, with links at `public_url`, where the setting lets people in by them.
    pub fn new(db: DatabaseConnection, registration: Registration, public_url: String) -> Self {
        Self { db, registration, public_url }
    }

    /// Whether the settings let people in by invitation.
    pub fn allowed(&self) -> bool {
        self.registration != Registration::Closed
    }

    /// Invites somebody. This answer is the one moment the link is known.
    ///
    /// # Errors
    /// Who asks is not an owner, the settings let nobody in, or too many invitations stand.
    pub async fn create(&self, actor: Actor, name: &str) -> Result<NewInvite> {
        check_owner(&self.db, actor.user).await?;
        self.make(Some(actor), name).await
    }

    /// Invites somebody from the command line.
    ///
    /// # Errors
    /// The settings let nobody in, or too many invitations stand.
    pub async fn create_as_operator(&self, name: &str) -> Result<NewInvite> {
        self.make(None, name).await
    }

    async fn make(&self, actor: Option<Actor>, name: &str) -> Result<NewInvite> {
        if !self.allowed() {
            let closed = "Invitations are off: the setting `registration` of this server is “closed”.";
            return Err(Problem::new(Code::RegistrationClosed, closed).into());
        }
        let name = clean_title(name).ok_or_else(|| Problem::invalid("Say whom the invitation is for, so that you know it again."))?;
        let now = now_ms();
        if invites::Entity::open(now).count(&self.db).await? >= MAX_OPEN {
            return Err(Problem::invalid(format!("At most {MAX_OPEN} invitations can stand. Withdraw one first.")).into());
        }
        let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let row = invites::Model {
            id: Uuid::now_v7(),
            secret_hash: hash(&secret),
            name,
            created_by: actor.map(|actor| actor.user.0),
            created_at_ms: now,
            expires_at_ms: now + STANDS_MS,
        };
        let invite = shown(&row);
        let transaction = begin_write(&self.db).await?;
        invites::Entity::insert(row.into_active_model().reset_all()).exec_without_returning(&transaction).await?;
        let act = match actor {
            Some(actor) => Act::of(actor, AuditKind::InviteMade),
            None => Act::of_nobody(AuditKind::InviteMade, None).with("by", "command line"),
        };
        act.on(invite.name.clone()).note(&transaction).await?;
        transaction.commit().await?;
        Ok(NewInvite { invite, link: format!("{}/sign-up?invite={secret}", self.public_url) })
    }

    /// The invitations that stand.
    ///
    /// # Errors
    /// Who asks is not an owner.
    pub async fn list(&self, user: UserId) -> Result<Vec<Invite>> {
        check_owner(&self.db, user).await?;
        Ok(invites::Entity::open(now_ms()).all(&self.db).await?.iter().map(shown).collect())
    }

    /// Withdraws an invitation: its link lets nobody in from now on.
    ///
    /// # Errors
    /// Who asks is not an owner, or there is no such invitation.
    pub async fn withdraw(&self, actor: Actor, invite: InviteId) -> Result<()> {
        check_owner(&self.db, actor.user).await?;
        let transaction = begin_write(&self.db).await?;
        let row = invites::Entity::find_by_id(invite.0).one(&transaction).await?.ok_or_else(Problem::not_found)?;
        if invites::Entity::delete_by_id(row.id).exec(&transaction).await?.rows_affected == 0 {
            return Err(Problem::not_found().into());
        }
        Act::of(actor, AuditKind::InviteWithdrawn).on(row.name).note(&transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Whether somebody with this secret may sign up.
    ///
    /// # Errors
    /// The database fails.
    pub async fn stands(&self, secret: &str) -> Result<bool> {
        Ok(self.allowed() && stands(&self.db, secret).await?)
    }

    /// Forgets invitations that have run out.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget_expired(&self) -> Result<()> {
        invites::Entity::delete_expired(now_ms()).exec(&self.db).await?;
        Ok(())
    }
}

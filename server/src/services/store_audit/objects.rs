//! From the store to the rows: whose is it? What nobody names, and nobody can still be about to name, is an orphan.

use std::collections::{BTreeMap, HashSet};

use domain::{
    ids::{GenerationId, UploadId},
    storage_key::StorageKey,
    store_audit::{AuditReport, Finding, FindingKind},
};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, Select};
use uuid::Uuid;

use super::{AuditOptions, Listener, StoreAudit};
use crate::{
    clock::now_ms,
    db::entity::{jobs, removals, uploads, videos},
    error::Result,
    ports::blob_store::{BlobError, Inventory, Listed, Listing, Unfinished},
};

/// Ids asked for in one statement.
const AT_ONCE: usize = 500;

/// Which of some generations are published.
pub fn generations_query(ids: &[Uuid]) -> Select<videos::Entity> {
    videos::Entity::find()
        .select_only()
        .column(videos::Column::GenerationId)
        .filter(videos::Column::GenerationId.is_in(ids.iter().copied()))
}

/// Which of some generations give a video its poster.
pub fn generation_posters_query(ids: &[Uuid]) -> Select<videos::Entity> {
    let column = videos::Column::PosterGenerationId;
    videos::Entity::find().select_only().column(column).filter(column.is_in(ids.iter().copied()))
}

/// Which of some generations are being made.
pub fn generation_jobs_query(ids: &[Uuid]) -> Select<jobs::Entity> {
    jobs::Entity::find().select_only().column(jobs::Column::GenerationId).filter(jobs::Column::GenerationId.is_in(ids.iter().copied()))
}

/// Which of some generations and uploads are to be removed anyway.
pub fn removals_query(ids: &[Uuid]) -> Select<removals::Entity> {
    removals::Entity::find().select_only().column(removals::Column::Target).filter(removals::Column::Target.is_in(ids.iter().copied()))
}

async fn named_generations(db: &DatabaseConnection, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    let mut named = HashSet::new();
    for ids in ids.chunks(AT_ONCE) {
        named.extend(generations_query(ids).into_tuple::<Uuid>().all(db).await?);
        named.extend(generation_posters_query(ids).into_tuple::<Uuid>().all(db).await?);
        named.extend(generation_jobs_query(ids).into_tuple::<Uuid>().all(db).await?);
        named.extend(removals_query(ids).into_tuple::<Uuid>().all(db).await?);
    }
    Ok(named)
}

async fn named_uploads(db: &DatabaseConnection, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    let mut named = HashSet::new();
    for ids in ids.chunks(AT_ONCE) {
        let rows = uploads::Entity::find().select_only().column(uploads::Column::Id).filter(uploads::Column::Id.is_in(ids.iter().copied()));
        named.extend(rows.into_tuple::<Uuid>().all(db).await?);
        named.extend(removals_query(ids).into_tuple::<Uuid>().all(db).await?);
    }
    Ok(named)
}

/// Something that nobody names.
struct Orphan {
    kind: FindingKind,
    key: String,
    detail: String,
}

/// Where objects are.
const SOURCES: &str = "sources/";
const PUBLISHED: &str = "published/";

/// How orphans are looked for.
#[derive(Clone, Copy)]
struct Search {
    /// What was written later than this may be named yet.
    young_from: i64,
    repair: bool,
}

impl StoreAudit {
    pub(super) async fn look_at_objects(&self, options: AuditOptions, report: &mut AuditReport, listener: Listener<'_>) -> Result<()> {
        let search = Search { young_from: now_ms() - options.grace_ms, repair: options.repair };
        if let Some(inventory) = self.store.inventory() {
            for prefix in [SOURCES, PUBLISHED] {
                self.look_below(prefix, inventory, search, report, listener).await?;
            }
            self.look_at_unfinished(inventory, search, report).await?;
        }
        for path in self.transcoder.leftovers(options.repair).await? {
            let detail = "Left behind by an encode whose process died.".to_owned();
            report.add(Finding { kind: FindingKind::ScratchOrphan, video: None, key: path, detail, repaired: options.repair });
        }
        Ok(())
    }

    async fn look_below(
        &self,
        prefix: &str,
        inventory: &dyn Inventory,
        search: Search,
        report: &mut AuditReport,
        listener: Listener<'_>,
    ) -> Result<()> {
        let mut from = None;
        loop {
            let Listing { objects, next } = inventory.list_objects(prefix, from).await?;
            match prefix {
                SOURCES => self.look_at_sources(objects, search, report).await?,
                _ => self.look_at_published(objects, search, report).await?,
            }
            listener(report);
            if next.is_none() {
                return Ok(());
            }
            from = next;
        }
    }

    async fn look_at_sources(&self, objects: Vec<Listed>, search: Search, report: &mut AuditReport) -> Result<()> {
        let (mut known, mut foreign) = (BTreeMap::new(), Vec::new());
        for object in objects.into_iter().filter(|object| object.written_ms <= search.young_from) {
            match StorageKey::parse(&object.path) {
                Some(StorageKey::Source { upload }) => drop(known.insert(upload.0, object.size)),
                _ => foreign.push(object),
            }
        }
        tell_foreign(report, foreign);
        let named = named_uploads(&self.db, &known.keys().copied().collect::<Vec<_>>()).await?;
        for (upload, size) in known.into_iter().filter(|(upload, _)| !named.contains(upload)) {
            let key = StorageKey::Source { upload: UploadId(upload) };
            // Removed meanwhile, by whoever let go of it.
            if matches!(self.store.size(&key).await, Err(BlobError::NotFound)) {
                continue;
            }
            let removed = if search.repair { Some(self.store.delete(&key).await) } else { None };
            let detail = format!("{size} bytes that no row names.");
            tell_orphan(report, Orphan { kind: FindingKind::SourceOrphan, key: key.to_string(), detail }, removed);
        }
        Ok(())
    }

    async fn look_at_published(&self, objects: Vec<Listed>, search: Search, report: &mut AuditReport) -> Result<()> {
        let (mut generations, mut foreign) = (BTreeMap::<Uuid, (u64, bool)>::new(), Vec::new());
        for object in objects {
            let is_old = object.written_ms <= search.young_from;
            match generation_of(&object.path) {
                Some(generation) => {
                    let (count, old) = generations.entry(generation.0).or_insert((0, true));
                    *count += 1;
                    *old &= is_old;
                }
                None if is_old => foreign.push(object),
                None => {}
            }
        }
        tell_foreign(report, foreign);
        generations.retain(|_, (_, old)| *old);
        let named = named_generations(&self.db, &generations.keys().copied().collect::<Vec<_>>()).await?;
        for (generation, (count, _)) in generations.into_iter().filter(|(generation, _)| !named.contains(generation)) {
            let generation = GenerationId(generation);
            if self.store.list_generation(generation).await?.is_empty() {
                continue;
            }
            let key = StorageKey::generation_prefix(generation);
            let removed = if search.repair { Some(self.store.delete_prefix(&key).await) } else { None };
            let detail = format!("{count} objects that no row names.");
            tell_orphan(report, Orphan { kind: FindingKind::GenerationOrphan, key, detail }, removed);
        }
        Ok(())
    }

    async fn look_at_unfinished(&self, inventory: &dyn Inventory, search: Search, report: &mut AuditReport) -> Result<()> {
        let unfinished = inventory.list_unfinished().await?;
        report.checked.unfinished = unfinished.len() as u64;
        for unfinished in unfinished.into_iter().filter(|unfinished| unfinished.touched_ms <= search.young_from) {
            if self.is_named(&unfinished).await? {
                continue;
            }
            // A store goes by the name of the upload; one that needs the key has told it.
            let key = unfinished.key.unwrap_or(StorageKey::Source { upload: UploadId(Uuid::nil()) });
            let removed = if search.repair { Some(self.store.abort_multipart(&key, &unfinished.id).await) } else { None };
            let detail = "An unfinished upload that no row names.".to_owned();
            tell_orphan(report, Orphan { kind: FindingKind::UploadOrphan, key: format!("incoming/{}", unfinished.id.0), detail }, removed);
        }
        Ok(())
    }

    /// Whether somebody may still go on with an upload.
    async fn is_named(&self, unfinished: &Unfinished) -> Result<bool> {
        match unfinished.key {
            Some(StorageKey::Source { upload }) => {
                let row = uploads::Entity::find_by_id(upload.0).one(&self.db).await?;
                if row.is_some_and(|row| row.multipart_id == unfinished.id.0) {
                    return Ok(true);
                }
                // To be aborted anyway.
                Ok(removals_query(&[upload.0]).into_tuple::<Uuid>().one(&self.db).await?.is_some())
            }
            Some(StorageKey::Published { generation, .. }) => Ok(!named_generations(&self.db, &[generation.0]).await?.is_empty()),
            None => Ok(false),
        }
    }
}

/// The generation that an object belongs to, whatever it is called there.
fn generation_of(path: &str) -> Option<GenerationId> {
    let (generation, _) = path.strip_prefix("published/")?.split_once('/')?;
    let id: GenerationId = generation.parse().ok()?;
    (id.to_string() == generation).then_some(id)
}

fn tell_foreign(report: &mut AuditReport, foreign: Vec<Listed>) {
    for object in foreign {
        let detail = format!("{} bytes that are not from Millrace.", object.size);
        report.add(Finding { kind: FindingKind::Foreign, video: None, key: object.path, detail, repaired: false });
    }
}

fn tell_orphan(report: &mut AuditReport, orphan: Orphan, removed: Option<std::result::Result<(), BlobError>>) {
    let Orphan { kind, key, detail } = orphan;
    let (repaired, detail) = match removed {
        None => (false, detail),
        Some(Ok(())) => {
            tracing::info!(key, "removed what no row names");
            (true, detail)
        }
        Some(Err(error)) => (false, format!("{detail} It could not be removed: {error}")),
    };
    report.add(Finding { kind, video: None, key, detail, repaired });
}

//! Reading an upload before it is complete: its parts lie where they will stay, and the ledger says which of them are safe.

use domain::upload::PartPlan;

use super::{
    FsStore,
    disk::{blocking, disk},
    ledger::Ledger,
};
use crate::ports::blob_store::{Arriving, BlobError, MultipartId, ReadArriving};

#[async_trait::async_trait]
impl ReadArriving for FsStore {
    async fn arrived(&self, upload: &MultipartId, plan: PartPlan) -> Result<Arriving, BlobError> {
        let folder = self.incoming(upload);
        blocking(move || {
            let parts = Ledger::open(&folder).map_err(disk)?.parts();
            let range = |number| plan.part_range(number).map(|(offset, length)| offset..offset + length);
            Ok(Arriving { file: folder.join("data"), safe: parts.iter().filter_map(|part| range(part.number)).collect() })
        })
        .await
    }
}

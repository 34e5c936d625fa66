//! What is one for all processes on a database.

use crate::{
    cells::Cells, dialect::Query, error::StorageError, lifecycle::Storage, transaction::Transaction,
};

const PROOF: &str = "SELECT key_id, proof FROM installation";
const FORGET_PROOF: &str = "DELETE FROM installation";
const PUT_PROOF: &str = "INSERT INTO installation (key_id, proof) VALUES ($1, $2)";

/// What only the keys of this installation can have made: nodes with other keys would not open each other's
/// tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeysProof {
    /// Which of the keys.
    pub key_id: [u8; 4],
    /// What it made.
    pub proof: [u8; 32],
}

impl Storage {
    /// The proof that whoever was here before left; none before the first start.
    pub async fn keys_proof(&self) -> Result<Option<KeysProof>, StorageError> {
        self.one(Query::from(PROOF), |row| {
            let mut cells = Cells::of("installation", row);
            Ok(KeysProof { key_id: cells.array()?, proof: cells.array()? })
        })
        .await
    }

    /// Forgets the proof: whoever starts next brings the keys.
    pub async fn forget_keys_proof(&self) -> Result<(), StorageError> {
        let forget = Query::from(FORGET_PROOF);
        self.run("forget-keys-proof", async move |tx: &mut Transaction<'_>| tx.write(forget).await.map(drop))
            .await
    }

    /// Replaces the proof.
    pub async fn put_keys_proof(&self, proof: KeysProof) -> Result<(), StorageError> {
        let put = Query::from(PUT_PROOF).bind(proof.key_id.to_vec()).bind(proof.proof.to_vec());
        let replace = async move |tx: &mut Transaction<'_>| {
            tx.write(Query::from(FORGET_PROOF)).await?;
            tx.write(put).await.map(drop)
        };
        self.run("put-keys-proof", replace).await
    }
}

//! What is one for all processes on a database.

use crate::{
    cells::Cells,
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::Storage,
    transaction::Transaction,
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
    /// Whether the keys behind this proof are those of the installation: no other proof is there, or `is_ours` knows
    /// the one that is. It takes that one's place. Of nodes that start at once with different keys one is refused.
    pub async fn prove_keys(
        &self,
        proof: KeysProof,
        is_ours: impl FnOnce(KeysProof) -> bool + Send + 'static,
    ) -> Result<bool, StorageError> {
        let put = Query::from(PUT_PROOF).bind(proof.key_id.to_vec()).bind(proof.proof.to_vec());
        let prove = async move |tx: &mut Transaction<'_>| {
            let known = tx.one(Query::from(PROOF), decode).await?;
            if known == Some(proof) {
                return Ok::<_, StorageError>(true);
            }
            if known.is_some_and(|known| !is_ours(known)) {
                return Ok(false);
            }
            tx.write(Query::from(FORGET_PROOF)).await?;
            tx.write(put).await?;
            Ok(true)
        };
        self.run("prove-keys", prove).await
    }

    /// Forgets the proof: whoever starts next brings the keys.
    pub async fn forget_keys_proof(&self) -> Result<(), StorageError> {
        let forget = Query::from(FORGET_PROOF);
        self.run("forget-keys-proof", async move |tx: &mut Transaction<'_>| tx.write(forget).await.map(drop))
            .await
    }
}

fn decode(row: &Row) -> Result<KeysProof, StorageError> {
    let mut cells = Cells::of("installation", row);
    Ok(KeysProof { key_id: cells.array()?, proof: cells.array()? })
}

//! The certificate that the port shows, as its two files have it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use sha2::{Digest as _, Sha256};

use crate::settings;

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A file is not PEM, or has not what it should have.
    #[error("{} has no certificate or key in PEM", .0.display())]
    Pem(PathBuf, #[source] pem::Error),
    /// The key is not that of the certificate, or of no kind that TLS uses.
    #[error("certificate and key cannot be used together")]
    Pair(#[from] rustls::Error),
}

/// A certificate that is replaced when its files are.
pub(super) struct Certificate {
    files: settings::Tls,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
}

struct Current {
    key: Arc<CertifiedKey>,
    /// Of the files' bytes: the key itself is not kept a second time.
    digest: [u8; 32],
}

impl Certificate {
    pub(super) async fn read(
        files: settings::Tls,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, CertificateError> {
        let contents = Contents::read(&files).await?;
        let key = Arc::new(contents.pair(&files, &provider)?);
        let current = Current { key, digest: contents.digest() };
        Ok(Self { files, provider, current: RwLock::new(current) })
    }

    /// Takes what the files have now; false if that is in use already.
    pub(super) async fn read_again(&self) -> Result<bool, CertificateError> {
        let contents = Contents::read(&self.files).await?;
        let digest = contents.digest();
        if self.current.read().unwrap_or_else(PoisonError::into_inner).digest == digest {
            return Ok(false);
        }
        let key = Arc::new(contents.pair(&self.files, &self.provider)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { key, digest };
        Ok(true)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}

/// What the two files have.
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Contents {
    async fn read(files: &settings::Tls) -> Result<Self, CertificateError> {
        Ok(Self { certificate: read(&files.certificate).await?, key: read(&files.key).await? })
    }

    fn digest(&self) -> [u8; 32] {
        let [certificate, key] = [&self.certificate, &self.key].map(Sha256::digest);
        Sha256::new().chain_update(certificate).chain_update(key).finalize().into()
    }

    /// The chain with its key, which are checked to belong together.
    fn pair(
        &self,
        files: &settings::Tls,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, CertificateError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let some =
            chain.and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) });
        let chain = some.map_err(|error| CertificateError::Pem(files.certificate.clone(), error))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| CertificateError::Pem(files.key.clone(), error))?;
        Ok(CertifiedKey::from_der(chain, key, provider)?)
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    tokio::fs::read(path).await.map_err(|error| CertificateError::Read(path.to_owned(), error))
}

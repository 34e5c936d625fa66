//! A certificate of this machine, for servers that speak TLS and the generator that believes it.

use std::{fs, path::PathBuf, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;

/// Files of a certificate and its key, in PEM.
pub(crate) struct Certificate {
    folder: TempDir,
    /// What the generator connects with.
    pub(crate) believed: Arc<ClientConfig>,
}

impl Certificate {
    pub(crate) fn make() -> anyhow::Result<Self> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let folder = tempfile::tempdir()?;
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone())?;
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let client = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots);
        let made = Self { folder, believed: Arc::new(client.with_no_client_auth()) };
        fs::write(made.certificate(), cert.pem())?;
        fs::write(made.key(), signing_key.serialize_pem())?;
        Ok(made)
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// As a section of a server's settings.
    pub(crate) fn settings(&self) -> String {
        let (certificate, key) = (self.certificate(), self.key());
        format!("[tls]\ncertificate = '{}'\nkey = '{}'\n", certificate.display(), key.display())
    }
}

/// What a bare server accepts with.
pub(crate) fn server(certificate: &PathBuf, key: &PathBuf) -> anyhow::Result<Arc<ServerConfig>> {
    let certificates = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
    Ok(Arc::new(builder.with_single_cert(certificates, PrivateKeyDer::from_pem_file(key)?)?))
}

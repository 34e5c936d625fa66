//! Authorities and certificates, made for one test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, in PEM.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// The two files of a certificate.
#[derive(Debug, Clone)]
pub struct Files {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one of this name.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Certifies a server on this machine.
    pub fn server(&self) -> Result<Certified> {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        self.certify(CertificateParams::new(names)?, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Certifies a device of this name.
    pub fn device(&self, name: &str) -> Result<Certified> {
        self.certify(CertificateParams::new([name.to_owned()])?, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// Certifies a device of this name whose certificate is over.
    pub fn former_device(&self, name: &str) -> Result<Certified> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.not_after = date_time_ymd(2001, 1, 1);
        self.certify(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn certify(&self, mut params: CertificateParams, what_for: ExtendedKeyUsagePurpose) -> Result<Certified> {
        params.extended_key_usages = vec![what_for];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Certified { certificate, key: key.serialize_pem() })
    }
}

impl Certified {
    /// Writes both into a folder, over what lay there under this name.
    pub fn write(&self, folder: &Path, name: &str) -> Result<Files> {
        let [certificate, key] = ["certificate", "key"].map(|part| folder.join(format!("{name}.{part}.pem")));
        fs::write(&certificate, &self.certificate)?;
        fs::write(&key, &self.key)?;
        Ok(Files { certificate, key })
    }
}

impl Files {
    /// As a section of a server's settings.
    pub fn settings(&self) -> String {
        let Self { certificate, key } = self;
        format!("[tls]\ncertificate = '{}'\nkey = '{}'\n", certificate.display(), key.display())
    }
}

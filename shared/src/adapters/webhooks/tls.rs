//! TLS to a receiver: the name of the URL must be in a certificate that is trusted and of this time.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore, crypto};

use crate::verdict::Failure;

/// A connector that trusts these authorities.
pub(super) fn connector(roots: RootCertStore) -> Result<TlsConnector, Error> {
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A session with the bearer of this name.
pub(super) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    connector: &TlsConnector,
    name: &str,
    stream: S,
) -> Result<TlsStream<S>, Failure> {
    let name = ServerName::try_from(name.trim_end_matches('.').to_owned()).map_err(|_| Failure::Refused)?;
    connector.connect(name, stream).await.map_err(|error| failure(&error))
}

fn failure(error: &io::Error) -> Failure {
    let Some(tls) = error.get_ref().and_then(|source| source.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Failure::Closed,
            _ => Failure::Tls,
        };
    };
    match tls {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Failure::CertificateExpired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Failure::CertificateNotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Failure::CertificateWrongName
            }
            _ => Failure::CertificateUntrusted,
        },
        _ => Failure::Tls,
    }
}

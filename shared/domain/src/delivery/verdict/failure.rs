//! The reasons why there was no answer. Reasons with different remedies are different classes.
//!
//! Each class has a name for JSON and metrics, which never changes, and a sentence for the owner of the endpoint.

use std::fmt;

/// The reason why there was no answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Failure {
    /// The URL is not allowed.
    Refused,
    /// The host name resolves to an address that is not allowed.
    RefusedAddress,
    /// The host name does not exist, or has no address.
    NameNotFound,
    /// The name server answered with an error, or with an invalid answer.
    NameServerFailed,
    /// No name server answered in time.
    NameTimedOut,
    /// The receiver refused the connection.
    ConnectionRefused,
    /// The network has no route to the address.
    Unreachable,
    /// No address accepted a connection in time.
    ConnectionTimedOut,
    /// The certificate has expired.
    CertificateExpired,
    /// The certificate is not valid yet.
    CertificateNotYetValid,
    /// The certificate is not from a public authority.
    UnknownIssuer,
    /// The receiver sent one certificate only, and no public authority issued it.
    IncompleteChain,
    /// The certificate is for another name.
    WrongName,
    /// The certificate is invalid for another reason.
    InvalidCertificate,
    /// The receiver and this API share no version of TLS, or no cipher suite.
    TlsIncompatible,
    /// The receiver asks for a client certificate.
    ClientCertificateRequired,
    /// The receiver does not know the host name (TLS alert `unrecognized_name`).
    NameUnknownToReceiver,
    /// The receiver ended the TLS handshake with another alert.
    TlsAlert,
    /// The TLS handshake failed.
    TlsHandshake,
    /// The answer is not HTTP.
    BrokenAnswer,
    /// The head of the answer is longer than the 16 KiB that are read.
    HeadTooLarge,
    /// The connection ended before the head of the answer.
    Closed,
    /// The deadline of the attempt passed.
    TimedOut,
}

/// Each class with its name and its sentence, in the order of the enum.
const CLASSES: [(Failure, &str, &str); 23] = [
    (Failure::Refused, "url_refused", "the URL is not allowed"),
    (Failure::RefusedAddress, "address_refused", "the host name resolves to an address that is not public"),
    (Failure::NameNotFound, "name_not_found", "the host name does not exist or has no address"),
    (Failure::NameServerFailed, "name_server_failed", "the name server answered with an error"),
    (Failure::NameTimedOut, "name_timed_out", "the name server did not answer in time"),
    (Failure::ConnectionRefused, "connection_refused", "the receiver refused the connection"),
    (Failure::Unreachable, "unreachable", "the network has no route to the address"),
    (Failure::ConnectionTimedOut, "connection_timed_out", "the receiver did not accept a connection in time"),
    (Failure::CertificateExpired, "certificate_expired", "the TLS certificate has expired"),
    (Failure::CertificateNotYetValid, "certificate_not_yet_valid", "the TLS certificate is not valid yet"),
    (
        Failure::UnknownIssuer,
        "certificate_unknown_issuer",
        "the TLS certificate is not from a public authority",
    ),
    (
        Failure::IncompleteChain,
        "certificate_chain_incomplete",
        "the receiver sent one TLS certificate, and no public authority issued it; install it with its intermediate certificates",
    ),
    (Failure::WrongName, "certificate_wrong_name", "the TLS certificate is for another host name"),
    (Failure::InvalidCertificate, "certificate_invalid", "the TLS certificate is invalid"),
    (
        Failure::TlsIncompatible,
        "tls_incompatible",
        "the receiver offers no TLS 1.2 or 1.3 with a modern cipher suite",
    ),
    (
        Failure::ClientCertificateRequired,
        "tls_client_certificate",
        "the receiver asks for a TLS client certificate; webhooks have none",
    ),
    (
        Failure::NameUnknownToReceiver,
        "tls_unrecognized_name",
        "the receiver has no TLS certificate for the host name of the URL",
    ),
    (Failure::TlsAlert, "tls_alert", "the receiver ended the TLS handshake with an alert"),
    (Failure::TlsHandshake, "tls_handshake", "the TLS handshake failed"),
    (Failure::BrokenAnswer, "broken_answer", "the answer is not HTTP"),
    (Failure::HeadTooLarge, "head_too_large", "the head of the answer is too large (maximum is 16 KiB)"),
    (Failure::Closed, "connection_closed", "the receiver closed the connection before it answered"),
    (Failure::TimedOut, "timed_out", "the receiver did not answer in time"),
];

impl Failure {
    /// All classes, in the order of an attempt.
    pub const ALL: [Self; CLASSES.len()] = {
        let mut all = [Self::Refused; CLASSES.len()];
        let mut place = 0;
        while place < all.len() {
            all[place] = CLASSES[place].0;
            place += 1;
        }
        all
    };

    /// Returns the name of the class in JSON and metrics. It never changes.
    ///
    /// ```
    /// use domain::delivery::verdict::failure::Failure;
    /// assert_eq!(Failure::CertificateExpired.as_str(), "certificate_expired");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        CLASSES[self as usize].1
    }

    /// Returns whether this API refused to connect.
    #[must_use]
    pub const fn is_refused_by_us(self) -> bool {
        matches!(self, Self::Refused | Self::RefusedAddress)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLASSES[*self as usize].2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_class_has_one_name_in_snake_case_and_its_own_sentence() {
        let names: HashSet<_> = Failure::ALL.iter().map(|failure| failure.as_str()).collect();
        let sentences: HashSet<_> = Failure::ALL.iter().map(ToString::to_string).collect();
        assert_eq!((names.len(), sentences.len()), (Failure::ALL.len(), Failure::ALL.len()));
        for name in names {
            assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'), "{name}");
        }
    }

    #[test]
    fn all_lists_every_class_in_its_order() {
        for (place, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, place);
        }
        assert_eq!(Failure::TimedOut as usize + 1, Failure::ALL.len());
    }
}

//! Why there was no answer: one class for each thing that somebody else has to do about it.
//!
//! Each class has a name that never changes, for JSON and metrics, and a sentence for the endpoint's owner.

use std::fmt;

/// Why there was no answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Failure {
    /// The URL is not allowed.
    Refused,
    /// An address behind the URL's name is not allowed.
    RefusedAddress,
    /// The name does not exist, or has no address.
    NameNotFound,
    /// A name server answered with an error, or not as one should.
    NameServerFailed,
    /// No name server answered in time.
    NameTimedOut,
    /// Nobody listens there.
    ConnectionRefused,
    /// No way leads there.
    Unreachable,
    /// No address answered in time.
    ConnectionTimedOut,
    /// The certificate is no longer valid.
    CertificateExpired,
    /// The certificate is not valid yet.
    CertificateNotYetValid,
    /// No public authority vouches for the certificate.
    UnknownIssuer,
    /// The certificate is for another name.
    WrongName,
    /// The certificate is unacceptable for another reason.
    InvalidCertificate,
    /// No TLS session came about.
    TlsHandshake,
    /// What came was not HTTP.
    BrokenAnswer,
    /// The head of the answer did not end within what is read of an answer.
    HeadTooLarge,
    /// The connection ended before the head of an answer did.
    Closed,
    /// The deadline over the whole exchange passed.
    TimedOut,
}

impl Failure {
    /// Every class, in the order of an exchange.
    pub const ALL: [Self; 18] = [
        Self::Refused,
        Self::RefusedAddress,
        Self::NameNotFound,
        Self::NameServerFailed,
        Self::NameTimedOut,
        Self::ConnectionRefused,
        Self::Unreachable,
        Self::ConnectionTimedOut,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::UnknownIssuer,
        Self::WrongName,
        Self::InvalidCertificate,
        Self::TlsHandshake,
        Self::BrokenAnswer,
        Self::HeadTooLarge,
        Self::Closed,
        Self::TimedOut,
    ];

    /// The class's name in JSON and metrics. It never changes.
    ///
    /// ```
    /// use domain::delivery::verdict::failure::Failure;
    /// assert_eq!(Failure::CertificateExpired.as_str(), "certificate_expired");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.words().0
    }

    /// Whether it was we who refused to connect.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Refused | Self::RefusedAddress)
    }

    /// Name and sentence.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Refused => ("url_refused", "the URL is not allowed"),
            Self::RefusedAddress => {
                ("address_refused", "the name leads to an address outside the public internet")
            }
            Self::NameNotFound => ("name_not_found", "the name does not exist or has no address"),
            Self::NameServerFailed => ("name_server_failed", "the name's server answered with an error"),
            Self::NameTimedOut => ("name_timed_out", "the name's server did not answer in time"),
            Self::ConnectionRefused => ("connection_refused", "the connection was refused"),
            Self::Unreachable => ("unreachable", "the address cannot be reached"),
            Self::ConnectionTimedOut => ("connection_timed_out", "the connection was not accepted in time"),
            Self::CertificateExpired => ("certificate_expired", "the TLS certificate has expired"),
            Self::CertificateNotYetValid => {
                ("certificate_not_yet_valid", "the TLS certificate is not valid yet")
            }
            Self::UnknownIssuer => {
                ("certificate_unknown_issuer", "no public authority vouches for the TLS certificate")
            }
            Self::WrongName => ("certificate_wrong_name", "the TLS certificate is for another name"),
            Self::InvalidCertificate => ("certificate_invalid", "the TLS certificate is not acceptable"),
            Self::TlsHandshake => ("tls_handshake", "no TLS session came about"),
            Self::BrokenAnswer => ("broken_answer", "the answer is not HTTP"),
            Self::HeadTooLarge => ("head_too_large", "the head of the answer is too large"),
            Self::Closed => ("connection_closed", "the connection was closed before an answer"),
            Self::TimedOut => ("timed_out", "there was no answer in time"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_class_is_named_once_in_snake_case_and_has_a_sentence_of_its_own() {
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

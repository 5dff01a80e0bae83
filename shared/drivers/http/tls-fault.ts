/**
 * Why a TLS handshake failed, for the endpoint's owner. Codes are those of Node's `tls` and of OpenSSL or BoringSSL, whose
 * own words are never passed on: they name sources, addresses of ours, and the names in a certificate.
 */

const FAILED = "the TLS handshake failed";

/** RFC 6125 section 6.4.4 and RFC 9525 section 6.3: the common name is no identity. */
export const NO_ALTERNATIVE_NAME = `${FAILED}: the certificate names its host as common name alone, and has no subject alternative name`;

const UNKNOWN_AUTHORITY = "the certificate is of an authority that is not known, or its chain is incomplete";

/** X.509 verify codes (openssl-verification-options(1)) and those of Node's `tls`. */
const ofCertificate: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: "the certificate is for another name",
  HOSTNAME_MISMATCH: "the certificate is for another name",
  CERT_HAS_EXPIRED: "the certificate has expired",
  CERT_NOT_YET_VALID: "the certificate is not valid yet",
  CERT_REVOKED: "the certificate is revoked",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  CERT_UNTRUSTED: UNKNOWN_AUTHORITY,
  INVALID_CA: UNKNOWN_AUTHORITY,
  INVALID_PURPOSE: "the certificate is not one for servers",
};

const CLOSED = "the receiver closed the connection before the handshake was over";

/** `ERR_SSL_<reason>`, the first that fits. Alerts are the receiver's (RFC 8446 section 6). */
const ofProtocol: readonly (readonly [RegExp, string])[] = [
  [/WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH/, "the receiver does not speak TLS at this port"],
  [/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/, "the receiver takes no version of TLS that is still safe"],
  [/NO_APPLICATION_PROTOCOL/, "the receiver does not take HTTP/1.1"],
  [/CERTIFICATE_REQUIRED/, "the receiver wants a certificate of the sender, and there is none"],
  [/UNRECOGNIZED_NAME/, "the receiver does not know this name"],
  [/HANDSHAKE_FAILURE|NO_SHARED_CIPHER|INSUFFICIENT_SECURITY/, "the receiver refused it, or has no cipher in common"],
  [/INTERNAL_ERROR/, "the receiver says that it failed itself"],
  [/ALERT/, "the receiver refused it"],
];

/** One sentence; of a code that is not known it says only that the handshake failed. */
export function tlsDetail(code: string): string {
  const why = ofCertificate[code] ?? (code.startsWith("ERR_SSL_") ? protocolReason(code) : closedReason(code));
  return why === null ? FAILED : `${FAILED}: ${why}`;
}

function protocolReason(code: string): string | null {
  return ofProtocol.find(([pattern]) => pattern.test(code))?.[1] ?? null;
}

function closedReason(code: string): string | null {
  return code === "ECONNRESET" || code === "EPIPE" ? CLOSED : null;
}

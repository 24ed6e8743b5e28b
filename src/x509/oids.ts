/** Object identifiers of certificates. */
export const X509_OID = {
  // RFC 5280 §4.2.1
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAlternativeName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  // RFC 5280 §4.2.1.12
  anyExtendedKeyUsage: "2.5.29.37.0",
  codeSigning: "1.3.6.1.5.5.7.3.3",
  timeStamping: "1.3.6.1.5.5.7.3.8",
  // RFC 6962 §3.3, §3.1
  signedCertificateTimestampList: "1.3.6.1.4.1.11129.2.4.2",
  precertificatePoison: "1.3.6.1.4.1.11129.2.4.3",
  // Fulcio docs/oid-info.md
  fulcioOtherName: "1.3.6.1.4.1.57264.1.7",
  // RFC 5280 §4.1.2.6
  emailAddress: "1.2.840.113549.1.9.1",
} as const;

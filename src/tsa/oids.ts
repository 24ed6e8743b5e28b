/** Object identifiers of timestamp tokens. */
export const TSA_OID = {
  // RFC 5652 §5.1
  signedData: "1.2.840.113549.1.7.2",
  // RFC 3161 §2.4.2
  timestampInfo: "1.2.840.113549.1.9.16.1.4",
  // RFC 5652 §11
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  signingTime: "1.2.840.113549.1.9.5",
  // RFC 5035 §3, §4
  signingCertificate: "1.2.840.113549.1.9.16.2.12",
  signingCertificateV2: "1.2.840.113549.1.9.16.2.47",
  // RFC 6211 §2
  algorithmProtection: "1.2.840.113549.1.9.52",
  // RFC 3370 §3.2
  rsaEncryption: "1.2.840.113549.1.1.1",
} as const;

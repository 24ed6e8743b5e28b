#!/usr/bin/env python3
"""Makes the files of this folder with the openssl command. usage: make.py [OUT]     see README.md"""

import base64
import json
import pathlib
import subprocess
import sys
import tempfile

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
WORK = pathlib.Path(tempfile.mkdtemp())


def openssl(*args, check=True):
    done = subprocess.run(["openssl", *map(str, args)], cwd=WORK, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise SystemExit(f"openssl {' '.join(map(str, args))}\n{done.stderr}")
    return done


def key(name, *options):
    openssl("genpkey", *options, "-out", f"{name}.key")


def certificate(name, subject, subject_key, issuer=None, issuer_key=None, extensions="", sign=()):
    """Signs a certificate through `openssl ca`, which takes dates and extensions as they are."""
    (WORK / "index.txt").write_text("")
    (WORK / "serial").write_text("0123456789ABCDEF\n")
    (WORK / "openssl.cnf").write_text(
        f"""
oid_section = oids
[oids]
[req]
distinguished_name = dn
prompt = no
string_mask = utf8only
utf8 = yes
[dn]
{subject or "CN = unused"}
[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = policy
x509_extensions = v3
unique_subject = no
preserve = yes
email_in_dn = yes
[policy]
commonName = optional
organizationName = optional
organizationalUnitName = optional
emailAddress = optional
[v3]
{extensions}
"""
    )
    openssl("req", "-new", "-config", "openssl.cnf", "-key", f"{subject_key}.key", "-out", "request.pem", *([] if subject else ["-subj", "/"]))
    signer = ["-selfsign", "-keyfile", f"{subject_key}.key"] if issuer is None else ["-cert", f"{issuer}.pem", "-keyfile", f"{issuer_key}.key"]
    openssl("ca", "-batch", "-notext", "-config", "openssl.cnf", "-in", "request.pem", "-out", f"{name}.pem",
            "-startdate", "20250101000000Z", "-enddate", "20350101000000Z", *signer, *sign)
    return (WORK / f"{name}.pem").read_text()


def der_base64(pem):
    return "".join(pem.split("-----")[2].split())


CA = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash\n"
LEAF = ("keyUsage = critical, digitalSignature\nextendedKeyUsage = codeSigning\nsubjectKeyIdentifier = hash\n"
        "authorityKeyIdentifier = keyid:always\n")

# ---- one chain per signature algorithm: root, intermediate, leaf

ALGORITHMS = {
    "ecdsa-p256-sha256": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], ["-md", "sha256"]),
    "ecdsa-p384-sha384": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], ["-md", "sha384"]),
    "ecdsa-p521-sha512": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"], ["-md", "sha512"]),
    "ecdsa-p384-sha256": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], ["-md", "sha256"]),
    "rsa-2048-sha256": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["-md", "sha256"]),
    "rsa-3072-sha384": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"], ["-md", "sha384"]),
    "rsa-2048-sha512": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["-md", "sha512"]),
    "rsa-pss-2048-sha256": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                            ["-md", "sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]),
    "ed25519": (["-algorithm", "ED25519"], ["-md", "default"]),
}
# openssl knows these, the Sigstore registry does not
UNSUPPORTED = {
    "rsa-2048-sha1": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["-md", "sha1"]),
    "rsa-pss-2048-salt-20": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                             ["-md", "sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:20"]),
}
for algorithm, (keygen, sign) in {**ALGORITHMS, **UNSUPPORTED}.items():
    for party in ("root", "intermediate", "leaf"):
        key(party, *keygen)
    root = certificate("root", "O = Example\nCN = root", "root", extensions=CA, sign=sign)
    intermediate = certificate("intermediate", "O = Example\nCN = intermediate", "intermediate", "root", "root",
                               CA.replace("CA:TRUE", "CA:TRUE, pathlen:0") + "extendedKeyUsage = codeSigning\nauthorityKeyIdentifier = keyid:always\n", sign)
    leaf = certificate("leaf", None, "leaf", "intermediate", "intermediate", LEAF + "subjectAltName = critical, URI:https://example.com/workflow\n", sign)
    openssl("verify", "-no_check_time", "-x509_strict" if "sha1" not in algorithm else "-no_check_time",
            "-CAfile", "root.pem", "-untrusted", "intermediate.pem", "leaf.pem")
    (OUT / f"chain-{algorithm}.pem").write_text(leaf + intermediate + root)

# ---- subject alternative names of every form

key("leaf", *ALGORITHMS["ecdsa-p256-sha256"][0])
key("root", *ALGORITHMS["ecdsa-p256-sha256"][0])
certificate("root", "CN = root", "root", extensions=CA)
(OUT / "every-name-form.pem").write_text(certificate("names", None, "leaf", "root", "root", LEAF + """
subjectAltName = critical, @names
[names]
email = user@example.com
URI = https://example.com/a/b?c
DNS = example.com
IP.1 = 192.0.2.1
IP.2 = 2001:db8:0:0:1:0:0:1
IP.3 = ::
RID = 1.2.3.4
dirName = directory
otherName.1 = 1.3.6.1.4.1.57264.1.7;UTF8:user!example.com
otherName.2 = 1.3.6.1.5.5.7.8.9;UTF8:user2@example.com
[directory]
C = DE
O = Example, Inc.
CN = a + b
"""))

# ---- name constraints: what openssl verify says of each name under each constraint

DIRECTORY = {"dn-example": "O = Example", "dn-example-unit": "O = Example\nOU = unit", "dn-other": "O = Other",
             "dn-example-case": "O = EXAMPLE", "dn-unit-first": "OU = unit\nO = Example"}
CONSTRAINTS = [
    "permitted;URI:example.com", "permitted;URI:.example.com", "excluded;URI:example.com", "excluded;URI:.example.com",
    "permitted;email:example.com", "permitted;email:.example.com", "permitted;email:user@example.com",
    "excluded;email:example.com", "excluded;email:.example.com", "excluded;email:user@example.com",
    "permitted;DNS:example.com", "permitted;DNS:.example.com", "excluded;DNS:example.com", "excluded;DNS:.example.com",
    "permitted;IP:192.0.2.0/255.255.255.0", "excluded;IP:192.0.2.0/255.255.255.0",
    "permitted;IP:2001:db8::/ffff:ffff::", "excluded;IP:2001:db8::/ffff:ffff::",
    "permitted;dirName:dn-example", "excluded;dirName:dn-example", "permitted;dirName:dn-example-unit",
    "permitted;RID:1.2.3.4", "excluded;RID:1.2.3.4",
    "permitted;otherName:1.3.6.1.4.1.57264.1.7;UTF8:user!example.com", "excluded;otherName:1.3.6.1.4.1.57264.1.7;UTF8:user!example.com",
    "permitted;URI:example.com, permitted;URI:other.example", "permitted;URI:.example.com, excluded;URI:bad.example.com",
]
NAMES = [
    "URI:https://example.com/a", "URI:https://EXAMPLE.com/a", "URI:https://sub.example.com/a", "URI:https://bad.example.com/a",
    "URI:https://example.com.evil.test/", "URI:https://notexample.com/", "URI:https://user@example.com:8443/a",
    "URI:https://other.example/", "URI:https://example.com@evil.test/", "URI:urn:example:a",
    "email:user@example.com", "email:user@EXAMPLE.COM", "email:User@example.com", "email:other@example.com",
    "email:user@sub.example.com", "email:user@notexample.com",
    "DNS:example.com", "DNS:EXAMPLE.com", "DNS:sub.example.com", "DNS:a.sub.example.com", "DNS:notexample.com",
    "IP:192.0.2.1", "IP:192.0.3.1", "IP:2001:db8::1", "IP:2001:db9::1",
    "dirName:dn-example", "dirName:dn-example-unit", "dirName:dn-other", "dirName:dn-example-case", "dirName:dn-unit-first",
    "RID:1.2.3.4", "otherName:1.3.6.1.4.1.57264.1.7;UTF8:user!example.com",
]
SECTIONS = "".join(f"\n[{name}]\n{rdns}\n" for name, rdns in DIRECTORY.items())
key("constrained", *ALGORITHMS["ecdsa-p256-sha256"][0])
constraints, names, verdicts = [], [], []
for i, spec in enumerate(CONSTRAINTS):
    pem = certificate(f"constraint{i}", "CN = constrained", "constrained", extensions=CA + f"nameConstraints = critical, {spec}\n" + SECTIONS)
    constraints.append({"constraint": spec, "certificate": der_base64(pem)})
for i, spec in enumerate(NAMES):
    pem = certificate(f"name{i}", None, "leaf", "constraint0", "constrained", LEAF + f"subjectAltName = critical, {spec}\n" + SECTIONS)
    names.append({"name": spec, "certificate": der_base64(pem)})
# the subject is a directory name too, and its mail address counts where there are no alternative names
SUBJECTS = {"subject O=Example": "O = Example", "subject O=Other": "O = Other",
            "subject emailAddress=user@example.com": "emailAddress = user@example.com", "subject emailAddress=user@other.example": "emailAddress = user@other.example"}
for subject, rdns in SUBJECTS.items():
    pem = certificate(f"name{len(names)}", rdns, "leaf", "constraint0", "constrained", LEAF)
    names.append({"name": subject, "certificate": der_base64(pem)})
for i in range(len(constraints)):
    row = ""
    for j in range(len(names)):
        done = openssl("verify", "-no_check_time", "-CAfile", f"constraint{i}.pem", f"name{j}.pem", check=False)
        row += "1" if done.returncode == 0 else "0"
    verdicts.append(row)
version = openssl("version").stdout.strip()
(OUT / "name-constraints.json").write_text(json.dumps({"openssl": version, "constraints": constraints, "names": names, "verdicts": verdicts}, indent=1) + "\n")
print(version)

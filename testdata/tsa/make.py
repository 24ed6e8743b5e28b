#!/usr/bin/env python3
"""Makes the files of this folder with the openssl command. usage: make.py [OUT]     see README.md"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
WORK = pathlib.Path(tempfile.mkdtemp())
DATA = b"the bytes of a signature\n"


def openssl(*args, check=True):
    done = subprocess.run(["openssl", *map(str, args)], cwd=WORK, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise SystemExit(f"openssl {' '.join(map(str, args))}\n{done.stderr}")
    return done


serial = 0x1000


def certificate(name, subject, issuer, extensions, *key):
    """Signs a certificate through `openssl ca`, which takes dates and extensions as they are. No issuer: by itself."""
    global serial
    serial += 1
    openssl("genpkey", *key, "-out", f"{name}.key")
    (WORK / "index.txt").write_text("")
    (WORK / "serial").write_text(f"{serial:04X}\n")
    (WORK / "ca.cnf").write_text(
        f"""
[req]
distinguished_name = dn
prompt = no
string_mask = utf8only
[dn]
O = Example
CN = {subject}
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
[policy]
organizationName = optional
commonName = optional
[v3]
{extensions}
"""
    )
    openssl("req", "-new", "-config", "ca.cnf", "-key", f"{name}.key", "-out", "request.pem")
    signer = ["-selfsign", "-keyfile", f"{name}.key"] if issuer is None else ["-cert", f"{issuer}.pem", "-keyfile", f"{issuer}.key"]
    openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-in", "request.pem", "-out", f"{name}.pem",
            "-startdate", "20250101000000Z", "-enddate", "20450101000000Z", *signer)


CA = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\nsubjectKeyIdentifier = hash\n"
TSA = "keyUsage = critical, digitalSignature\nextendedKeyUsage = critical, timeStamping\nsubjectKeyIdentifier = hash\n"
ISSUED = "authorityKeyIdentifier = keyid:always\n"
RSA = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")


def ec(curve):
    return "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}"


certificate("root", "Timestamp root", None, CA, *ec("P-384"))
certificate("intermediate", "Timestamp intermediate", "root", CA + ISSUED, *ec("P-384"))
AUTHORITIES = {"rsa": RSA, "p256": ec("P-256"), "p384": ec("P-384"), "p521": ec("P-521")}
for name, key in AUTHORITIES.items():
    certificate(name, f"Timestamp authority {name}", "intermediate", TSA + ISSUED, *key)
    chain = "".join((WORK / f"{part}.pem").read_text() for part in (name, "intermediate", "root"))
    (OUT / f"{name}.pem").write_text(chain)
(WORK / "issuers.pem").write_text((WORK / "intermediate.pem").read_text() + (WORK / "root.pem").read_text())
(WORK / "data").write_bytes(DATA)
(OUT / "data").write_bytes(DATA)

# ---- tokens

cases = {}


def shown(text, label):
    return re.search(rf"^{label}: (.*)$", text, re.M).group(1)


def token(name, authority, digest="sha256", *, ess="sha256", query=(), accepted=True, **settings):
    """Asks `openssl ts` for a response, lets it verify that, and notes what it shows."""
    options = {
        "signer_digest": digest, "ess_cert_id_alg": ess, "accuracy": "secs:1", "ordering": "no", "tsa_name": "yes",
        "ess_cert_id_chain": "no", "clock_precision_digits": "0", **settings,
    }
    (WORK / "tsa.cnf").write_text(
        f"""
[tsa]
default_tsa = here
[here]
serial = tsaserial
crypto_device = builtin
signer_cert = {authority}.pem
certs = issuers.pem
signer_key = {authority}.key
default_policy = 1.3.6.1.4.1.57264.2
digests = sha1, sha256, sha384, sha512
""" + "".join(f"{key} = {value}\n" for key, value in options.items()))
    openssl("ts", "-query", "-config", "tsa.cnf", "-data", "data", f"-{digest}", "-out", "query.tsq", *query)
    openssl("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-out", f"{name}.tsr")
    text = openssl("ts", "-reply", "-in", f"{name}.tsr", "-text").stdout
    (OUT / f"{name}.tsr").write_bytes((WORK / f"{name}.tsr").read_bytes())
    if not accepted:
        return
    done = openssl("ts", "-verify", "-in", f"{name}.tsr", "-queryfile", "query.tsq", "-CAfile", "root.pem",
                   "-untrusted", f"{OUT / authority}.pem", check=False)
    if "Verification: OK" not in done.stdout:
        raise SystemExit(f"{name}: {done.stdout}{done.stderr}")
    cases[name] = {
        "authority": authority,
        **{key: shown(text, label) for key, label in {
            "policy": "Policy OID", "hash": "Hash Algorithm", "serialNumber": "Serial number", "time": "Time stamp",
            "accuracy": "Accuracy", "ordering": "Ordering", "nonce": "Nonce", "tsa": "TSA"}.items()},
    }


token("rsa-sha256", "rsa", query=["-cert"])
token("rsa-sha384", "rsa", "sha384", query=["-cert"])
token("rsa-sha512", "rsa", "sha512", query=["-cert"])
token("p256-sha256", "p256", query=["-cert"])
token("p384-sha384", "p384", "sha384", query=["-cert"])
token("p521-sha512", "p521", "sha512", query=["-cert"])
token("p256-ess-sha1", "p256", ess="sha1", query=["-cert"])
token("p256-ess-sha384", "p256", ess="sha384", query=["-cert"])
token("p256-ess-sha512", "p256", ess="sha512", query=["-cert"])
token("p256-ess-chain", "p256", ess_cert_id_chain="yes", query=["-cert"])
token("p256-no-certificates", "p256")
token("p256-no-nonce", "p256", query=["-cert", "-no_nonce"])
token("p256-other-policy", "p256", query=["-cert", "-tspolicy", "1.2.3.4.5"], other_policies="1.2.3.4.5")
token("p256-accuracy-ordering", "p256", query=["-cert"], accuracy="secs:2, millisecs:30, microsecs:400", ordering="yes")
token("p256-fraction", "p256", query=["-cert"], clock_precision_digits="6")
token("p256-no-tsa-name", "p256", query=["-cert"], tsa_name="no")
token("p256-imprint-sha1", "p256", "sha1", query=["-cert"], accepted=False, signer_digest="sha256")
token("rejection", "p256", query=["-cert", "-tspolicy", "1.2.3.4.6"], accepted=False)
(OUT / "cases.json").write_text(json.dumps(cases, indent=2) + "\n")

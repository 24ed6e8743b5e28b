#!/bin/sh
# Makes the keys of this folder. Needs the openssl, ssh-keygen, go and cosign commands, and an empty folder to run in.
set -eu
export COSIGN_PASSWORD='correct horse'

cosign generate-key-pair --output-key-prefix cosign-p256
COSIGN_PASSWORD='' cosign generate-key-pair --output-key-prefix cosign-p256-empty-password

openssl ecparam -name prime256v1 -genkey -out openssl-p256-sec1.pem
openssl ecparam -name secp384r1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out openssl-p384.pem
openssl ecparam -name secp521r1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out openssl-p521.pem
openssl genpkey -algorithm ed25519 -out openssl-ed25519.pem
openssl genrsa -traditional -out openssl-rsa-2048-pkcs1.pem 2048
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out openssl-rsa-3072.pem
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:3072 -out openssl-rsa-pss-3072.pem
for key in p256-sec1 p384 p521 ed25519 rsa-2048-pkcs1 rsa-3072 rsa-pss-3072; do
  openssl pkey -in openssl-$key.pem -pubout -out openssl-$key.pub
done
for key in p384 p521 ed25519 rsa-2048-pkcs1 rsa-3072; do
  cosign import-key-pair --key openssl-$key.pem --output-key-prefix cosign-$key
done

encrypt() { openssl pkcs8 -topk8 -passout env:COSIGN_PASSWORD -in openssl-p384.pem "$@"; }
encrypt -v2 aes-256-cbc -out openssl-p384-pbkdf2.pem
encrypt -scrypt -out openssl-p384-scrypt.pem
encrypt -v2 aes-256-cbc -iter 2000001 -out openssl-p384-pbkdf2-2000001.pem
encrypt -v1 PBE-SHA1-3DES -out openssl-p384-pbes1.pem
openssl ec -in openssl-p256-sec1.pem -aes128 -passout env:COSIGN_PASSWORD -out openssl-p256-sec1-encrypted.pem
openssl pkcs8 -topk8 -nocrypt -in openssl-p256-sec1.pem -outform DER -out openssl-p256.der

# Keys to refuse.
openssl genrsa -traditional -out rsa-1024.pem 1024
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2560 -out rsa-2560.pem
openssl ecparam -name secp256k1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out secp256k1.pem
openssl genpkey -algorithm ed448 -out ed448.pem
ssh-keygen -q -t ed25519 -N '' -C '' -f openssh-ed25519.pem && rm openssh-ed25519.pem.pub
go mod init keys && go get github.com/secure-systems-lab/go-securesystemslib@v0.11.1 && go run make.go

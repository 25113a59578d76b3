package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"net"
	"time"
)

const proofLabel = "sockerless-agent-proof-v1\x00"

// listen opens the mutual TLS listener: any certificate, one public key. proof shows that the
// holder of the per-task token made the certificate the listener presents.
func listen(address string, pin, token []byte) (listener net.Listener, proof string, err error) {
	key, der, err := selfSigned()
	if err != nil {
		return nil, "", err
	}
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return nil, "", err
	}
	return tls.NewListener(tcp, &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:   tls.RequireAnyClientCert, // the handshake proves possession of the key
		// VerifyConnection runs for resumed sessions too; VerifyPeerCertificate does not.
		VerifyConnection: func(state tls.ConnectionState) error {
			sum := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
			if subtle.ConstantTimeCompare(sum[:], pin) != 1 {
				return errors.New("not the daemon that launched this task")
			}
			return nil
		},
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true, // full 16 KiB records from the first byte
	}), proofOf(der, token), nil
}

func selfSigned() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-24 * time.Hour), // clocks differ; the proof counts, not the dates
		NotAfter:     time.Now().Add(10 * 365 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return key, der, err
}

func proofOf(certificate, token []byte) string {
	mac := hmac.New(sha256.New, token)
	mac.Write([]byte(proofLabel))
	mac.Write(certificate)
	return hex.EncodeToString(mac.Sum(nil))
}
